package featurestore

import "fmt"

// NewColumn is a column of n rows that have no values.
func NewColumn(f Feature, n int) *Column {
	c := new(Column)
	c.reset(f, n)
	return c
}

// WithDefaults is the column with its feature's default in each row that has no value: c itself if there is no such row or no default, and else a copy. A default of
// another kind than the column is an ErrDefinition.
func (c *Column) WithDefaults() (*Column, error) {
	v, err := c.convert(c.Default)
	if err != nil {
		return nil, fmt.Errorf("%w: the default of %w", ErrDefinition, err)
	}
	if v.IsNull() || allTrue(c.Valid) {
		return c, nil
	}
	to := c.clone(c.Feature)
	to.setDefaults(&v)
	return &to, nil
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
