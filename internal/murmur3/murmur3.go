// Package murmur3 is the 32-bit hash MurmurHash3_x86_32 of Austin Appleby (public domain, SMHasher), which Feast names its fields of Redis
// hashes by. It is not fit against an adversary.
package murmur3

import "math/bits"

const (
	c1 = 0xcc9e2d51
	c2 = 0x1b873593
)

// Sum32 is the hash of s with seed 0.
func Sum32(s string) uint32 {
	var h uint32
	rest := s
	for len(rest) >= 4 {
		h ^= mix(uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16 | uint32(rest[3])<<24)
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
		rest = rest[4:]
	}
	var tail uint32
	for i := len(rest) - 1; i >= 0; i-- {
		tail = tail<<8 | uint32(rest[i])
	}
	if len(rest) > 0 {
		h ^= mix(tail)
	}
	h ^= uint32(len(s))
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return h
}

func mix(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
