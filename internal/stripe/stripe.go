// Package stripe spreads what many goroutines write over several places, so that they do not wait for one cache line.
package stripe

import (
	"math/bits"
	"runtime"
	"unsafe"
)

// Most is the most that Count returns.
const Most = 16

// Count is how many stripes to make, each on a cache line of its own: a power of 2, and more than there are processors, so that few
// goroutines meet by chance. It is 1 if there is one processor.
func Count() int {
	procs := runtime.GOMAXPROCS(0)
	if procs == 1 {
		return 1
	}
	return 1 << bits.Len(uint(min(Most, 4*procs)-1))
}

// Index picks one of n stripes, n being a power of 2, for the goroutine that calls it. It often picks the same one again for the same goroutine,
// but need not.
func Index(n int) int {
	// Goroutines have stacks of their own, so an address on the stack tells them apart. It may change, or be that
	// of another one: any stripe is right.
	var here byte
	i := uint32(uintptr(unsafe.Pointer(&here))>>10) * 0x9E3779B1 >> 16 // Fibonacci hashing
	return int(i & uint32(n-1))
}
