package bulkhead_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

const (
	callWaits = iota
	callHolds
	callOver // released or failed
)

// fuzzCall is a call as the model sees it: what should have become of it.
type fuzzCall struct {
	id       int
	cost     int
	priority int
	try      bool
	ctxEnds  time.Time // the deadline of its context; zero if it has none
	expires  time.Time // when it leaves the queue without that; zero if never
	late     error     // what it gets then

	state    int
	arrived  time.Time
	passed   int
	held     int
	since    time.Time
	timed    bool
	err      error
	expected time.Duration // in the error

	real *realCall
}

type observation struct {
	cost int
	held time.Duration
}

// fuzzModel is a bulkhead that is as simple as can be: one slice, sorted at each step, and everything else summed up from it.
type fuzzModel struct {
	cfg      bulkhead.Config
	now      time.Time
	capacity int
	calls    []*fuzzCall // in the order of arrival
	seen     []observation
	fast     int // admissions that need no lock
	stats    bulkhead.Stats
}

func (m *fuzzModel) inState(state int) []*fuzzCall {
	var calls []*fuzzCall
	for _, c := range m.calls {
		if c.state == state {
			calls = append(calls, c)
		}
	}
	return calls
}

// queue returns those that wait, in the order of their turn.
func (m *fuzzModel) queue() []*fuzzCall {
	queue := m.inState(callWaits)
	slices.SortStableFunc(queue, func(a, b *fuzzCall) int {
		rank := func(c *fuzzCall) time.Time { return c.arrived.Add(-time.Duration(c.priority) * m.cfg.Ageing) }
		return cmp.Or(rank(a).Compare(rank(b)), cmp.Compare(b.priority, a.priority))
	})
	return queue
}

func (m *fuzzModel) free() int {
	free := m.capacity
	for _, c := range m.calls {
		if c.state == callHolds {
			free -= c.held
		}
	}
	return free
}

func (m *fuzzModel) holdTime() time.Duration {
	if len(m.seen) < 8 {
		return 0
	}
	var costTime, cost float64
	for i, o := range m.seen {
		weight := 1 / float64(min(i+1, 16))
		costTime += (float64(o.cost)*float64(o.held) - costTime) * weight
		cost += (float64(o.cost) - cost) * weight
	}
	return time.Duration(costTime / cost)
}

// expectedWait is that of a call that is, or is not yet, among those that wait.
func (m *fuzzModel) expectedWait(c *fuzzCall) time.Duration {
	need := c.cost - m.free()
	for _, other := range m.inState(callWaits) {
		if other != c && other.priority >= c.priority {
			need += other.cost
		}
	}
	return time.Duration(float64(m.holdTime()) * float64(max(need, 0)) / float64(m.capacity))
}

func (m *fuzzModel) grant(c *fuzzCall, timed bool) {
	c.state, c.held, c.since, c.timed = callHolds, c.cost, m.now, timed
	m.stats.Admitted++
}

func (m *fuzzModel) fail(c *fuzzCall, err error) {
	c.state, c.err = callOver, err
	for reason, n := range map[error]*uint64{
		bulkhead.ErrFull:       &m.stats.Rejected.Full,
		bulkhead.ErrEvicted:    &m.stats.Rejected.Evicted,
		bulkhead.ErrDeadline:   &m.stats.Rejected.Deadline,
		bulkhead.ErrMaxWait:    &m.stats.Rejected.MaxWait,
		bulkhead.ErrTooLarge:   &m.stats.Rejected.TooLarge,
		bulkhead.ErrBadRequest: &m.stats.Rejected.BadRequest,

		context.DeadlineExceeded: &m.stats.Expired,
		context.Canceled:         &m.stats.Cancelled,
	} {
		if err == reason { //nolint:errorlint // it is one of these
			*n++
		}
	}
}

// left notes that a call is no longer in the queue.
func (m *fuzzModel) left(c *fuzzCall) {
	m.stats.Waited++
	m.stats.QueueWait += m.now.Sub(c.arrived)
}

// drain grants what can be granted.
func (m *fuzzModel) drain(arriving *fuzzCall) {
	for {
		queue, free := m.queue(), m.free()
		if len(queue) == 0 {
			return
		}
		next := slices.IndexFunc(queue, func(c *fuzzCall) bool { return c.cost <= free })
		if next < 0 || next > 0 && queue[0].passed == m.cfg.MaxOvertakes {
			return
		}
		if next > 0 {
			queue[0].passed++
			m.stats.Overtakes++
		}
		m.grant(queue[next], true)
		if queue[next] != arriving {
			m.left(queue[next])
		}
	}
}

