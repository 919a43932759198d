package featurestore

import (
	"fmt"
	"math/bits"
	"slices"
	"unsafe"
)

// Check is an ErrRow if r is nil or not a record of s or of a schema with the same layout, as far as that can be seen.
func (s *Schema) Check(r *Record) error {
	switch words := (len(s.view.Features) + 63) / 64; {
	case r == nil:
		return fmt.Errorf("%w: view %q: no record", ErrRow, s.view.Name)
	case len(r.set) != words || len(r.nums) != s.nums || len(r.strs) != s.strs || len(r.vecs) != s.floats:
		return fmt.Errorf("%w: view %q: the record is one of another view", ErrRow, s.view.Name)
	}
	return nil
}

// SameLayout reports whether records of one schema are records of the other: they have the same features in the same order.
func (s *Schema) SameLayout(t *Schema) bool {
	return s == t || slices.EqualFunc(s.view.Features, t.view.Features, func(f, g Feature) bool {
		return f.Name == g.Name && f.Kind == g.Kind && f.Dim == g.Dim
	})
}

// Convert makes a record of s from one of another version of the view. Values go from feature to feature by name: a feature that the other
// version does not have is null, one that s does not have is left out. A feature of another kind or dimension is an ErrRow, even if the record has no
// value for it.
func (s *Schema) Convert(r *Record, from *Schema) (*Record, error) {
	if err := from.Check(r); err != nil {
		return nil, err
	}
	to := &s.NewRecords(r.EventTime(), 1)[0]
	to.event, to.created = r.event, r.created
	for i := range s.view.Features {
		f, j := &s.view.Features[i], from.Index(s.view.Features[i].Name)
		if j < 0 {
			continue
		}
		if g := &from.view.Features[j]; f.Kind != g.Kind || f.Dim != g.Dim {
			return nil, s.changed(f, g)
		}
		if err := s.SetValue(to, i, from.Value(r, j)); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// changed is the error for a feature that is defined as f and was stored as g.
func (s *Schema) changed(f, g *Feature) error {
	return fmt.Errorf("%w: view %q: feature %q is defined as %s, the row has it as %s", ErrRow, s.view.Name, f.Name, f.typeName(), g.typeName())
}

// Clone is a copy that shares no memory with r but that of its strings. A record out of NewRecords keeps all of them in memory; its clone does not.
func (r *Record) Clone() *Record {
	to := new(Record)
	r.CloneTo(to)
	return to
}

// CloneTo makes to, which may be a zero Record, a clone of r.
func (r *Record) CloneTo(to *Record) {
	*to = Record{
		schema: r.schema, event: r.event, created: r.created,
		nums: slices.Clone(r.nums), strs: slices.Clone(r.strs), vecs: slices.Clone(r.vecs),
	}
	to.set = append(to.few[:0], r.set...)
}

// Size is about the number of bytes that a clone of r takes in memory.
func (r *Record) Size() int {
	size := int(unsafe.Sizeof(*r)) + len(r.nums)*8 + len(r.strs)*2*bits.UintSize/8 + len(r.vecs)*4
	if len(r.set) > len(r.few) {
		size += len(r.set) * 8
	}
	for _, s := range r.strs {
		size += len(s)
	}
	return size
}
