package route_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/ensemble/route"
)

// model is a router that picks in order, one step at a time, from the documentation: without locks, epochs or pools, with the whole history
// of failures, and with attempts that are told when they have become stale.
type model struct {
	cfg      route.Config
	now      time.Duration
	members  []*modelMember
	requests map[int]*modelRequest // that have an attempt
	results  map[int]string
}

type modelMember struct {
	state    route.State
	until    time.Duration
	doubled  int // failed probes in a row
	failures []time.Duration
	running  []*modelAttempt
}

type modelAttempt struct {
	member int
	probe  bool
	stale  bool // the member has changed its state since
}

type modelRequest struct {
	attempt *modelAttempt
	tried   map[int]bool
	failed  []string
}

func newModel(cfg route.Config, n int) *model {
	m := &model{cfg: cfg, requests: map[int]*modelRequest{}, results: map[int]string{}}
	for range n {
		m.members = append(m.members, &modelMember{})
	}
	return m
}

func (m *model) become(i int, s route.State) {
	mm := m.members[i]
	mm.state = s
	mm.failures = nil
	for _, a := range mm.running {
		a.stale = true
	}
}

func (m *model) request(id int) {
	m.requests[id] = &modelRequest{tried: map[int]bool{}}
	m.next(id)
}

func (m *model) next(id int) {
	q := m.requests[id]
	start := func(i int, probe bool) {
		if probe {
			m.become(i, route.Probing)
		}
		q.tried[i] = true
		q.attempt = &modelAttempt{member: i, probe: probe}
		m.members[i].running = append(m.members[i].running, q.attempt)
	}
	if m.cfg.MaxAttempts == 0 || len(q.tried) < m.cfg.MaxAttempts {
		for i, mm := range m.members {
			due := mm.state == route.Cooling && m.now >= mm.until
			if !q.tried[i] && (mm.state == route.Up || due) {
				start(i, due)
				return
			}
		}
	}
	if len(q.tried) > 0 {
		m.results[id] = fmt.Sprintf("route: %d failed: %s", len(q.failed), strings.Join(q.failed, "; "))
		delete(m.requests, id)
		return
	}
	soonest, wait := 0, time.Duration(1<<62)
	for i, mm := range m.members {
		w := mm.until - m.now
		if mm.state == route.Probing {
			w = 0
		}
		if w < wait {
			soonest, wait = i, w
		}
	}
	if m.cfg.UseCooling {
		start(soonest, false)
		return
	}
	m.results[id] = (&route.UnavailableError{Wait: wait}).Error()
	delete(m.requests, id)
}

func (m *model) end(id int, err error) {
	q := m.requests[id]
	a := q.attempt
	mm := m.members[a.member]
	for i, other := range mm.running {
		if other == a {
			mm.running = append(mm.running[:i:i], mm.running[i+1:]...)
			break
		}
	}
	alive := err == nil || errors.Is(err, errBad)
	undecided := errors.Is(err, context.Canceled) || errors.Is(err, errFull)
	switch {
	case a.stale:
	case alive && mm.state != route.Up:
		mm.doubled = 0
		m.become(a.member, route.Up)
	case undecided && a.probe:
		m.become(a.member, route.Cooling)
	case alive || undecided:
	case a.probe:
		mm.doubled++
		m.cool(a.member, err)
	case mm.state == route.Up:
		mm.failures = append(mm.failures, m.now)
		recent := 0
		for _, at := range mm.failures {
			if at >= m.now-m.cfg.FailureWindow {
				recent++
			}
		}
		var r retryError
		if recent >= m.cfg.MaxFailures || errors.As(err, &r) {
			m.cool(a.member, err)
		}
	}
	own := fmt.Sprintf("%q: %v", fmt.Sprint(a.member), err)
	failed := ""
	if len(q.failed) > 0 {
		failed = fmt.Sprintf("route: %d failed: %s; then: ", len(q.failed), strings.Join(q.failed, "; "))
	}
	switch {
	case err == nil:
		m.results[id] = "answer"
	case errors.Is(err, context.Canceled):
		m.results[id] = failed + err.Error()
	case errors.Is(err, errBad):
		m.results[id] = failed + "route: member " + own
	default:
		q.failed = append(q.failed, own)
		m.next(id)
		return
	}
	delete(m.requests, id)
}

func (m *model) cool(i int, err error) {
	mm := m.members[i]
	wait := m.cfg.Cooldown << mm.doubled
	if mm.doubled > 20 || wait > m.cfg.MaxCooldown {
		wait = m.cfg.MaxCooldown
	}
	var r retryError
	if errors.As(err, &r) {
		wait = max(wait, min(time.Duration(r), m.cfg.MaxRetryAfter))
	}
	mm.until = m.now + wait
	m.become(i, route.Cooling)
}

func (m *model) compare(t *testing.T, r *router, running map[int]*asked, results map[int]string) {
	t.Helper()
	assert.Equal(t, m.results, results)
	who, want := map[int]int{}, map[int]int{}
	for id, a := range running {
		who[id] = a.member
	}
	for id, q := range m.requests {
		want[id] = q.attempt.member
	}
	assert.Equal(t, want, who)
	for i, s := range r.Stats().Members {
		mm := m.members[i]
		assert.Equal(t, mm.state, s.State)
		assert.Equal(t, len(mm.running), s.InFlight)
		wait := time.Duration(0)
		if mm.state == route.Cooling {
			wait = max(0, mm.until-m.now)
		}
		assert.Equal(t, wait, s.Wait)
	}
	if t.Failed() {
		t.FailNow()
	}
}