// arrive decides what becomes of a new call.
func (m *fuzzModel) arrive(c *fuzzCall) {
	c.arrived = m.now
	m.calls = append(m.calls, c)
	c.state = callOver // until it is known better
	queue, free := m.queue(), m.free()
	switch {
	case c.cost < 0:
		m.fail(c, bulkhead.ErrBadRequest)
		return
	case c.cost == 0:
		m.grant(c, false)
		return
	case len(queue) == 0 && c.cost <= free:
		m.grant(c, m.fast%64 == 0 || free < 2*c.cost)
		m.fast++
		return
	case c.cost > m.capacity:
		m.fail(c, bulkhead.ErrTooLarge)
		return
	}
	limit := time.Duration(math.MaxInt64)
	if m.cfg.MaxWait > 0 {
		limit, c.late, c.expires = m.cfg.MaxWait, bulkhead.ErrMaxWait, c.arrived.Add(m.cfg.MaxWait)
	}
	if left := c.ctxEnds.Sub(c.arrived) - m.cfg.ServiceTime; !c.ctxEnds.IsZero() && left < limit {
		limit, c.late, c.expires = left, bulkhead.ErrDeadline, c.arrived.Add(left)
		if m.cfg.ServiceTime == 0 {
			c.expires = time.Time{} // by its context
		}
	}
	if m.goesAtOnce(c, queue, free) {
		m.grant(c, true)
		return
	}
	c.state = callWaits
	c.expected = m.expectedWait(c)
	switch {
	case c.try || m.cfg.MaxQueue == 0:
		m.fail(c, bulkhead.ErrFull)
		return
	case limit <= 0 || c.expected > limit && !m.cfg.NoEstimate:
		m.fail(c, c.late)
		return
	}
	loser := c
	for _, other := range queue {
		if other.priority < loser.priority || other.priority == loser.priority && other.id > loser.id {
			loser = other
		}
	}
	if loser == c && len(queue) == m.cfg.MaxQueue {
		m.fail(c, bulkhead.ErrFull)
		return
	}
	m.drain(c) // others may go before it if it is the head now
	if len(m.inState(callWaits)) > m.cfg.MaxQueue {
		loser.expected = m.expectedWait(loser)
		m.fail(loser, bulkhead.ErrEvicted)
		m.left(loser)
		m.drain(c)
	}
}

// goesAtOnce reports whether a new call goes before all in the queue, none of which can go, and notes if the head is passed by that.
func (m *fuzzModel) goesAtOnce(c *fuzzCall, queue []*fuzzCall, free int) bool {
	if c.cost > free {
		return false
	}
	c.state = callWaits
	first := len(queue) == 0 || m.queue()[0] == c
	c.state = callOver
	if first {
		return true
	}
	head := queue[0]
	if head.passed == m.cfg.MaxOvertakes {
		return false
	}
	head.passed++
	m.stats.Overtakes++
	return true
}

// endWait takes a call out of the queue.
func (m *fuzzModel) endWait(c *fuzzCall, err error) {
	c.expected = m.expectedWait(c)
	m.fail(c, err)
	m.left(c)
	m.drain(nil)
}

// pass does what happens by itself until a time, in order.
func (m *fuzzModel) pass(until time.Time) {
	for {
		var next *fuzzCall
		var err error
		m.now = until
		for _, c := range m.inState(callWaits) {
			if !c.expires.IsZero() && c.expires.Before(m.now) {
				next, err, m.now = c, c.late, c.expires
			}
			if !c.ctxEnds.IsZero() && c.ctxEnds.Before(m.now) {
				next, err, m.now = c, context.DeadlineExceeded, c.ctxEnds
			}
		}
		if next == nil {
			return
		}
		m.endWait(next, err)
	}
}

func (m *fuzzModel) release(c *fuzzCall) {
	if c.state != callHolds {
		return
	}
	c.state = callOver
	if c.timed && c.held > 0 {
		m.seen = append(m.seen, observation{c.held, m.now.Sub(c.since)})
	}
	m.drain(nil)
}

func (m *fuzzModel) settle(c *fuzzCall, actual int) {
	if c.state == callHolds && actual >= 0 {
		c.held = actual
		m.drain(nil)
	}
}

func (m *fuzzModel) resize(capacity int) {
	m.capacity = capacity
	for _, c := range m.inState(callWaits) {
		if c.cost > capacity {
			m.fail(c, bulkhead.ErrTooLarge)
			m.left(c)
		}
	}
	m.drain(nil)
}

// snapshot is what Stats should say.
func (m *fuzzModel) snapshot() bulkhead.Stats {
	s := m.stats
	s.Capacity = m.capacity
	s.InUse = int64(m.capacity - m.free())
	for _, c := range m.inState(callWaits) {
		s.Queued++
		s.QueuedCost += int64(c.cost)
	}
	s.HoldTime = m.holdTime()
	return s
}
