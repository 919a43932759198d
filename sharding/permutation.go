package sharding

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// MaxSlots is the most slots that a table may have: those of Rendezvous, Maglev and Table.
const MaxSlots = 5_000_011

// permutation is the order in which a node likes the slots of a table whose size is a prime number, as in Maglev (Eisenbud et
// al., NSDI 2016, section 3.4): it begins at some slot and goes on by some number of slots, until it has been at all of them.
type permutation struct {
	at   uint64 // the slot that comes next
	skip uint64
}

// newPermutation has the numbers of Envoy's maglev.
func newPermutation(name string, slots uint64) permutation {
	var d xxhash.Digest
	d.ResetWithSeed(1)
	_, _ = d.WriteString(name)
	return permutation{at: xxhash.Sum64String(name) % slots, skip: d.Sum64()%(slots-1) + 1}
}

func (p *permutation) advance(slots uint64) {
	p.at += p.skip
	if p.at >= slots {
		p.at -= slots
	}
}

// checkSlots fills in the default for the number of slots, which must suffice for the nodes.
func checkSlots(config string, slots, byDefault, nodes int) (int, error) {
	if slots == 0 {
		slots = byDefault
	}
	if slots < 2 || slots > MaxSlots {
		return 0, fmt.Errorf("%w: %s is %d, it must be from 2 to %d", ErrSize, config, slots, MaxSlots)
	}
	if slots < nodes {
		return 0, fmt.Errorf("%w: %s is %d, which is too few for %d nodes", ErrSize, config, slots, nodes)
	}
	return slots, nil
}

// checkPrime is an error if the number of slots is not a prime number, without which a permutation does not come to all of them.
func checkPrime(config string, slots int) error {
	if isPrime(slots) {
		return nil
	}
	next := slots
	for !isPrime(next) {
		next++
	}
	return fmt.Errorf("%w: %s is %d, which is not a prime number; the next is %d", ErrSize, config, slots, next)
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// logBits is the number of bits after the point in the results of log2.
const logBits = 24

// log2 is the binary logarithm of v, which must not be 0, rounded down to a multiple of 2^-logBits (or one below that). It is
// calculated in integers by repeated squaring, so that it is the same on every machine.
func log2(v uint64) uint64 {
	whole := bits.Len64(v) - 1
	m := v << (63 - whole) // m/2^63 is from 1 to 2
	result := uint64(whole)
	for range logBits {
		result <<= 1
		m, _ = bits.Mul64(m, m) // m/2^62 is the square, from 1 to 4
		if m >= 1<<63 {
			result |= 1
		} else {
			m <<= 1
		}
	}
	return result
}
