package limiter

import (
	"math"
	"sync/atomic"
	"time"
)

// Permit is a request that was let through. It holds nothing that must be released: if it is never settled, the request has cost what was
// reserved. All methods are safe for concurrent use, and do nothing on a nil Permit. Settling is final: only the first Settle or Cancel has an
// effect.
type Permit struct {
	own, total receipt // total is zero if there is none
	cost       int
	settled    atomic.Bool
}

// receipt says where a request took what it took: from which core, and from which of its limits.
type receipt struct {
	core *core
	from epochs
}

// Cost is what was reserved; settling does not change it.
func (p *Permit) Cost() int {
	if p == nil {
		return 0
	}
	return p.cost
}

// Settle says what the request has cost in fact. If that is less than was reserved the difference is given back, as far as it fits into
// the bucket, and may let others through at once; if it is more the difference is taken in addition, even into debt (see
// Config.MaxDebt). A limit that there was not when the request was let through is left as it is. A negative number is NeverRan. Calls after the first Settle or Cancel do nothing.
func (p *Permit) Settle(actual int) {
	if p != nil && p.settled.CompareAndSwap(false, true) {
		settle(p.own, p.total, p.cost, actual)
	}
}

// Cancel gives everything back, as if the request had never been made: for work that was not begun after all. It is Settle(NeverRan).
func (p *Permit) Cancel() { p.Settle(NeverRan) }

// settle puts the actual cost of a request in the place of the reserved one.
func settle(own, total receipt, cost, actual int) {
	if cost == actual {
		return
	}
	own.settle(cost, actual)
	if total.core != nil {
		total.settle(cost, actual)
	}
}

func (r receipt) settle(cost, actual int) {
	c, now := r.core.lock(actual > cost)
	stats := &c.stats
	switch {
	case actual < 0:
		stats.Returned++
		count(&stats.RefundedCost, cost)
		c.giveBack(now, r.from, 1, cost)
	case actual < cost:
		count(&stats.RefundedCost, cost-actual)
		c.giveBack(now, r.from, 0, cost-actual)
	default:
		extra, forgiven := actual-cost, 0
		if r.from.cost == c.epochs.cost {
			forgiven = c.cost.chargeDownTo(now, extra, c.cfg.MaxDebt)
		}
		count(&stats.ExtraCost, extra-forgiven)
		count(&stats.ForgivenCost, forgiven)
	}
	c.unlock()
}

// giveBack gives back to those limits that it was taken from.
func (c *core) giveBack(now time.Duration, from epochs, requests, cost int) {
	if from.requests == c.epochs.requests {
		c.requests.credit(now, requests)
	}
	if from.cost == c.epochs.cost {
		c.cost.credit(now, cost)
	}
}

// pause lets nothing through for d from now. A pause that is on already is never made shorter.
func (c *core) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	c, now := c.lock(true)
	c.pausedUntil = max(c.pausedUntil, now+min(d, math.MaxInt64-now))
	c.unlock()
}

func (c *core) resume() {
	c, _ = c.lock(false)
	c.pausedUntil = 0
	c.unlock()
}

func (c *core) lower(requests, cost int) {
	c, now := c.lock(true)
	c.requests.lower(now, requests)
	c.cost.lower(now, cost)
	c.unlock()
}

func (c *core) level() Level {
	now := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.levelAt(c.tick(now))
}

func (c *core) levelAt(now time.Duration) Level {
	return Level{
		Requests: c.requests.level(now),
		Cost:     c.cost.level(now),
		Paused:   max(c.pausedUntil-now, 0),
		Queued:   c.queue.n,
	}
}

// fullIn is how long it takes until there is nothing to remember: full buckets, no pause, and so nobody who waits. 0 if that is now.
func (c *core) fullIn(now time.Duration) time.Duration {
	return max(c.pausedUntil-now, 0,
		c.requests.wait(now, int64(c.requests.limit.Burst)),
		c.cost.wait(now, int64(c.cost.limit.Burst)))
}
