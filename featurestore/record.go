package featurestore

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Record is one row of a view: an event time and the values of its features, by their positions in [Schema.Features]. Whoever makes one sets its values; once it has
// been given to a store, or has come from one, it must not be changed any more: stores and caches share it.
//
// It is packed: numbers in one slice; vectors and numbers of kind Float32 in another, in the form in which a [Matrix] has them. A row of 50 numbers
// takes a little over 50 words, or half as many.
type Record struct {
	// What each read looks at comes first, side by side: it looks at many records that are in no cache.
	schema  *Schema   // that made it
	event   int64     // event time, nanoseconds since 1970
	few     [1]uint64 // where set is if one word is enough: no other place of the memory to wait for
	set     []uint64  // one bit for each feature: it has a value
	vecs    []float32
	nums    []uint64
	strs    []string
	created int64 // created time, nanoseconds since 1970; 0: not known
}

// NewRecord is an empty record: none of its features has a value. It has no event time, and cannot be written, if that is the zero time, before the
// year 1678 or after 2262, or the very moment at which 1970 began in UTC.
func (s *Schema) NewRecord(event time.Time) *Record { return &s.NewRecords(event, 1)[0] }

// NewRecords are n empty records, in few allocations. See NewRecord for the event time.
func (s *Schema) NewRecords(event time.Time, n int) []Record {
	words := (len(s.view.Features) + 63) / 64
	var sets []uint64
	if words > 1 {
		sets = make([]uint64, n*words)
	}
	nums := make([]uint64, n*s.nums)
	strs, vecs := make([]string, n*s.strs), make([]float32, n*s.floats)
	records := make([]Record, n)
	ns := event.UnixNano()
	if event.Before(firstTime) || event.After(lastTime) {
		ns = noEventTime
	}
	for i := range records {
		r := &records[i]
		r.schema, r.event = s, ns
		if words > 1 {
			r.set = sets[i*words : (i+1)*words : (i+1)*words]
		} else {
			r.set = r.few[:words:words]
		}
		r.nums = nums[i*s.nums : (i+1)*s.nums : (i+1)*s.nums]
		r.strs = strs[i*s.strs : (i+1)*s.strs : (i+1)*s.strs]
		r.vecs = vecs[i*s.floats : (i+1)*s.floats : (i+1)*s.floats]
	}
	return records
}

// EventTime is when what the row says became true, in UTC.
func (r *Record) EventTime() time.Time { return time.Unix(0, r.event).UTC() }

// EventNanos is EventTime in nanoseconds since 1970.
func (r *Record) EventNanos() int64 { return r.event }

// SetEventNanos sets the event time.
func (r *Record) SetEventNanos(ns int64) { r.event = ns }

// Created is when the row was made, which may be long after its event time; the zero time if that is not known. A join as of a time in the past uses it to
// leave out what was not known then.
func (r *Record) Created() time.Time {
	if r.created == 0 {
		return time.Time{}
	}
	return time.Unix(0, r.created).UTC()
}

// SetCreated sets the created time; the zero time: not known. One before the year 1678 or after 2262 becomes the first or last that a record can have.
func (r *Record) SetCreated(t time.Time) {
	switch {
	case t.IsZero():
		r.created = 0
	case t.Before(firstTime):
		r.created = math.MinInt64
	case t.After(lastTime):
		r.created = math.MaxInt64
	default:
		r.created = t.UnixNano()
	}
}

// Has reports whether feature i has a value.
func (r *Record) Has(i int) bool { return r.set[i>>6]&(1<<(i&63)) != 0 }

// Value is the value of feature i, null if it has none. r must be a record of s.
func (s *Schema) Value(r *Record, i int) Value {
	if !r.Has(i) {
		return Value{}
	}
	f := &s.view.Features[i]
	switch slot := s.slots[i]; f.Kind {
	case String, Bytes:
		return Value{kind: f.Kind, str: r.strs[slot]}
	case Vector:
		return Value{kind: Vector, vec: r.vecs[slot : slot+f.Dim : slot+f.Dim]}
	case Float32:
		return Value{kind: Float32, num: uint64(math.Float32bits(r.vecs[slot]))}
	default:
		return Value{kind: f.Kind, num: r.nums[slot]}
	}
}

// SetValue sets feature i; null takes its value away. The value must be of the feature's kind (an Int32 may be given for an Int64, and an
// Int64 in its range for an Int32; a Float32 for a Float64), and a vector of its size: else an ErrRow, and the record is as before. Strings must be valid
// UTF-8. r must be a record of s.
func (s *Schema) SetValue(r *Record, i int, v Value) error {
	f := &s.view.Features[i]
	v, err := f.convert(v)
	if err != nil {
		return fmt.Errorf("%w: view %q: %w", ErrRow, s.view.Name, err)
	}
	slot := s.slots[i]
	switch {
	case v.kind == 0:
		r.set[i>>6] &^= 1 << (i & 63)
		return nil
	case v.kind == String || v.kind == Bytes:
		r.strs[slot] = v.str
	case v.kind == Vector:
		copy(r.vecs[slot:slot+f.Dim], v.vec)
	case v.kind == Float32:
		r.vecs[slot] = math.Float32frombits(uint32(v.num))
	default:
		r.nums[slot] = v.num
	}
	r.set[i>>6] |= 1 << (i & 63)
	return nil
}

// convert is the value as one of the feature's kind. What would lose information is an error.
func (f *Feature) convert(v Value) (Value, error) {
	switch {
	case v.kind == f.Kind || v.kind == 0:
	case v.kind == Int32 && f.Kind == Int64:
		v.kind = Int64
	case v.kind == Int64 && f.Kind == Int32 && v.Int() >= math.MinInt32 && v.Int() <= math.MaxInt32:
		v.kind = Int32
	case v.kind == Float32 && f.Kind == Float64:
		v = Float64Value(v.Float())
	default:
		return v, fmt.Errorf("feature %q is of type %v, not %v (%v)", f.Name, f.Kind, v.kind, v)
	}
	switch {
	case v.kind == Vector && len(v.vec) != f.Dim:
		return v, fmt.Errorf("feature %q has %d elements, not %d", f.Name, f.Dim, len(v.vec))
	case v.kind == String && strings.ToValidUTF8(v.str, "") != v.str:
		return v, fmt.Errorf("feature %q: not valid UTF-8", f.Name)
	}
	return v, nil
}
