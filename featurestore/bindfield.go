package featurestore

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tagged is a field of a struct with one of the tags of this package.
type tagged struct {
	path    string // of names, for errors
	typ     reflect.Type
	offset  uintptr
	name    string // what the tag says before the first comma
	options []string
}

// taggedFields are the exported fields of a struct, and of those embedded in it by value, that have the tag.
func taggedFields(t reflect.Type, tag string) ([]tagged, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: %v is not a struct", ErrDefinition, t)
	}
	return appendTagged(nil, t, tag, t.String(), 0)
}

func appendTagged(fields []tagged, t reflect.Type, tag, path string, base uintptr) ([]tagged, error) {
	for f := range t.Fields() {
		text, ok := f.Tag.Lookup(tag)
		where := path + "." + f.Name
		if !ok || text == "-" {
			if f.Anonymous && !ok && f.Type.Kind() == reflect.Struct {
				var err error
				if fields, err = appendTagged(fields, f.Type, tag, where, base+f.Offset); err != nil {
					return nil, err
				}
			}
			continue
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("%w: field %s has a tag and is not exported", ErrDefinition, where)
		}
		parts := strings.Split(text, ",")
		if parts[0] == "" {
			return nil, fmt.Errorf("%w: field %s: the tag %q has no name", ErrDefinition, where, text)
		}
		fields = append(fields, tagged{where, f.Type, base + f.Offset, parts[0], parts[1:]})
	}
	return fields, nil
}

// conv is how fields of one type and values of one kind become each other.
type conv struct {
	kinds    []Kind
	set, ptr setter
	get, gpt getter
}

func convOf[F any](from func(Value) F, to func(F) (Value, error), kinds ...Kind) conv {
	return conv{kinds, setPlain(from), setPointer(from), getPlain(to), getPointer(to)}
}

// sure is a conversion that cannot fail.
func sure[F any](to func(F) Value) func(F) (Value, error) {
	return func(v F) (Value, error) { return to(v), nil }
}

// convs are the types that a field may have, and the kinds that can be read into them.
var convs = map[reflect.Type]conv{
	reflect.TypeFor[int64](): convOf(Value.Int, sure(Int64Value), Int64, Int32),
	reflect.TypeFor[int]():   convOf(func(v Value) int { return int(v.Int()) }, sure(func(n int) Value { return Int64Value(int64(n)) }), Int64, Int32),
	reflect.TypeFor[int32](): convOf(func(v Value) int32 { return int32(v.Int()) }, sure(Int32Value), Int32),

	reflect.TypeFor[float64]():   convOf(Value.Float, sure(Float64Value), Float64, Float32),
	reflect.TypeFor[float32]():   convOf(func(v Value) float32 { return float32(v.Float()) }, sure(Float32Value), Float32),
	reflect.TypeFor[bool]():      convOf(Value.Bool, sure(BoolValue), Bool),
	reflect.TypeFor[string]():    convOf(Value.Str, sure(StringValue), String),
	reflect.TypeFor[[]byte]():    convOf(Value.Bytes, bytesOrNull, Bytes),
	reflect.TypeFor[time.Time](): convOf(Value.Time, timeOrNull, Timestamp),
}

// underlying is the type of convs with the same memory as t, which may be one that the user has defined.
func underlying(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Int64:
		return reflect.TypeFor[int64]()
	case reflect.Int:
		return reflect.TypeFor[int]()
	case reflect.Int32:
		return reflect.TypeFor[int32]()
	case reflect.Float64:
		return reflect.TypeFor[float64]()
	case reflect.Float32:
		return reflect.TypeFor[float32]()
	case reflect.Bool:
		return reflect.TypeFor[bool]()
	case reflect.String:
		return reflect.TypeFor[string]()
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() || t.Elem() == reflect.TypeFor[float32]() {
			return reflect.SliceOf(t.Elem())
		}
	}
	return t
}

// access finds how a field and a feature become each other. A field may be written to a wider kind, and to a narrower one only if SetValue finds
// out what does not fit.
func access(field *tagged, f *Feature, writing bool) (setter, getter, error) {
	t, pointer := field.typ, false
	if t.Kind() == reflect.Pointer {
		t, pointer = t.Elem(), true
	}
	t = underlying(t)
	if f.Kind == Vector && !pointer {
		switch {
		case t == reflect.TypeFor[[]float32]():
			return setVector, getPlain(vectorOrNull), nil
		case t.Kind() == reflect.Array && t.Elem() == reflect.TypeFor[float32]() && t.Len() == f.Dim:
			return setArray(t.Len()), getArray(t.Len()), nil
		}
	}
	c, ok := convs[t]
	fits := ok && slices.Contains(c.kinds, f.Kind)
	if !writing && t.Kind() == reflect.Int && f.Kind == Int64 {
		fits = strconv.IntSize == 64
	}
	if writing {
		switch t.Kind() {
		case reflect.Int32:
			fits = fits || f.Kind == Int64
		case reflect.Float32:
			fits = fits || f.Kind == Float64
		case reflect.Float64:
			fits = f.Kind == Float64
		}
	}
	if !fits {
		return nil, nil, fmt.Errorf("%w: field %s: a %v cannot be feature %q of type %s", ErrDefinition, field.path, field.typ, f.Name, f.typeName())
	}
	if pointer {
		return c.ptr, c.gpt, nil
	}
	return c.set, c.get, nil
}

// vectorOrNull is a Vector, or null for nil. SetValue copies it.
func vectorOrNull(v []float32) (Value, error) {
	if v == nil {
		return Value{}, nil
	}
	return Value{kind: Vector, vec: v}, nil
}

// bytesOrNull is a Bytes, or null for nil.
func bytesOrNull(b []byte) (Value, error) {
	if b == nil {
		return Value{}, nil
	}
	return BytesValue(b), nil
}

// timeOrNull is a Timestamp, or null for the zero time.
func timeOrNull(t time.Time) (Value, error) {
	if t.IsZero() {
		return Value{}, nil
	}
	return timestampOf(t)
}
