package transform

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/scalable-ai/patterns/featurestore"
)

// Fitter computes the parameters of a transform from the columns of its inputs: a value that encoding/json can write, for the Op of the same name to read. It
// must not keep the columns.
type Fitter func(t featurestore.Transform, in []*featurestore.Column) (params any, err error)

// Fitters are the fitters of this package by the names of their operations, in a map that the caller may add to.
func Fitters() map[string]Fitter {
	return map[string]Fitter{
		"standardize": fitStandardize, "minmax": fitMinMax, "robust": fitRobust, "quantiles": fitQuantiles, "onehot": fitOneHot, "fill": fitFill,
	}
}

// needs are the parameters that Fit computes. One that is missing must not be read as 0.
var needs = map[string][]string{
	"standardize": {"mean", "std"}, "minmax": {"min", "max"}, "robust": {"median", "iqr"}, "quantiles": {"bounds"}, "onehot": {"categories"}, "fill": {"value"},
}

// isFitted reports whether the transform's parameters are all there, and so are left as they are.
func isFitted(t featurestore.Transform) bool {
	var p map[string]json.RawMessage
	if len(t.Params) == 0 || json.Unmarshal(t.Params, &p) != nil || p == nil {
		return false
	}
	for _, name := range needs[t.Op] {
		if p[name] == nil || string(p[name]) == "null" {
			return false
		}
	}
	return true
}

// Fit computes the parameters that the service's transforms lack, in their order, from the columns of a training set, and returns the service with
// them. Columns are by name, as in the inputs of transforms: "view:feature" and "request:field", all of the same length, but that a field of the request may have
// a single row, which goes for all, as in a read and in a [featurestore.Transformer]. Fit adds to the map the outputs of all transforms, computed as a read
// computes them: the inputs of the model to be trained. Parameters that are there are left as they are, so that Fit on a fitted service just computes the outputs.
//
// Defaults count as in a read: those of the outputs, of the fields of the service's request, and of a view's features if the columns' Features have them, as they
// do when they are made by featurestore.NewColumn from the view's. The columns themselves are not changed.
//
// ops and fitters are those of this package, [Ops] and [Fitters], with any others added to them. The service itself is not changed.
func Fit(s featurestore.Service, columns map[string]*featurestore.Column, ops map[string]featurestore.Op, fitters map[string]Fitter) (featurestore.Service, error) {
	rows, err := length(columns)
	if err != nil {
		return featurestore.Service{}, err
	}
	if columns == nil {
		return featurestore.Service{}, fmt.Errorf("%w: there are no columns", ErrTransform)
	}
	done := make([]featurestore.Transform, 0, len(s.Transforms))
	for _, t := range s.Transforms {
		in, inputs := make([]*featurestore.Column, len(t.Inputs)), make([]featurestore.Feature, len(t.Inputs))
		for i, name := range t.Inputs {
			c, ok := columns[name]
			if !ok {
				return featurestore.Service{}, fail(t, "no column %q", name)
			}
			if c.Len() != rows { // one row of the request
				c = repeat(c, rows)
			}
			if in[i], err = withDefaults(s, name, c); err != nil {
				return featurestore.Service{}, fail(t, "column %q: %w", name, err)
			}
			inputs[i] = in[i].Feature
		}
		if fitter := fitters[t.Op]; fitter != nil && !isFitted(t) {
			if t, err = fit(t, in, inputs, fitter); err != nil {
				return featurestore.Service{}, err
			}
		}
		op := ops[t.Op]
		if op == nil {
			return featurestore.Service{}, fail(t, "there is no such operation")
		}
		apply, err := op(t, inputs)
		if err != nil {
			return featurestore.Service{}, err
		}
		out := make([]*featurestore.Column, len(t.Outputs))
		for i, f := range t.Outputs {
			if columns[f.Name] != nil {
				return featurestore.Service{}, fail(t, "there is a column %q already", f.Name)
			}
			if !f.Kind.Valid() || f.Kind == featurestore.Vector && (f.Dim < 1 || f.Dim > featurestore.MaxDim) {
				return featurestore.Service{}, fail(t, "output %q is of type %v with %d elements", f.Name, f.Kind, f.Dim)
			}
			out[i] = featurestore.NewColumn(f, rows)
		}
		if apply == nil {
			return featurestore.Service{}, fail(t, "its operation gives no function")
		}
		if err := apply(in, out); err != nil {
			return featurestore.Service{}, fail(t, "%w", err)
		}
		for i, f := range t.Outputs {
			err := out[i].Check()
			if err == nil && out[i].Len() != rows {
				err = fmt.Errorf("%d rows, not %d", out[i].Len(), rows)
			}
			if err != nil {
				return featurestore.Service{}, fail(t, "it has spoilt the output %q: %w", f.Name, err)
			}
			if columns[f.Name], err = out[i].WithDefaults(); err != nil {
				return featurestore.Service{}, fail(t, "%w", err)
			}
		}
		done = append(done, t)
	}
	s.Transforms = done
	return s, nil
}

