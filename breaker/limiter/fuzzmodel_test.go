package limiter_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// The model of a limiter, in whole numbers: time in ms, levels in tenths. Everything that a program does happens on whole ms, and limits
// give one event in 1, 2, 5 or 10 ms, so that both stay whole; deadlines are on half ms, so that they never tie.
const (
	whole   = 10              // tenths
	forever = math.MaxInt / 4 // ms
)

// modelBucket is one limit.
type modelBucket struct {
	limit limiter.Limit // the zero one: none
	level int           // tenths
	epoch int           // how often there came to be a limit where there was none
}

func (b *modelBucket) none() bool { return b.limit == limiter.Limit{} }

// step is what comes in within a ms.
func (b *modelBucket) step() int {
	if b.limit.Events == 0 {
		return 0
	}
	return whole * b.limit.Events * int(ms) / int(b.limit.Per)
}

func (b *modelBucket) elapse(t int) {
	b.level = min(b.level+t*b.step(), whole*b.limit.Burst)
}

func (b *modelBucket) set(l limiter.Limit) {
	if b.none() && (l != limiter.Limit{}) {
		b.level = whole * l.Burst
		b.epoch++
	}
	b.limit = l
	b.level = min(b.level, whole*l.Burst)
	for l.Events == 0 && b.level%whole != 0 { // what is not refilled is whole
		b.level--
	}
}

// in is how long it takes until n can be taken.
func (b *modelBucket) in(n int) int {
	switch {
	case b.none() || n == 0:
		return 0
	case b.limit.Burst == 0:
		return forever
	}
	missing := whole*min(n, b.limit.Burst) - b.level
	switch {
	case missing <= 0:
		return 0
	case b.step() == 0:
		return forever
	}
	return (missing + b.step() - 1) / b.step()
}

// add gives or, if n is negative, takes.
func (b *modelBucket) add(n int) {
	if !b.none() {
		b.level = min(b.level+whole*n, whole*b.limit.Burst)
	}
}

// fuzzCall is one Acquire.
type fuzzCall struct {
	cost     int
	try      bool
	arrived  int
	deadline int // ms; it is half a ms later
	cancel   context.CancelCauseFunc
	cause    error

	queued bool   // by the model
	served int    // when, by the model; -1: not
	from   [2]int // of requests and cost, the epochs that it took from, by the model
	fate   string // by the model, once it is over: "", or the reason for which it failed

	over   bool // in fact
	at     time.Duration
	permit *limiter.Permit
	err    error
}

// fuzzModel is the limiter as it should be.
type fuzzModel struct {
	cfg            limiter.Config
	now            int
	requests, cost modelBucket
	paused         int // until
	queue          []*fuzzCall
	lost           bool // one in the queue was rejected
	stats          limiter.Stats
}

func newFuzzModel(cfg limiter.Config) *fuzzModel {
	m := new(fuzzModel)
	m.configure(cfg)
	return m
}

func (m *fuzzModel) clone() *fuzzModel {
	c := *m
	c.queue, c.lost = nil, false
	for _, q := range m.queue {
		q := *q
		q.deadline = forever // nobody leaves
		c.queue = append(c.queue, &q)
	}
	c.cfg.MaxWait = 0
	return &c
}

// headIn is how long it takes until a request of the cost could be let through if nobody was before it.
func (m *fuzzModel) headIn(cost int) int {
	return max(m.paused-m.now, m.requests.in(1), m.cost.in(cost), 0)
}

// late says why a request that has to wait so much longer is rejected, or "".
func (m *fuzzModel) late(c *fuzzCall, in int) string {
	switch {
	case in >= forever:
		return "never refilled"
	case m.now+in > c.deadline:
		return "deadline"
	case m.cfg.MaxWait > 0 && in > int(m.cfg.MaxWait/ms)-(m.now-c.arrived):
		return "max wait"
	}
	return ""
}

func (m *fuzzModel) serve(c *fuzzCall) {
	m.requests.add(-1)
	m.cost.add(-c.cost)
	c.served, c.from = m.now, [2]int{m.requests.epoch, m.cost.epoch}
	m.stats.Admitted++
	m.stats.ReservedCost += uint64(c.cost)
	if m.now > c.arrived || c.queued {
		m.stats.Waited++
		m.stats.QueueWait += time.Duration(m.now-c.arrived) * ms
	}
	c.queued = false
}

// settleQueue lets through who can be, and rejects heads that are late.
func (m *fuzzModel) settleQueue() {
	for len(m.queue) > 0 {
		head := m.queue[0]
		in := m.headIn(head.cost)
		if in == 0 {
			m.serve(head)
		} else if head.fate = m.late(head, in); head.fate == "" {
			return
		} else {
			m.lost = true
		}
		head.queued = false
		m.queue = m.queue[1:]
	}
}

