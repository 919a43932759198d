package bulkhead

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const permitReleased = -1

// maxDebt bounds what may be held above the capacity.
const maxDebt = 1 << 50

// Permit is a share of a bulkhead's capacity, from Acquire or TryAcquire. It must be released; whatever else its holder
// does, it is released once. All methods are safe for concurrent use, and do nothing on a nil Permit.
type Permit struct {
	c     *core
	held  atomic.Int64 // cost, or permitReleased
	since time.Duration
	from  *atomic.Int64
}

// acquire makes p, which is zero, a permit. It keeps p nowhere and Acquire is small enough to be inlined, so that the compiler can
// put the Permit of a caller that keeps it to itself on that caller's stack.
func (p *Permit) acquire(ctx context.Context, c *core, cost int, try bool) (*Permit, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t, err := c.acquire(ctx, cost, try)
	if err != nil {
		return nil, err
	}
	p.c, p.since, p.from = c, t.since, t.from
	p.held.Store(t.cost)
	return p, nil
}

// Release gives back what the permit holds and wakes those that it is enough for. Only the first call does anything, so
// it may be deferred and also called early.
func (p *Permit) Release() {
	if p == nil || p.c == nil {
		return
	}
	if held := p.held.Swap(permitReleased); held != permitReleased {
		p.c.release(ticket{held, p.since, p.from})
	}
}

// Cost is what the permit holds now: what was asked for, or what Settle has made of it; 0 after Release.
func (p *Permit) Cost() int {
	if p == nil {
		return 0
	}
	return max(0, int(p.held.Load()))
}

// Settle changes what the permit holds, from now until Release, to the actual cost: for work that turns out lighter or heavier
// than the estimate it was admitted with (a prompt's tokens plus those that the model has generated so far).
//
// If actual is less than what the permit holds, the difference is free at once. If it is more, the difference
// is taken at once, without waiting and whether it is free or not: the holder is never blocked. What is then held above the
// capacity is a debt: nothing is admitted until it and the cost of the one to be admitted have been freed.
//
// It may be called as often as is useful; the last value counts. This differs from a permit of a rate limiter or a circuit breaker,
// whose Settle is final and returns nothing: here it ends nothing, Release does, and what it refuses it says. There is nothing to settle at the end: a bulkhead bounds
// what is held at the same time, so a permit that is released holds nothing, whatever it has really cost. After
// Release, Settle does nothing and returns nil. (What is spent, like tokens per minute, is a rate limiter's to settle.)
//
// A negative actual, one above 1<<40, or one that would bring the debt above 1<<50, is ErrBadRequest and changes nothing. 0 gives everything
// back while the work goes on.
func (p *Permit) Settle(actual int) error {
	if p == nil || p.c == nil {
		return nil
	}
	if actual < 0 || int64(actual) > maxCapacity {
		return fmt.Errorf("%w: settled at %d", ErrBadRequest, actual)
	}
	for {
		held := p.held.Load()
		if held == permitReleased || held == int64(actual) {
			return nil
		}
		// At no moment may the permit hold more than has been taken for it, or a Release in between would give back too
		// much. So more is taken first and noted then, and less is noted first and given back then.
		more := max(int64(actual)-held, 0)
		if more > 0 && p.c.available()-more < -maxDebt {
			return fmt.Errorf("%w: settled at %d, with a debt of %d", ErrBadRequest, actual, -p.c.available())
		}
		if p.c.state.Add(-more*unit) < 0 && more > 0 {
			p.c.gather() // a debt, perhaps: nothing may be admitted from the stripes then, either
		}
		if p.held.CompareAndSwap(held, int64(actual)) {
			if less := held - int64(actual); less > 0 {
				p.c.free(p.from, less)
			}
			return nil
		}
		if more > 0 {
			p.c.free(&p.c.state, more)
		}
	}
}