// withDefaults is a column as a transform of the service gets it in a read.
func withDefaults(s featurestore.Service, name string, c *featurestore.Column) (*featurestore.Column, error) {
	if field, ok := strings.CutPrefix(name, requestPrefix); ok && c.Default.IsNull() {
		for _, f := range s.Request {
			if f.Name == field {
				with := *c
				with.Default = f.Default
				return with.WithDefaults()
			}
		}
	}
	return c.WithDefaults()
}

func fit(t featurestore.Transform, in []*featurestore.Column, inputs []featurestore.Feature, fitter Fitter) (featurestore.Transform, error) {
	if err := arity(t, inputs, 1, many); err != nil {
		return t, err
	}
	p, err := fitter(t, in)
	if err != nil {
		return t, err
	}
	t.Params, err = json.Marshal(p)
	if err != nil {
		return t, fail(t, "fitted parameters: %w", err)
	}
	return t, nil
}

const requestPrefix = "request:"

// repeat is a column of n rows that are all like the only one of c.
func repeat(c *featurestore.Column, n int) *featurestore.Column {
	return &featurestore.Column{
		Feature: c.Feature, Valid: slices.Repeat(c.Valid, n), Ints: times(c.Ints, n), Floats: times(c.Floats, n), Strs: times(c.Strs, n), Vecs: times(c.Vecs, n),
	}
}

// times is slices.Repeat, but that nil stays so: a column has the slice of its kind and no other.
func times[T any](s []T, n int) []T {
	if s == nil {
		return nil
	}
	return slices.Repeat(s, n)
}

// length is the number of rows of all columns, but for those of the request that have one for all.
func length(columns map[string]*featurestore.Column) (int, error) {
	rows, first, one := -1, "", false
	for name, c := range columns {
		if c == nil {
			return 0, fmt.Errorf("%w: column %q is nil", ErrTransform, name)
		}
		forAll := c.Len() == 1 && strings.HasPrefix(name, requestPrefix)
		switch {
		case forAll:
			one = true
		case rows >= 0 && c.Len() != rows:
			return 0, fmt.Errorf("%w: column %q has %d rows, column %q has %d", ErrTransform, name, c.Len(), first, rows)
		}
		if err := c.Check(); err != nil {
			return 0, fmt.Errorf("%w: column %q: %w", ErrTransform, name, err)
		}
		if !forAll {
			rows, first = c.Len(), name
		}
	}
	if rows < 0 && one {
		rows = 1
	}
	return max(rows, 0), nil
}

// fitted reads parameters that have to be there.
func fitted(t featurestore.Transform, p any) error {
	if err := params(t, p); err != nil {
		return err
	}
	if !isFitted(t) {
		return notFitted(t)
	}
	return nil
}

func notFitted(t featurestore.Transform) error {
	return fmt.Errorf("%w: %s (%s)", ErrNotFitted, t.Name, t.Op)
}

// sample are the finite values of a numeric column.
func sample(t featurestore.Transform, c *featurestore.Column) ([]float64, error) {
	if !c.Kind.Numeric() {
		return nil, fail(t, "input %q is of type %v, not a number", t.Inputs[0], c.Kind)
	}
	var xs []float64
	for row := range c.Valid {
		if x, ok := number(c, row); ok && !math.IsInf(x, 0) {
			xs = append(xs, x)
		}
	}
	if len(xs) == 0 {
		return nil, fail(t, "no value to fit it to")
	}
	return xs, nil
}
