package breaker

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/internal/stripe"
)

// counter counts the calls of one era. It is the only thing that a call which succeeds writes to, so it is split into stripes, each
// on a cache line of its own: otherwise all processors would wait for one line.
type counter struct{ stripes []count }

// count is one stripe.
type count struct {
	n atomic.Uint64
	_ [56]byte
}

const sealed = 1 << 63 // in each stripe, when the era is over

func newCounter() counter { return counter{make([]count, stripe.Count())} }

// add counts a call. It returns false, and counts nothing, if the counter is sealed.
func (c *counter) add() bool {
	return c.stripes[stripe.Index(len(c.stripes))].n.Add(1) < sealed
}

// sum is the number of calls counted. It must not be sealed. Calls that are being counted at the same time may be in it or not.
func (c *counter) sum() (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].n.Load()
	}
	return n
}

// seal ends counting and returns the number of calls that were counted.
func (c *counter) seal() (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].n.Or(sealed)
	}
	return n
}
