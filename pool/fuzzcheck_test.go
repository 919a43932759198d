package pool_test

import (
	"context"
	"errors"
	"testing/synctest"

	"github.com/scalable-ai/patterns/pool"
)

// returned checks the outcome of a call.
func (m *fuzzModel) returned(c *fuzzCall, resp int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.over {
		m.failf("call %d has two outcomes", c.id)
	}
	c.over, c.resp, c.err = true, resp, err
	var panicked *pool.PanicError
	switch {
	case c.submit && (c.started || c.accepted):
		m.failf("call %d, which Submit let in: %v", c.id, err)
	case c.gone != nil:
		if !errors.Is(err, c.gone) {
			m.failf("call %d: %v, want %v", c.id, err, c.gone)
		}
	case !c.started:
		if !errors.Is(err, pool.ErrClosed) && !errors.Is(err, pool.ErrQueueFull) && !errors.Is(err, c.cause) {
			m.failf("call %d has not been executed: %v", c.id, err)
		}
	case m.closed && (c.script == scriptNested || c.script == scriptNestedPanic) && errors.Is(err, context.Canceled):
	case c.script == scriptError && errors.Is(err, errModel):
	case c.script == scriptContext && m.closed && errors.Is(err, errModel):
	case (c.script == scriptPanic || c.script == scriptNestedPanic) && errors.As(err, &panicked) && errors.Is(err, errModel):
	case c.script == scriptGoexit && errors.Is(err, pool.ErrGoexit):
	case (c.script == 0 || c.script == scriptContext || c.script == scriptNested || c.script > scriptNestedPanic) && err == nil && resp == c.id*10:
	default:
		m.failf("call %d: %d, %v", c.id, resp, err)
	}
}

// check compares the pool with the model when all is quiet.
func (m *fuzzModel) check() {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.p.Stats()
	waiting, executing, here := 0, 0, 0
	newestStarted := map[int]int{}
	for _, c := range m.calls {
		if c.started {
			newestStarted[c.class] = c.id
			if !c.over {
				executing++
				if c.cancel == nil && c.future == nil && !c.submit {
					here++
				}
			}
		}
	}
	for _, c := range m.calls {
		if !c.waits() {
			continue
		}
		waiting++
		if c.id < newestStarted[c.class] {
			m.failf("call %d waits though %d of its class, which came later, was started", c.id, newestStarted[c.class])
		}
	}
	switch {
	case s.Queued+s.Blocked != waiting || s.Busy != m.running || s.Running != executing || s.Size != m.size:
		m.failf("waiting %d, running %d, with somebody waiting for it %d, size %d, but %+v", waiting, m.running, executing, m.size, s)
	case waiting > 0 && m.running < m.size:
		m.failf("%d wait though only %d of %d run", waiting, m.running, m.size)
	case s.Workers > s.Busy || s.Workers < s.Busy-here:
		m.failf("%d workers for %d that run, %d of them perhaps on their callers' goroutines", s.Workers, s.Busy, here)
	case s.Queued > m.cfg.MaxQueue+max(0, m.size-m.running), s.Blocked > 0 && (s.Queued < m.cfg.MaxQueue || m.cfg.RejectWhenFull):
		m.failf("queue: %+v", s)
	}
}
