package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/scalable-ai/patterns/featurestore"
)

// Fields of the message feast.types.Value, of which one is set. A value that is null is an empty message.
const (
	bytesVal      = 1
	stringVal     = 2
	int32Val      = 3
	int64Val      = 4
	doubleVal     = 5
	floatVal      = 6
	boolVal       = 7
	timestampVal  = 8 // whole seconds since 1970
	doubleListVal = 15
	floatListVal  = 16
	nullVal       = 19

	// nanosVal is not Feast's: the nanoseconds after the seconds of field 8, written only if there are any. A parser that does not know a
	// field skips it, and so Feast reads the whole seconds.
	nanosVal = 1000
)

var errNanos = errors.New("nanoseconds out of range")

// appendValue encodes feature i of a record: nothing if it has no value.
func appendValue(dst []byte, schema *featurestore.Schema, r *featurestore.Record, i int) []byte {
	if !r.Has(i) {
		return dst
	}
	switch v := schema.Value(r, i); v.Kind() {
	case featurestore.Bytes:
		return appendString(dst, bytesVal, v.Str())
	case featurestore.String:
		return appendString(dst, stringVal, v.Str())
	case featurestore.Int32:
		return binary.AppendUvarint(append(dst, int32Val<<3|wireVarint), uint64(v.Int()))
	case featurestore.Int64:
		return binary.AppendUvarint(append(dst, int64Val<<3|wireVarint), uint64(v.Int()))
	case featurestore.Float64:
		return binary.LittleEndian.AppendUint64(append(dst, doubleVal<<3|wire64), math.Float64bits(v.Float()))
	case featurestore.Float32:
		return binary.LittleEndian.AppendUint32(append(dst, floatVal<<3|wire32), uint32(schema.Bits(r, i)))
	case featurestore.Bool:
		return append(dst, boolVal<<3|wireVarint, byte(v.Int()))
	case featurestore.Timestamp:
		seconds, nanos := split(v.Int())
		dst = binary.AppendUvarint(append(dst, timestampVal<<3|wireVarint), uint64(seconds))
		if nanos != 0 {
			dst = binary.AppendUvarint(appendTag(dst, nanosVal, wireVarint), uint64(nanos))
		}
		return dst
	case featurestore.Vector:
		return appendFloats(dst, v.Vector())
	}
	return dst
}

func appendString(dst []byte, field int, v string) []byte {
	return append(binary.AppendUvarint(appendTag(dst, field, wireBytes), uint64(len(v))), v...)
}

