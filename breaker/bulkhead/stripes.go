package bulkhead

import "sync/atomic"

// place is a stripe. It holds part of what is free, for those goroutines that come to it, on a cache line of its own: while there is plenty of room callers on
// different processors then need not wait for each other's writes to core.state, which would be the most of what a call costs.
//
// Its word is made like core.state. The flag, which says there that somebody waits, says here that the stripe is closed: nothing is in
// it, and nothing is taken from it or given back to it. Stripes are opened and closed under core.mu, all together:
//
//   - They are opened when there is room for twice what they get (see open), and nobody waits.
//   - They are closed, and what is in them goes back to core.state, before anybody is put into the queue or turned away. From then on core.state
//     has all that is free, so nobody waits or fails for what lies in a stripe.
//
// A call gives back to where it took from or, if that is closed, to core.state. It sees which by the compare-and-swap on the same word by which
// it gives back: either that comes first and closing collects it, or it sees the flag. So no wake-up is lost: whoever waits has
// closed the stripes before.
type place struct {
	state atomic.Int64
	_     [56]byte
}

const closed = waiting

// giveBack puts the cost into a stripe, if it is open.
func giveBack(state *atomic.Int64, cost int64) bool {
	for {
		s := state.Load()
		if s&closed != 0 {
			return false
		}
		if state.CompareAndSwap(s, s+cost*unit) {
			return true
		}
	}
}

// open spreads half of what is free over the stripes, if nobody waits and at least half of the capacity is free. Under mu.
func (c *core) open() {
	free, n := c.available(), int64(len(c.stripes))
	if c.striped || n == 0 || c.queue.n > 0 || free < c.capacity.Load()/2 {
		return
	}
	share := free / 2 / n
	if share == 0 || !c.takeOnly(share*n) {
		return
	}
	for i := range c.stripes {
		c.stripes[i].state.Store(share * unit) // it was closed, so nobody else writes to it
	}
	c.striped = true
}

// close takes back what is in the stripes. Under mu.
func (c *core) close() {
	if !c.striped {
		return
	}
	c.striped = false
	var free int64
	for i := range c.stripes {
		s := c.stripes[i].state.Swap(closed)
		free += s >> unitBits
		c.admitted.Add(uint64(s & (unit - 1) / counted))
	}
	c.state.Add(free * unit)
}

// gather closes the stripes.
func (c *core) gather() {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
}
