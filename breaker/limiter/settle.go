package limiter

import (
	"math"
	"sync/atomic"
	"time"
)

// Permit is a request that was let through. It holds nothing that must be released: if it is never settled, the request has cost what was
// reserved. All methods are safe for concurrent use, and only the first of them that is called has an effect.
type Permit struct {
	core, total *core // total is nil if there is none
	cost        int
	settled     atomic.Bool
}

// Cost is what was reserved.
func (p *Permit) Cost() int { return p.cost }

// Settle says what the request has cost in fact. If that is less than was reserved the difference is given back, as far as it fits into
// the bucket, and may let others through at once; if it is more the difference is taken in addition, even into debt (see
// Config.MaxDebt). A negative number is NeverRan. Calls after the first Settle or Cancel do nothing.
func (p *Permit) Settle(actual int) {
	if p.settled.CompareAndSwap(false, true) {
		settle(p.core, p.total, p.cost, actual)
	}
}

// Cancel gives everything back, as if the request had never been made: for work that was not begun after all. It is Settle(NeverRan).
func (p *Permit) Cancel() { p.Settle(NeverRan) }

// settle puts the actual cost of a request in the place of the reserved one.
func settle(c, total *core, cost, actual int) {
	if cost == actual {
		return
	}
	c.settle(cost, actual)
	if total != nil {
		total.settle(cost, actual)
	}
}

func (c *core) settle(cost, actual int) {
	c, now := c.lock(actual > cost)
	stats, t := &c.stats, c.at(now)
	switch {
	case actual < 0:
		stats.Returned++
		count(&stats.RefundedCost, cost)
		c.requests.credit(t, 1)
		c.cost.credit(t, cost)
	case actual < cost:
		count(&stats.RefundedCost, cost-actual)
		c.cost.credit(t, cost-actual)
	default:
		extra := actual - cost
		forgiven := c.cost.chargeDownTo(t, extra, c.cfg.MaxDebt)
		count(&stats.ExtraCost, extra-forgiven)
		count(&stats.ForgivenCost, forgiven)
	}
	c.unlock()
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
	c.requests.lower(c.at(now), requests)
	c.cost.lower(c.at(now), cost)
	c.unlock()
}

func (c *core) level() Level {
	now := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.levelAt(c.tick(now))
}

func (c *core) levelAt(now time.Duration) Level {
	t := c.at(now)
	return Level{
		Requests: c.requests.level(t),
		Cost:     c.cost.level(t),
		Paused:   max(c.pausedUntil-now, 0),
		Waiting:  c.queue.n,
	}
}

// fullIn is how long it takes until there is nothing to remember: full buckets, no pause, and so nobody who waits. 0 if that is now.
func (c *core) fullIn(now time.Duration) time.Duration {
	t := c.at(now)
	return max(c.pausedUntil-now, 0,
		c.requests.wait(t, int64(c.requests.limit.Burst)),
		c.cost.wait(t, int64(c.cost.limit.Burst)))
}
