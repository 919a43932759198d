package limiter

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxLate is how much a late timer makes up for. After a longer standstill those who wait are not let through in one burst. It does not depend
// on Limit.Per: timers are late by as much where Per is short, and the rate would fall below the limit.
const maxLate = 100 * time.Millisecond

// core is the machinery of one Limiter, of one key of a Keyed, or of a Keyed's total: two buckets, and a queue in front of them.
//
// Tokens are taken for the head of the queue only, and only when they are there. So what is in the buckets belongs to
// nobody, a waiter that leaves has nothing to give back, and those behind it lose nothing. There is one timer, for the
// head, and none while nobody waits. Whatever may let the head go sooner (a refund, the head leaving, new limits) or
// decides that it comes too late (a debt, a pause) is done between lock and unlock.
type core struct {
	*shared
	total bool // the total of a Keyed
	home  home // nil if it is not one of the keys of a Keyed
	gone  bool // evicted; see home

	maxCost atomic.Int64  // of cfg, to be read without the lock
	lease   atomic.Uint64 // what may be taken without the lock

	cfg         *Config       // with the defaults filled in; replaced, not changed
	now         time.Duration // up to which time has passed for what follows
	requests    bucket
	cost        bucket
	pausedUntil time.Duration
	leases      bool   // by cfg, there may be some
	leased      uint64 // what lease was at first, 0 if there is none
	queue       fifo
	timer       *time.Timer
	armed       bool
}

// shared is what all keys of a Keyed have in common.
type shared struct {
	mu      sync.Mutex
	start   time.Time // the zero of all times inside
	epochs  epochs
	stats   Stats
	waiters waiterPool
}

// epochs number the limits. When there is a limit where there was none its number goes up: what was let through before took nothing from it, and
// has nothing to give back to it.
type epochs struct{ requests, cost uint32 }

// renew goes with a change of the limits from those of old to those of cfg.
func (s *shared) renew(old, cfg *Config) {
	if (old.Requests == Limit{}) && (cfg.Requests != Limit{}) {
		s.epochs.requests++
	}
	if (old.Cost == Limit{}) && (cfg.Cost != Limit{}) {
		s.epochs.cost++
	}
}

// home is what a core knows of the Keyed that it belongs to.
type home interface {
	// current is the core that stands for the key now, for one that was evicted. If there is none it is that one itself, which is put
	// back if revive is true; otherwise it stays out, which is right for what would only fill it: it was full.
	current(now time.Duration, revive bool) *core
	name() any // the key
}

func (c *core) init(s *shared, cfg *Config) {
	c.shared = s
	c.configure(cfg)
}

// tick is the time now, which must not go back: the clock was read before the lock was taken. Heads that were due before go first.
func (c *core) tick(now time.Duration) time.Duration {
	if now = max(c.now, now); c.queue.head != nil {
		c.advance(now)
	}
	c.now = now
	if c.leased != 0 {
		c.takeBack()
	}
	return now
}

// lock takes the lock for a change, and returns the core to change: c, or what stands for it if it was evicted. revive says whether
// the change takes anything away, so that it must not be forgotten.
func (c *core) lock(revive bool) (*core, time.Duration) {
	now := time.Since(c.start)
	c.mu.Lock()
	if c.gone {
		c = c.home.current(now, revive) // of the same Keyed, so it has the same lock
	}
	return c, c.tick(now)
}

// unlock ends what lock began: the head may go now, or not any more, or have left.
func (c *core) unlock() {
	if c.queue.head != nil || c.armed {
		c.arm(c.advance(c.now))
	}
	c.mu.Unlock()
}

// ended is what is asked first, before the callbacks: nobody waits for the answer any more.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// checkCost is what is asked before admission.
func checkCost(cost int) error {
	if cost < 0 {
		return fmt.Errorf("%w: negative cost %d", ErrBadRequest, cost)
	}
	return nil
}

