package limiter

import "math"

// A request that does not wait needs the clock for one thing only: to know what has come in since the last one. Where far more than it needs is
// there anyhow, that costs more than all the rest. So whoever has read the clock leaves a lease: so many requests, of so much cost, that
// may go without clock and lock, by one compare-and-swap. Whoever has the lock next takes it back, and books what was used of it.
//
// When within that time it was used nobody knows. It is booked at the end, after what has come in, so the limits hold in any case: tokens taken
// later leave less room for those that come in. If the bucket was full meanwhile, then it is not as full as it could be afterwards: by
// what was used of one lease, at most, since what is short at the end of a lease is part of the room that is left to fill up. That is why a lease
// is small: leaseCalls requests like the one that leaves it, and 1/leaseShare of the burst. With a smaller Burst there are none.
//
// The end is when the one who takes the lease back has read the clock, which is before it got the lock. If it was kept from the lock for long it books
// as of then, with what it takes itself, what others have used of one lease since. That comes on top if the bucket was full then. To
// read the clock again under the lock would cost each request a twentieth of its time, and more where processors wait for the lock.
//
// There is a lease only while nobody waits, and it is left and taken back under the lock, so nobody is overtaken by it.
const (
	leaseCalls = 64
	leaseShare = 1024

	// The fields of core.lease: cost, over a number of requests.
	leaseBits = 8
	leaseMask = 1<<leaseBits - 1
	leaseCost = 1 << 54 // that of a lease if there is no limit to it
)

// lends reports whether the limit has enough for leases.
func (l Limit) lends() bool { return l == Limit{} || l.Burst >= leaseShare }

// takeLeased lets a request through if there is a lease that it fits into. It cannot be settled: of the limits that there are now nobody knows
// whether it took from them.
func (c *core) takeLeased(cost int) bool {
	for {
		l := c.lease.Load()
		if l&leaseMask == 0 || uint64(cost) > l>>leaseBits {
			return false
		}
		if c.lease.CompareAndSwap(l, l-uint64(cost)<<leaseBits-1) {
			return true
		}
	}
}

// leave leaves a lease, for requests like one that has just been let through without waiting: so nobody waits.
func (c *core) leave(cost int) {
	calls, most := c.requests.spare(leaseCalls), float64(leaseCost)
	if c.cost.limited {
		most = c.cost.spare(float64(cost) * leaseCalls)
	}
	if calls < 1 || most < float64(cost) {
		return
	}
	c.leased = uint64(most)<<leaseBits | uint64(calls)
	c.lease.Store(c.leased)
}

// takeBack ends the lease.
func (c *core) takeBack() {
	used := c.leased - c.lease.Swap(0)
	c.leased = 0
	if used == 0 {
		return
	}
	c.requests.charge(c.now, float64(used&leaseMask))
	c.cost.charge(c.now, float64(used>>leaseBits))
	c.stats.addLeased(used)
}

// counters are the stats, with what has been used of the lease.
func (c *core) counters() Stats {
	s := c.stats
	if c.leased != 0 {
		s.addLeased(c.leased - c.lease.Load())
	}
	return s
}

func (s *Stats) addLeased(used uint64) {
	s.Admitted += used & leaseMask
	s.ReservedCost += min(used>>leaseBits, math.MaxUint64-s.ReservedCost)
}