// appendFloats encodes a FloatList: a message with the packed elements in field 1.
func appendFloats(dst []byte, v []float32) []byte {
	body := uint64(4 * len(v))
	inner := 1 + uint64(len(binary.AppendUvarint(nil, body))) + body
	dst = binary.AppendUvarint(appendTag(dst, floatListVal, wireBytes), inner)
	dst = binary.AppendUvarint(appendTag(dst, 1, wireBytes), body)
	for _, x := range v {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

// setValue decodes a value into feature i of a record, and leaves that as it is if the value is null.
func setValue(schema *featurestore.Schema, r *featurestore.Record, i int, s string) error {
	f := &schema.Features()[i]
	switch { // what is most of all values
	case len(s) == 5 && s[0] == floatVal<<3|wire32 && f.Kind == featurestore.Float32:
		schema.SetBits(r, i, uint64(le32(s[1:])))
		return nil
	case len(s) == 9 && s[0] == doubleVal<<3|wire64 && f.Kind == featurestore.Float64:
		schema.SetBits(r, i, le64(s[1:]))
		return nil
	case s == "":
		return nil
	}
	if err := setMessage(schema, r, i, f, s); err != nil {
		return &ValueError{View: schema.Name(), Feature: f.Name, Err: err}
	}
	return nil
}

// setMessage is setValue for any message.
func setMessage(schema *featurestore.Schema, r *featurestore.Record, i int, f *featurestore.Feature, s string) error {
	var val wireField
	var nanos int64
	for s != "" {
		field, rest, err := nextField(s)
		if err != nil {
			return err
		}
		if s = rest; field.number == nanosVal && field.wire == wireVarint {
			nanos = int64(field.num)
			continue
		}
		val = field // of several members of a oneof the last one counts
	}
	if val.number == nullVal || val.number == 0 {
		return nil
	}
	switch f.Kind {
	case featurestore.Vector:
		if val.wire == wireBytes && (val.number == floatListVal || val.number == doubleListVal) {
			return setList(schema, r, i, f, val)
		}
	case featurestore.Bytes:
		if val.is(bytesVal, wireBytes) {
			schema.SetStr(r, i, val.str)
			return nil
		}
	case featurestore.String:
		if val.is(stringVal, wireBytes) {
			if !utf8.ValidString(val.str) {
				return errors.New("not valid UTF-8")
			}
			schema.SetStr(r, i, val.str)
			return nil
		}
	case featurestore.Timestamp:
		if val.is(timestampVal, wireVarint) {
			ns, ok := join(int64(val.num), nanos)
			if !ok {
				return fmt.Errorf("%d seconds since 1970 are out of the range of a timestamp", int64(val.num))
			}
			if nanos < 0 || nanos >= second {
				return errNanos
			}
			schema.SetBits(r, i, uint64(ns))
			return nil
		}
	default:
		if bits, ok := numberBits(f.Kind, &val); ok {
			schema.SetBits(r, i, bits)
			return nil
		}
	}
	return fmt.Errorf("field %d of feast.types.Value (wire type %d) is no value of type %v", val.number, val.wire, f.Kind)
}

func (f *wireField) is(number, wire int) bool { return f.number == number && f.wire == wire }

// numberBits is a number as the bits of a feature's kind: one of that kind, or one that fits into it without loss.
func numberBits(kind featurestore.Kind, f *wireField) (bits uint64, ok bool) {
	isInt32 := f.is(int32Val, wireVarint)
	isInt := isInt32 || f.is(int64Val, wireVarint)
	n := int64(f.num)
	if isInt32 {
		n = int64(int32(f.num))
	}
	switch kind {
	case featurestore.Bool:
		if f.num != 0 {
			return 1, f.is(boolVal, wireVarint)
		}
		return 0, f.is(boolVal, wireVarint)
	case featurestore.Int64:
		return uint64(n), isInt
	case featurestore.Int32:
		return uint64(n), isInt && n >= math.MinInt32 && n <= math.MaxInt32
	case featurestore.Float32:
		return f.num, f.is(floatVal, wire32)
	case featurestore.Float64:
		switch {
		case f.is(floatVal, wire32):
			return math.Float64bits(float64(math.Float32frombits(uint32(f.num)))), true
		case isInt32:
			return math.Float64bits(float64(n)), true
		}
		return f.num, f.is(doubleVal, wire64)
	}
	return 0, false
}

// setList decodes a FloatList or DoubleList, packed or not, into a vector. The elements of a DoubleList are rounded: embeddings are often
// kept as one, and a vector has no other form.
func setList(schema *featurestore.Schema, r *featurestore.Record, i int, f *featurestore.Feature, val wireField) error {
	width, wire := 4, wire32
	if val.number == doubleListVal {
		width, wire = 8, wire64
	}
	n := 0
	for s := val.str; s != ""; {
		field, rest, err := nextField(s)
		if err != nil {
			return err
		}
		switch s = rest; {
		case field.is(1, wireBytes) && len(field.str)%width == 0:
			n += len(field.str) / width
		case field.is(1, wire):
			n++
		case field.number == 1:
			return errors.New("a list with elements of another type")
		}
	}
	if n != f.Dim {
		return fmt.Errorf("%d elements, not %d", n, f.Dim)
	}
	vector := schema.SetVector(r, i)
	n = 0
	for s := val.str; s != ""; {
		var field wireField
		if field, s, _ = nextField(s); field.number != 1 {
			continue
		}
		if field.wire != wireBytes {
			vector[n] = element(wire, field.num)
			n++
			continue
		}
		for p := field.str; p != ""; p = p[width:] {
			if width == 4 {
				vector[n] = math.Float32frombits(le32(p))
			} else {
				vector[n] = float32(math.Float64frombits(le64(p)))
			}
			n++
		}
	}
	return nil
}

func element(wire int, bits uint64) float32 {
	if wire == wire32 {
		return math.Float32frombits(uint32(bits))
	}
	return float32(math.Float64frombits(bits))
}
