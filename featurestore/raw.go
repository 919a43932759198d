package featurestore

import "math"

// What is here is for stores: it reads and writes the values of a record in place, without the checks and the copies of Value and
// SetValue. r must be a record of s, and feature i of the right kind; else it panics, or makes a record that says something wrong.

// SetBits sets a feature whose kind is none of String, Bytes and Vector: the value as a uint64 for an integer, 0 or 1 for a Bool,
// math.Float64bits or math.Float32bits for a float, nanoseconds since 1970 for a Timestamp.
func (s *Schema) SetBits(r *Record, i int, bits uint64) {
	if slot := s.slots[i]; s.view.Features[i].Kind == Float32 {
		r.vecs[slot] = math.Float32frombits(uint32(bits))
	} else {
		r.nums[slot] = bits
	}
	r.set[i>>6] |= 1 << (i & 63)
}

// Bits is what SetBits sets. The feature must have a value.
func (s *Schema) Bits(r *Record, i int) uint64 {
	slot := s.slots[i]
	if s.view.Features[i].Kind == Float32 {
		return uint64(math.Float32bits(r.vecs[slot]))
	}
	return r.nums[slot]
}

// SetStr sets a feature of kind String or Bytes. It does not look whether a String is valid UTF-8.
func (s *Schema) SetStr(r *Record, i int, v string) {
	r.strs[s.slots[i]] = v
	r.set[i>>6] |= 1 << (i & 63)
}

// SetVector sets a feature of kind Vector and returns its elements, for the caller to fill.
func (s *Schema) SetVector(r *Record, i int) []float32 {
	slot, dim := s.slots[i], s.view.Features[i].Dim
	r.set[i>>6] |= 1 << (i & 63)
	return r.vecs[slot : slot+dim : slot+dim]
}
