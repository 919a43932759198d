package featurestore

import "encoding/json"

// Transform is a definition of columns that are computed on each read (and, by the same code, for training): an operation by name, with its inputs, its outputs and its
// fitted parameters. It says nothing of how: that is an [Op], which a [Registry] has under that name.
type Transform struct {
	Name    string          `json:"name"`
	Op      string          `json:"op"`
	Inputs  []string        `json:"inputs"`  // "view:feature", "request:field", or the name of an output of an earlier transform
	Outputs []Feature       `json:"outputs"` // their names are those of columns: unique in the service
	Params  json.RawMessage `json:"params,omitempty"`
}

// Op makes the function that computes a transform, once for a service: it checks the number and kinds of inputs and outputs, and the parameters.
type Op func(t Transform, inputs []Feature) (Apply, error)

// Apply computes the outputs of all rows at once. All columns have the same number of rows; the outputs are of the right kinds, with no value valid. It must depend on nothing but its inputs, must not keep
// the columns, and is called concurrently.
type Apply func(in []*Column, out []*Column) error

// Column is one feature of many rows, in the slice of its kind: Ints for Int64, Int32, Bool (0 or 1) and Timestamp (nanoseconds since
// 1970), Floats for Float64 and Float32, Strs for String and Bytes, Vecs for Vector (Dim elements for each row). The other slices are nil.
type Column struct {
	Feature
	Valid  []bool // as long as the column has rows: whether it has a value
	Ints   []int64
	Floats []float64
	Strs   []string
	Vecs   []float32
}

// Len is the number of rows.
func (c *Column) Len() int { return len(c.Valid) }
