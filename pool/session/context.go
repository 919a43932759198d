package session

import (
	"context"
	"sync"
	"sync/atomic"
)

type slotKey struct{}

// place is where a session is.
type place struct{ slot, device int }

// SlotOf returns the slot and the device of the session that is being opened, warmed up, checked or used with ctx. A slot has one
// session at a time. ok is false for any other context.
func SlotOf(ctx context.Context) (slot, device int, ok bool) {
	at, ok := ctx.Value(slotKey{}).(place)
	return at.slot, at.device, ok
}

// mark makes a context recognisable: by SlotOf, and by Do that is called from inside.
type mark struct {
	owner any
	at    place
	over  atomic.Bool // no session is held: who has kept the context (context.WithoutCancel) may call Do with it
}

func (m *mark) value(key any) (any, bool) {
	switch key {
	case m.owner:
		return key, !m.over.Load()
	case slotKey{}:
		return m.at, true
	}
	return nil, false
}

// ownContext is the context of an opening or a check.
type ownContext struct {
	context.Context
	mark
}

func (c *ownContext) Value(key any) any {
	if v, ok := c.value(key); ok {
		return v
	}
	return c.Context.Value(key)
}

// callContext is the context of a request or a lease: it ends with the caller's, when the pool is closed, and when the request is over. To merge
// the first two costs several allocations, so it is done only for a function that asks for Done.
type callContext struct {
	context.Context // the caller's
	mark
	closing context.Context // of the pool

	mu     sync.Mutex
	merged context.Context // nil until it is needed
	cancel context.CancelCauseFunc
	stop   func() bool
}

// merge is called under mu.
func (c *callContext) merge() {
	if c.merged != nil {
		return
	}
	c.merged, c.cancel = context.WithCancelCause(c.Context)
	switch {
	case c.over.Load():
		c.cancel(nil)
	case c.closing.Err() != nil:
		c.cancel(nil) // not ErrClosed, which says that no work began
	default:
		cancel := c.cancel
		c.stop = context.AfterFunc(c.closing, func() { cancel(nil) })
	}
}

func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.merge()
	return c.merged.Done()
}

func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.merged == nil {
		if err := c.Context.Err(); err != nil || !c.over.Load() && c.closing.Err() == nil {
			return err
		}
		c.merge()
	}
	return c.merged.Err()
}

func (c *callContext) Value(key any) any {
	if v, ok := c.value(key); ok {
		return v
	}
	c.mu.Lock()
	inner := c.merged
	c.mu.Unlock()
	if inner == nil {
		inner = c.Context
	}
	return inner.Value(key)
}

// end is called when the request is over. Whoever has kept the context finds it cancelled.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over.Store(true)
	if c.merged != nil {
		if c.stop != nil {
			c.stop()
		}
		c.cancel(nil)
	}
}
