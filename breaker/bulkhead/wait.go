package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

const noLimit = time.Duration(math.MaxInt64)

// patience is how long a caller can wait, and what it means if that is not enough.
type patience struct {
	limit time.Duration
	late  Reason
	timer time.Duration // after which it leaves the queue, if its context does not make it leave
}

func (c *core) patience(ctx context.Context, now time.Duration) patience {
	p := patience{limit: noLimit, late: ReasonMaxWait, timer: noLimit}
	if c.cfg.MaxWait > 0 {
		p.limit, p.timer = c.cfg.MaxWait, c.cfg.MaxWait
	}
	if deadline, ok := ctx.Deadline(); ok {
		if left := deadline.Sub(c.start) - now - c.cfg.ServiceTime; left < p.limit {
			p.limit, p.late, p.timer = left, ReasonDeadline, noLimit
			if c.cfg.ServiceTime > 0 {
				p.timer = left
			}
		}
	}
	return p
}

// acquireSlow admits a call that has found no room, or others waiting.
func (c *core) acquireSlow(ctx context.Context, cost int64, try bool) (ticket, error) {
	now, done := c.now(), ctx.Done()
	p := c.patience(ctx, now)
	w := c.waiters.Get().(*waiter)
	w.cost, w.class, w.passed, w.outcome = cost, classOf(ctx), 0, outcome{}
	w.rank = now - time.Duration(w.class)*c.cfg.Ageing

	c.mu.Lock()
	c.enter(w, p, try)
	queued := w.outcome.state == stateQueued
	if !queued {
		c.woken.remove(w) // it is awake
	}
	c.unlock()

	r := rejection{cost: cost, class: w.class}
	if queued {
		c.await(w, p, done)
		r.waited = c.now() - now
		c.queued.Add(1)
		c.queueWait.Add(int64(r.waited))
	}
	r.outcome = w.outcome
	c.waiters.Put(w)

	switch err := ctx.Err(); {
	case r.state == stateRejected:
		return ticket{}, c.reject(r)
	case r.state == stateLeft || queued && err != nil:
		// It may have been granted its cost at the same moment. There is one outcome, and it is this.
		if r.state == stateGranted {
			c.free(&c.state, cost)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			c.expired.Add(1)
		} else {
			c.cancelled.Add(1)
		}
		return ticket{}, context.Cause(ctx)
	}
	c.admitted.Add(1)
	return ticket{cost, now + r.waited, &c.state}, nil
}

// enter decides about a new waiter: it is granted its cost, rejected, or left in the queue.
func (c *core) enter(w *waiter, p patience, try bool) {
	rejected := outcome{state: stateRejected, reason: ReasonTooLarge}
	if w.cost > c.capacity.Load() {
		c.finish(w, rejected)
		return
	}
	rejected.reason = ReasonFull
	c.close()
	if c.queue.n == 0 && (try || c.cfg.MaxQueue == 0) {
		// It needs no place in the queue, which would keep others off the fast path.
		if c.takeOnly(w.cost) {
			c.finish(w, outcome{state: stateGranted})
			return
		}
		rejected.expected = c.expectedWait(w.class, w.cost)
		c.finish(w, rejected)
		return
	}
	c.state.Or(waiting)
	c.queue.push(w)
	w.passed = c.cfg.MaxOvertakes // if it is the head, nobody goes before it until it is certain that it stays
	c.drain()
	if w.outcome.state != stateQueued {
		return
	}
	rejected.expected = c.expectedWait(w.class, 0)
	stays := false
	switch {
	case try:
	case p.limit <= 0 || rejected.expected > p.limit && !c.cfg.NoEstimate:
		rejected.reason = p.late
	default:
		stays = c.queue.n <= c.cfg.MaxQueue || c.queue.newestOfLowest() != w
	}
	if !stays {
		c.remove(w, rejected)
		c.drain()
		return
	}
	w.passed = 0
	c.drain()
	if c.queue.n > c.cfg.MaxQueue { // nobody could go, so the newest of the lowest is another still
		loser := c.queue.newestOfLowest()
		c.remove(loser, outcome{state: stateRejected, reason: ReasonEvicted, expected: c.expectedWait(loser.class, 0)})
		c.drain()
	}
}

// expectedWait is how long it takes until a cost more than what is queued in the class and above has been freed. It does
// not count those of lower classes who have aged enough to go first: it rather lets a caller wait in vain than
// rejects one that would have made it.
func (c *core) expectedWait(class int, more int64) time.Duration {
	return c.estimate.wait(c.queue.costFrom(class)+more-c.available(), c.capacity.Load())
}

// await waits until the waiter has an outcome, which is also that its caller gives up.
func (c *core) await(w *waiter, p patience, done <-chan struct{}) {
	var timeout <-chan time.Time
	if p.timer < noLimit {
		if w.timer == nil {
			w.timer = time.NewTimer(p.timer)
		} else {
			w.timer.Reset(p.timer)
		}
		timeout = w.timer.C
		defer w.timer.Stop()
	}
	select {
	case <-w.ready:
		return
	case <-done:
		c.leave(w, outcome{state: stateLeft})
	case <-timeout:
		c.leave(w, outcome{state: stateRejected, reason: p.late})
	}
	<-w.ready
}

// leave gives the waiter this outcome if it has none yet.
func (c *core) leave(w *waiter, o outcome) {
	c.mu.Lock()
	if w.outcome.state == stateQueued {
		o.expected = c.expectedWait(w.class, 0)
		c.remove(w, o)
		c.drain()
	}
	c.unlock()
}

// rejection is what is known of a call that is rejected.
type rejection struct {
	outcome
	cost   int64
	class  int
	waited time.Duration
}

// reject counts and reports a rejection, outside of mu, and makes the caller's error.
func (c *core) reject(r rejection) error {
	c.rejected[r.reason].Add(1)
	var err error
	switch r.reason {
	case ReasonBadRequest:
		err = fmt.Errorf("%w: cost %d", ErrBadRequest, r.cost)
	case ReasonTooLarge:
		err = fmt.Errorf("%w: %d is more than %d", ErrTooLarge, r.cost, c.capacity.Load())
	default:
		err = &RejectedError{r.reason, int(r.cost), r.waited, r.expected}
	}
	if c.cfg.OnReject != nil {
		c.cfg.OnReject(RejectEvent{r.reason, int(r.cost), r.class + MinPriority, r.waited, r.expected, err})
	}
	return err
}
