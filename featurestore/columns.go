package featurestore

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Int64Column is a column of kind Int64 in which each row has a value.
func Int64Column(name string, values ...int64) Column {
	return Column{Feature: Feature{Name: name, Kind: Int64}, Valid: allValid(len(values)), Ints: values}
}

// Float64Column is a column of kind Float64 in which each row has a value.
func Float64Column(name string, values ...float64) Column {
	return Column{Feature: Feature{Name: name, Kind: Float64}, Valid: allValid(len(values)), Floats: values}
}

// Float32Column is a column of kind Float32 in which each row has a value.
func Float32Column(name string, values ...float32) Column {
	c := Column{Feature: Feature{Name: name, Kind: Float32}, Valid: allValid(len(values)), Floats: make([]float64, len(values))}
	for i, v := range values {
		c.Floats[i] = float64(v)
	}
	return c
}

// BoolColumn is a column of kind Bool in which each row has a value.
func BoolColumn(name string, values ...bool) Column {
	c := Column{Feature: Feature{Name: name, Kind: Bool}, Valid: allValid(len(values)), Ints: make([]int64, len(values))}
	for i, v := range values {
		if v {
			c.Ints[i] = 1
		}
	}
	return c
}

// StringColumn is a column of kind String in which each row has a value.
func StringColumn(name string, values ...string) Column {
	return Column{Feature: Feature{Name: name, Kind: String}, Valid: allValid(len(values)), Strs: values}
}

// TimestampColumn is a column of kind Timestamp in which each row has a value. Times outside of the years 1678 to 2262 wrap around: see time.Time.UnixNano.
func TimestampColumn(name string, values ...time.Time) Column {
	c := Column{Feature: Feature{Name: name, Kind: Timestamp}, Valid: allValid(len(values)), Ints: make([]int64, len(values))}
	for i, v := range values {
		c.Ints[i] = v.UnixNano()
	}
	return c
}

// VectorColumn is a column of kind Vector in which each row has a value: dim elements of values for each.
func VectorColumn(name string, dim int, values ...float32) Column {
	n := 0
	if dim > 0 {
		n = len(values) / dim
	}
	return Column{Feature: Feature{Name: name, Kind: Vector, Dim: dim}, Valid: allValid(n), Vecs: values}
}

func allValid(n int) []bool { return slices.Repeat([]bool{true}, n) }

// Value is the value of a row, null if it has none.
func (c *Column) Value(row int) Value {
	if !c.Valid[row] {
		return Value{}
	}
	switch c.Kind {
	case String, Bytes:
		return Value{kind: c.Kind, str: c.Strs[row]}
	case Vector:
		return Value{kind: Vector, vec: c.Vecs[row*c.Dim : (row+1)*c.Dim : (row+1)*c.Dim]}
	case Float64:
		return Float64Value(c.Floats[row])
	case Float32:
		return Float32Value(float32(c.Floats[row]))
	}
	return Value{kind: c.Kind, num: uint64(c.Ints[row])}
}

// check is Check, for a column that must have n rows.
func (c *Column) check(n int) error {
	if len(c.Valid) != n {
		return fmt.Errorf("featurestore: column %q has %d rows, not %d", c.Name, len(c.Valid), n)
	}
	return c.Check()
}

// resize is s with n elements, in its own memory if that is enough. What the elements hold is not known.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// reset makes the column one of n rows without values, in its own memory.
func (c *Column) reset(f Feature, n int) {
	c.Feature = f
	c.Valid = resize(c.Valid, n)
	clear(c.Valid)
	switch f.Kind {
	case String, Bytes:
		c.Strs = resize(c.Strs, n)
		clear(c.Strs)
	case Vector:
		c.Vecs = resize(c.Vecs, n*f.Dim)
		clear(c.Vecs)
	case Float64, Float32:
		c.Floats = resize(c.Floats, n)
		clear(c.Floats)
	default:
		c.Ints = resize(c.Ints, n)
		clear(c.Ints)
	}
}

// set sets a row to a value of the column's kind.
func (c *Column) set(row int, v *Value) {
	c.Valid[row] = true
	switch c.Kind {
	case String, Bytes:
		c.Strs[row] = v.str
	case Vector:
		copy(c.Vecs[row*c.Dim:(row+1)*c.Dim], v.vec)
	case Float64:
		c.Floats[row] = math.Float64frombits(v.num)
	case Float32:
		c.Floats[row] = float64(math.Float32frombits(uint32(v.num)))
	default:
		c.Ints[row] = int64(v.num)
	}
}

// setDefaults gives the rows without a value the default, if there is one.
func (c *Column) setDefaults(v *Value) {
	if v.kind == 0 {
		return
	}
	for i, ok := range c.Valid {
		if !ok {
			c.set(i, v)
		}
	}
}
