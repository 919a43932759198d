package breaker

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// counter counts the calls of one era. It is the only thing that a call which succeeds writes to, so it is split into stripes, each
// on a cache line of its own: otherwise all processors would wait for one line.
type counter struct{ stripes []stripe }

type stripe struct {
	n atomic.Uint64
	_ [56]byte
}

const (
	maxStripes = 16      // a kilobyte
	sealed     = 1 << 63 // in each stripe, when the era is over
)

// newCounter has more stripes than there are processors, so that few goroutines meet by chance.
func newCounter() counter {
	n := min(maxStripes, 4*runtime.GOMAXPROCS(0))
	return counter{make([]stripe, 1<<bits.Len(uint(n-1)))}
}

// add counts a call. It returns false, and counts nothing, if the counter is sealed.
func (c *counter) add() bool {
	// Goroutines have stacks of their own, so an address on the stack tells them apart. It may change, or be that
	// of another one: any stripe is right.
	var here byte
	i := uint32(uintptr(unsafe.Pointer(&here))>>10) * 0x9E3779B1 >> 16 // Fibonacci hashing
	return c.stripes[i&uint32(len(c.stripes)-1)].n.Add(1) < sealed
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