// elapse lets time pass: heads are served, deadlines come.
func (m *fuzzModel) elapse(t int) {
	for end := m.now + t; ; {
		next := end
		if len(m.queue) > 0 {
			next = min(next, m.now+m.headIn(m.queue[0].cost))
		}
		for _, c := range m.queue {
			next = min(next, c.deadline) // it leaves half a ms later: before the next ms
		}
		m.requests.elapse(next - m.now)
		m.cost.elapse(next - m.now)
		m.now = next
		m.settleQueue()
		if next == end {
			return
		}
		m.leave(func(c *fuzzCall) bool { return c.deadline == m.now }, "expired")
	}
}

// leave takes the calls out of the queue.
func (m *fuzzModel) leave(who func(*fuzzCall) bool, fate string) {
	m.queue = slices.DeleteFunc(m.queue, func(c *fuzzCall) bool {
		if who(c) {
			c.queued, c.fate = false, fate
		}
		return !c.queued
	})
	m.settleQueue()
}

// exact is how long a request would have to wait if nobody else came or left.
func (m *fuzzModel) exact(cost int) int {
	c := m.clone()
	last := &fuzzCall{cost: cost, arrived: c.now, deadline: forever, served: -1, queued: true}
	c.queue = append(c.queue, last)
	for range 10_000 {
		switch {
		case c.lost:
			return forever
		case last.served >= 0:
			return last.served - m.now
		case c.headIn(c.queue[0].cost) >= forever:
			return forever
		}
		c.elapse(c.headIn(c.queue[0].cost))
	}
	return forever
}

// simple says whether the limiter's estimate must be exact: one limit binds, and the bucket never fills up while someone waits.
func (m *fuzzModel) simple() bool {
	return m.paused <= m.now && (m.requests.none() || m.cost.none()) && !m.cfg.Borrow
}

func (m *fuzzModel) configure(cfg limiter.Config) {
	for _, l := range []*limiter.Limit{&cfg.Requests, &cfg.Cost} {
		if l.Burst == 0 {
			l.Burst = l.Events
		}
	}
	if cfg.MaxDebt == 0 {
		cfg.MaxDebt = cfg.Cost.Burst
	}
	m.cfg = cfg
	m.requests.set(cfg.Requests)
	m.cost.set(cfg.Cost)
	for !m.cost.none() && m.cost.level < -whole*cfg.MaxDebt {
		m.cost.add(1)
		m.stats.ForgivenCost++
	}
	m.leave(func(c *fuzzCall) bool { return c.cost > m.maxCost() }, "too large")
}

func (m *fuzzModel) maxCost() int {
	switch {
	case m.cost.none() || m.cfg.Cost.Burst == 0:
		return math.MaxInt
	case m.cfg.Borrow:
		return m.cfg.Cost.Burst + m.cfg.MaxDebt
	}
	return m.cfg.Cost.Burst
}

func (m *fuzzModel) settle(c *fuzzCall, actual int) {
	taken := c.from[1] == m.cost.epoch
	back := c.cost - max(actual, 0)
	if back >= 0 {
		m.stats.RefundedCost += uint64(back)
		if taken {
			m.cost.add(back)
		}
	}
	switch {
	case actual < 0:
		m.stats.Returned++
		if c.from[0] == m.requests.epoch {
			m.requests.add(1)
		}
	case back >= 0:
	default:
		for range actual - c.cost {
			if !taken || m.cost.none() {
				m.stats.ExtraCost++
			} else if m.cost.level-whole >= -whole*m.cfg.MaxDebt {
				m.cost.add(-1)
				m.stats.ExtraCost++
			} else {
				m.stats.ForgivenCost++
			}
		}
	}
	m.settleQueue()
}

func (m *fuzzModel) lower(requests, cost int) {
	for _, b := range []struct {
		bucket *modelBucket
		to     int
	}{{&m.requests, requests}, {&m.cost, cost}} {
		for b.to >= 0 && !b.bucket.none() && b.bucket.level > whole*b.to {
			b.bucket.add(-1)
		}
	}
	m.settleQueue()
}

// agree compares the outcome of a call.
func (m *fuzzModel) agree(t *testing.T, c *fuzzCall) {
	t.Helper()
	if c.over == c.queued {
		t.Errorf("%v: over %t, queued by the model %t", c.cause, c.over, c.queued)
		return
	}
	if !c.over {
		return
	}
	fate := ""
	var l *limiter.LimitedError
	switch {
	case errors.As(c.err, &l):
		fate = l.Reason.String()
	case errors.Is(c.err, limiter.ErrTooLarge):
		fate = "too large"
	case c.err != nil && errors.Is(c.err, c.cause):
		fate = "cancelled"
		if c.fate == "expired" {
			fate = "expired"
		}
	case c.err != nil:
		fate = c.err.Error()
	}
	if fate != c.fate || (c.permit != nil) != (c.err == nil) {
		t.Errorf("%v: %q (%v), want %q", c.cause, fate, c.err, c.fate)
	}
	if c.err == nil && (c.at-time.Duration(c.served)*ms).Abs() > 100 {
		t.Errorf("%v: let through at %v, want %d ms", c.cause, c.at, c.served)
	}
}