// checkSize is what is done before admission to the total, so that nobody waits at a key for what cannot be.
func (c *core) checkSize(cost int) error {
	if int64(cost) <= c.maxCost.Load() {
		return nil
	}
	c.mu.Lock()
	c.stats.Rejected.TooLarge++
	c.mu.Unlock()
	return c.reject(cost, 0, c.tooLarge(cost))
}

func (c *core) tooLarge(cost int) error {
	return fmt.Errorf("%w: cost %d is more than can be let through at once, %d", ErrTooLarge, cost, c.maxCost.Load())
}

// acquire takes what one request of the cost needs, if need be after waiting (unless try is set). The caller has checked ctx and cost.
func (c *core) acquire(ctx context.Context, cost int, try bool) (receipt, error) {
	now := time.Since(c.start)
	c.mu.Lock()
	w, err := c.admit(ctx, cost, try, now)
	r := receipt{c, c.epochs}
	c.mu.Unlock()
	if w != nil || err != nil {
		r.from, err = c.finish(ctx, cost, w, err)
	}
	return r, err
}

// pass is acquire for a request that is never settled, and that waits if need be.
func (c *core) pass(ctx context.Context, cost int) error {
	if c.takeLeased(cost) {
		return nil
	}
	now := time.Since(c.start)
	c.mu.Lock()
	w, err := c.admit(ctx, cost, false, now)
	if c.leases && w == nil && err == nil {
		c.leave(cost)
	}
	c.mu.Unlock()
	if w != nil || err != nil {
		_, err = c.finish(ctx, cost, w, err)
	}
	return err
}

// admit is acquire under the lock, up to the point where it has to wait: with the waiter that it returns.
func (c *core) admit(ctx context.Context, cost int, try bool, now time.Duration) (*waiter, error) {
	now = c.tick(now)
	if int64(cost) > c.maxCost.Load() {
		c.stats.Rejected.TooLarge++
		return nil, c.tooLarge(cost)
	}
	if c.queue.head == nil && c.take(now, cost) {
		c.admitted(cost)
		return nil, nil
	}
	wait, cause := c.estimate(now, cost, c.queue.n, c.queue.weight)
	reason, deadline := ReasonNoWait, Never
	if !try && !c.cfg.NoWait {
		if d, ok := ctx.Deadline(); ok {
			deadline = d.Sub(c.start)
		}
		var ok bool
		if reason, ok = c.mayWait(now, wait, now, deadline); ok && c.queue.n >= c.cfg.MaxQueue {
			reason, ok = ReasonQueueFull, false
		}
		if ok {
			w := c.waiters.get(cost, now, deadline)
			c.queue.push(w)
			c.stats.Queued++
			c.stats.QueuedCost += w.weight
			if c.queue.head == w {
				c.arm(wait)
			}
			return w, nil
		}
	}
	if wait == Never {
		reason = ReasonNever
	}
	c.stats.Rejected.add(reason)
	return nil, c.limited(reason, cause, wait)
}

// take takes from both buckets or from neither.
func (c *core) take(now time.Duration, cost int) bool {
	if now < c.pausedUntil {
		return false
	}
	requests, ok := c.requests.has(now, 1)
	if !ok {
		return false
	}
	rest, ok := c.cost.has(now, cost)
	if !ok {
		return false
	}
	c.requests.put(now, requests)
	if cost > 0 {
		c.cost.put(now, rest)
	}
	return true
}

func (c *core) admitted(cost int) {
	c.stats.Admitted++
	count(&c.stats.ReservedCost, cost)
}

// estimate is how long a request waits behind n others of the given cost, as things stand, and what for. Where both limits bind in turn it
// may be too short, never too long.
func (c *core) estimate(now time.Duration, cost, n int, weight int64) (time.Duration, Cause) {
	wait, cause := c.requests.wait(now, 1+int64(n)), CauseRequests
	if w := c.pausedUntil - now; w > wait {
		wait, cause = w, CausePause
	}
	if cost == 0 && c.cfg.Borrow {
		weight -= int64(c.cfg.MaxDebt) // the debt of one who borrows is not for those behind to wait for who cost nothing
	}
	if cost > 0 || weight > 0 {
		if w := c.cost.wait(now, weight+c.cost.price(cost)); w > wait {
			wait, cause = w, CauseCost
		}
	}
	return max(wait, 1), cause
}

