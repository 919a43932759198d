package sharding

import "math/bits"

// shuffle is the order in which a node claims the slots of a Rendezvous: a pseudo-random permutation of the numbers below slots, of which any element can be
// calculated by itself. It is a Feistel network of four rounds over pairs of numbers, left below a and right below b, with cycle
// walking for the few pairs that are too many (Black and Rogaway, CT-RSA 2002, sections 4 and 5).
//
// Maglev's permutations would not do. They are arithmetic progressions, so those of two nodes can run into each other regularly, and
// the one that is a little earlier then gets far more than its share.
type shuffle struct {
	key   uint64
	a, b  uint64 // a·b is slots or a little more
	slots uint64
}

func newShuffle(key, slots uint64) shuffle {
	a := uint64(1)
	for a*a < slots {
		a++
	}
	return shuffle{key: key, a: a, b: (slots + a - 1) / a, slots: slots}
}

// at is the slot that the node claims at that rank.
func (s *shuffle) at(rank uint64) uint64 {
	for {
		left, right := rank/s.b, rank%s.b
		left = s.add(left, right, 1, s.a)
		right = s.add(right, left, 2, s.b)
		left = s.add(left, right, 3, s.a)
		right = s.add(right, left, 4, s.b)
		if rank = left*s.b + right; rank < s.slots {
			return rank
		}
	}
}

// add is a number below n plus, modulo n, what the round makes of the other number.
func (s *shuffle) add(number, other uint64, round int, n uint64) uint64 {
	more, _ := bits.Mul64(rehash(s.key, int(4*other)+round), n)
	if number += more; number >= n {
		number -= n
	}
	return number
}
