package featurestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Value is one value of any kind. The zero Value is null. A Value does not change; it is safe for concurrent use.
type Value struct {
	kind Kind
	num  uint64 // an integer, the bits of a float64 or of a float32, 0 or 1, or nanoseconds since 1970
	str  string // of a String or Bytes
	vec  []float32
}

// Int64Value is a value of kind Int64.
func Int64Value(v int64) Value { return Value{kind: Int64, num: uint64(v)} }

// Int32Value is a value of kind Int32.
func Int32Value(v int32) Value { return Value{kind: Int32, num: uint64(int64(v))} }

// Float64Value is a value of kind Float64.
func Float64Value(v float64) Value { return Value{kind: Float64, num: math.Float64bits(v)} }

// Float32Value is a value of kind Float32.
func Float32Value(v float32) Value { return Value{kind: Float32, num: uint64(math.Float32bits(v))} }

// BoolValue is a value of kind Bool.
func BoolValue(v bool) Value {
	if v {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// StringValue is a value of kind String.
func StringValue(v string) Value { return Value{kind: String, str: v} }

// BytesValue is a value of kind Bytes. It copies v.
func BytesValue(v []byte) Value { return Value{kind: Bytes, str: string(v)} }

// TimestampValue is a value of kind Timestamp. Times outside of the years 1678 to 2262 wrap around: see time.Time.UnixNano.
func TimestampValue(t time.Time) Value { return Value{kind: Timestamp, num: uint64(t.UnixNano())} }

// VectorValue is a value of kind Vector. It copies v.
func VectorValue(v []float32) Value { return Value{kind: Vector, vec: slices.Clone(v)} }

// Kind is the value's kind, 0 for null.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether there is no value.
func (v Value) IsNull() bool { return v.kind == 0 }

// Int is the value of an Int64 or Int32, of a Bool (0 or 1), or of a Timestamp (nanoseconds since 1970 in UTC); else 0.
func (v Value) Int() int64 {
	switch v.kind {
	case Int64, Int32, Bool, Timestamp:
		return int64(v.num)
	}
	return 0
}

// Float is the value as a float64: of a number, of a Bool (0 or 1), of a Timestamp (seconds since 1970); else NaN.
func (v Value) Float() float64 {
	if !v.kind.Numeric() {
		return math.NaN()
	}
	return number(v.kind, v.num)
}

// number turns the bits of a numeric kind into a float64.
func number(k Kind, bits uint64) float64 {
	switch k {
	case Float64:
		return math.Float64frombits(bits)
	case Float32:
		return float64(math.Float32frombits(uint32(bits)))
	case Timestamp:
		return float64(int64(bits)) / 1e9
	}
	return float64(int64(bits))
}

// Bool is the value of a Bool; else false.
func (v Value) Bool() bool { return v.kind == Bool && v.num != 0 }

// Str is the value of a String, or the bytes of a Bytes as a string; else "".
func (v Value) Str() string { return v.str }

// Bytes is a copy of the value of a Bytes or String; else nil.
func (v Value) Bytes() []byte {
	if v.kind != Bytes && v.kind != String {
		return nil
	}
	return []byte(v.str)
}

// Time is the value of a Timestamp, in UTC; else the zero time.
func (v Value) Time() time.Time {
	if v.kind != Timestamp {
		return time.Time{}
	}
	return time.Unix(0, int64(v.num)).UTC()
}

// Vector is the value of a Vector; else nil. The caller must not change it.
func (v Value) Vector() []float32 { return v.vec }

// Equal reports whether both are of the same kind and value, bit by bit: NaN equals itself, and 0 is not -0.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.num == w.num && v.str == w.str && slices.EqualFunc(v.vec, w.vec, func(a, b float32) bool {
		return math.Float32bits(a) == math.Float32bits(b)
	})
}

// String is the value for people to read.
func (v Value) String() string {
	switch v.kind {
	case 0:
		return "null"
	case String:
		return strconv.Quote(v.str)
	case Bytes:
		return fmt.Sprintf("%x", v.str)
	case Vector:
		return fmt.Sprint(v.vec)
	case Timestamp:
		return v.Time().Format(time.RFC3339Nano)
	case Bool:
		return strconv.FormatBool(v.Bool())
	case Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case Float32:
		return strconv.FormatFloat(v.Float(), 'g', -1, 32)
	}
	return strconv.FormatInt(v.Int(), 10)
}

// jsonValue is a Value in JSON: its kind, and the value in the form that encoding/json gives it. A float that is not finite is a string.
type jsonValue struct {
	Kind  Kind            `json:"type"`
	Value json.RawMessage `json:"value"`
}

// MarshalJSON writes null, or an object with the kind and the value.
func (v Value) MarshalJSON() ([]byte, error) {
	var inner any
	switch v.kind {
	case 0:
		return []byte("null"), nil
	case Float64, Float32:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			inner = v.String()
		} else if v.kind == Float32 {
			inner = float32(f)
		} else {
			inner = f
		}
	case Bool:
		inner = v.Bool()
	case String:
		inner = v.str
	case Bytes:
		inner = []byte(v.str)
	case Vector:
		inner = v.vec
	case Timestamp:
		inner = v.Time()
	default:
		inner = v.Int()
	}
	raw, err := json.Marshal(inner)
	if err != nil {
		return nil, err
	}
	return json.Marshal(jsonValue{v.kind, raw})
}

// UnmarshalJSON reads what MarshalJSON writes. After an error the value is not to be used.
func (v *Value) UnmarshalJSON(data []byte) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		*v = Value{}
		return nil
	}
	var j jsonValue
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return err
	}
	if bytes.Equal(j.Value, []byte("null")) {
		return fmt.Errorf("featurestore: value of type %v: null has no type", j.Kind)
	}
	var (
		i   int64
		f   float64
		b   bool
		s   string
		raw []byte
		t   time.Time
		vec []float32
		err error
	)
	switch j.Kind {
	case Int64, Int32:
		bits := 64
		if j.Kind == Int32 {
			bits = 32
		}
		if i, err = strconv.ParseInt(string(j.Value), 10, bits); err == nil {
			*v = Value{kind: j.Kind, num: uint64(i)}
		}
	case Float64, Float32:
		text := string(j.Value)
		if len(text) > 0 && text[0] == '"' {
			err = json.Unmarshal(j.Value, &text)
		}
		bits := 64
		if j.Kind == Float32 {
			bits = 32
		}
		if err == nil {
			f, err = strconv.ParseFloat(text, bits)
		}
		if j.Kind == Float64 {
			*v = Float64Value(f)
		} else {
			*v = Float32Value(float32(f))
		}
	case Bool:
		err = json.Unmarshal(j.Value, &b)
		*v = BoolValue(b)
	case String:
		err = json.Unmarshal(j.Value, &s)
		*v = StringValue(s)
	case Bytes:
		err = json.Unmarshal(j.Value, &raw)
		*v = BytesValue(raw)
	case Timestamp:
		if err = json.Unmarshal(j.Value, &t); err == nil {
			*v, err = timestampOf(t)
		}
	case Vector:
		err = json.Unmarshal(j.Value, &vec)
		*v = VectorValue(vec)
	default:
		err = fmt.Errorf("featurestore: a value without a type")
	}
	if err != nil {
		return fmt.Errorf("featurestore: value of type %v: %w", j.Kind, err)
	}
	return nil
}
