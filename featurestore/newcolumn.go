package featurestore

import "fmt"

// NewColumn is a column of n rows that have no values.
func NewColumn(f Feature, n int) *Column {
	c := &Column{Feature: f, Valid: make([]bool, n)}
	switch f.Kind {
	case String, Bytes:
		c.Strs = make([]string, n)
	case Vector:
		c.Vecs = make([]float32, n*f.Dim)
	case Float64, Float32:
		c.Floats = make([]float64, n)
	default:
		c.Ints = make([]int64, n)
	}
	return c
}

// Check looks whether the column has a kind, and the slice of its kind with as many elements as Valid asks for.
func (c *Column) Check() error {
	var have int
	want := len(c.Valid)
	switch {
	case !c.Kind.Valid():
		return fmt.Errorf("featurestore: column %q has no type", c.Name)
	case c.Kind == String || c.Kind == Bytes:
		have = len(c.Strs)
	case c.Kind == Vector:
		have, want = len(c.Vecs), want*c.Dim
	case c.Kind == Float64 || c.Kind == Float32:
		have = len(c.Floats)
	default:
		have = len(c.Ints)
	}
	if have != want {
		return fmt.Errorf("featurestore: column %q has %d elements of type %v, not %d for its %d rows", c.Name, have, c.Kind, want, len(c.Valid))
	}
	return nil
}
