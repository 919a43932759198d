package limiter

import (
	"context"
	"errors"
	"time"
)

// finish is what is left of acquire after admit: the wait for the outcome of w, if there is one, or the report of err. It returns which limits w
// took from.
func (c *core) finish(ctx context.Context, cost int, w *waiter, err error) (from epochs, _ error) {
	if w == nil {
		return from, c.reject(cost, 0, err)
	}
	return c.wait(ctx, w)
}

// reject reports a request that is rejected with err, which it returns.
func (c *core) reject(cost int, waited time.Duration, err error) error {
	c.mu.Lock()
	report := c.cfg.OnReject
	c.mu.Unlock()
	if report != nil {
		e := RejectEvent{Total: c.total, Cost: cost, Waited: waited, Err: err}
		if c.home != nil {
			e.Key = c.home.name()
		}
		report(e)
	}
	return err
}

// wait is the outcome of w, or the end of the caller's context.
func (c *core) wait(ctx context.Context, w *waiter) (epochs, error) {
	select {
	case <-w.wake:
	case <-ctx.Done():
		locked, _ := c.lock(false) // another than c only if c was evicted, and w is not queued then
		if w.queued {
			c.unqueue(w)
			c.left(ctx)
			locked.unlock()
			c.waiters.put(w)
			return epochs{}, context.Cause(ctx)
		}
		locked.unlock()
		<-w.wake
	}
	waited, from, err, cost := w.waited, w.from, w.err, w.cost
	c.waiters.put(w)
	switch {
	case err != nil:
		return from, c.reject(cost, waited, err)
	case ctx.Err() != nil:
		// It was let through as its context ended: nobody is there any more to use that.
		c.undo(ctx, from, cost, waited)
		return from, context.Cause(ctx)
	}
	return from, nil
}

func (c *core) left(ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.stats.Expired++
	} else {
		c.stats.Cancelled++
	}
}

// undo makes as if the request had left before it was let through.
func (c *core) undo(ctx context.Context, from epochs, cost int, waited time.Duration) {
	c, now := c.lock(false)
	c.stats.Admitted--
	c.stats.Waited--
	c.stats.ReservedCost -= uint64(cost)
	c.stats.QueueWait -= waited
	c.left(ctx)
	c.giveBack(now, from, 1, cost)
	c.unlock()
}