// mayWait says whether a request that arrived at the given time may wait so much longer, and if not, why.
func (c *core) mayWait(now, wait, arrived, deadline time.Duration) (Reason, bool) {
	switch {
	case wait == Never:
		return ReasonNever, false
	case deadline != Never && wait >= deadline-now:
		return ReasonDeadline, false
	case c.cfg.MaxWait > 0 && wait > c.cfg.MaxWait-(now-arrived):
		return ReasonMaxWait, false
	}
	return 0, true
}

func (c *core) limited(reason Reason, cause Cause, wait time.Duration) *LimitedError {
	return &LimitedError{Reason: reason, Cause: cause, Total: c.total, Wait: wait}
}

// advance lets time pass until now, and lets through those heads that can be meanwhile. It returns how long the next has to wait, or 0 if
// there is none.
//
// Time passes from one head to the next: each takes its tokens at the moment when they were there, even if the timer was
// late. Otherwise a small bucket would overflow in between, and the rate would fall below the limit.
//
// A head that comes too late is rejected: it may go elsewhere. Those behind it need not be looked at: they arrived later, and MaxWait is the
// same for all.
func (c *core) advance(now time.Duration) (next time.Duration) {
	for w := c.queue.head; w != nil; w = c.queue.head {
		if c.take(c.now, w.cost) {
			c.admitted(w.cost)
			c.stats.Waited++
			c.stats.QueueWait += now - w.arrived
			c.decide(w, now, nil)
			continue
		}
		wait, cause := c.estimate(c.now, w.cost, 0, 0)
		if reason, ok := c.mayWait(c.now, wait, w.arrived, w.deadline); !ok {
			c.stats.Rejected.add(reason)
			c.decide(w, now, c.limited(reason, cause, wait))
			continue
		}
		if next = wait - (now - c.now); next > 0 {
			break
		}
		c.now = max(c.now+wait, now-maxLate)
	}
	c.now = now
	if c.queue.head == nil {
		return 0
	}
	return next
}

// decide takes the waiter out of the queue and wakes it. It belongs to its caller from then on.
func (c *core) decide(w *waiter, now time.Duration, err error) {
	c.unqueue(w)
	w.waited, w.err, w.from = now-w.arrived, err, c.epochs
	w.wake <- struct{}{}
}

func (c *core) unqueue(w *waiter) {
	c.queue.remove(w)
	c.stats.Queued--
	c.stats.QueuedCost -= w.weight
}

// arm sets the timer for the head; 0 stops it.
func (c *core) arm(wait time.Duration) {
	c.armed = wait > 0
	switch {
	case c.timer == nil && c.armed:
		c.timer = time.AfterFunc(wait, c.onTimer)
	case c.armed:
		c.timer.Reset(wait)
	case c.timer != nil:
		c.timer.Stop()
	}
}

// onTimer may come too late, when the queue has changed or is empty: it then does nothing or sets the timer again.
func (c *core) onTimer() {
	now := time.Since(c.start)
	c.mu.Lock()
	c.tick(now)
	c.unlock()
}

// configure makes cfg the configuration, and rejects the waiters that can never be let through with it. Those who wait stay in
// their order.
func (c *core) configure(cfg *Config) {
	now := c.tick(time.Since(c.start))
	c.cfg = cfg
	c.maxCost.Store(cfg.maxCost())
	c.leases = cfg.Requests.lends() && cfg.Cost.lends()
	c.requests.set(now, cfg.Requests)
	c.cost.set(now, cfg.Cost)
	count(&c.stats.ForgivenCost, c.cost.forgive(now, cfg.MaxDebt))
	for w := c.queue.head; w != nil; {
		next := w.next
		if int64(w.cost) > c.maxCost.Load() {
			c.stats.Rejected.TooLarge++
			c.decide(w, now, c.tooLarge(w.cost))
		}
		w = next
	}
}
