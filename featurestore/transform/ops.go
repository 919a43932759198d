package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/scalable-ai/patterns/featurestore"
)

var (
	// ErrTransform is wrapped by the error for a transform that its operation cannot do: a wrong number or type of inputs or outputs, bad
	// parameters.
	ErrTransform = errors.New("transform: bad transform")

	// ErrNotFitted is wrapped by the error for a transform whose parameters have to be computed by [Fit] first. It is an ErrTransform too.
	ErrNotFitted = fmt.Errorf("%w: not fitted", ErrTransform)
)

// Ops are the operations of this package by their names, in a map that the caller may add to.
func Ops() map[string]featurestore.Op {
	return map[string]featurestore.Op{
		"ratio": ratio, "sum": sum, "product": product, "difference": difference, "affine": affine, "log": logarithm, "clip": clip,
		"standardize": standardize, "minmax": minMax, "robust": robust,
		"bucket": bucket, "quantiles": quantiles, "hash": hash, "onehot": oneHot,
		"cosine": cosine, "dot": dot, "l2distance": distance,
		"coalesce": coalesce, "fill": fill, "missing": missing,
		"elapsed": elapsed, "calendar": calendar,
	}
}

// params reads the parameters into p, a pointer to a struct with defaults in it. A field that it does not have is an error.
func params(t featurestore.Transform, p any) error {
	if len(t.Params) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(t.Params))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return fail(t, "parameters: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail(t, "parameters: something follows them")
	}
	return nil
}

// noParams refuses parameters.
func noParams(t featurestore.Transform) error { return params(t, &struct{}{}) }

// fail is an ErrTransform about t.
func fail(t featurestore.Transform, format string, args ...any) error {
	return fmt.Errorf("%w: %s (%s): %w", ErrTransform, t.Name, t.Op, fmt.Errorf(format, args...))
}

// write is a definition with one output of a kind. The parameters are of this package's own types, which are always JSON.
func write(op, output string, kind featurestore.Kind, dim int, inputs []string, p any) featurestore.Transform {
	t := featurestore.Transform{
		Name: output, Op: op, Inputs: inputs,
		Outputs: []featurestore.Feature{{Name: output, Kind: kind, Dim: dim}},
	}
	if p != nil {
		raw, err := json.Marshal(p)
		if err != nil { // a parameter that is not finite: the operation refuses it by this
			raw, _ = json.Marshal(map[string]string{"error": err.Error()})
		}
		t.Params = raw
	}
	return t
}

// arity checks the number of inputs.
func arity(t featurestore.Transform, inputs []featurestore.Feature, least, most int) error {
	if n := len(inputs); n < least || n > most {
		if least == most {
			return fail(t, "it takes %d inputs, not %d", least, n)
		}
		return fail(t, "it takes at least %d inputs, not %d", least, n)
	}
	return nil
}

// many is no bound on the number of inputs.
const many = math.MaxInt

// numbers checks that all inputs are single numbers.
func numbers(t featurestore.Transform, inputs []featurestore.Feature) error {
	for i, f := range inputs {
		if !f.Kind.Numeric() {
			return fail(t, "input %q is of type %v, not a number", t.Inputs[i], f.Kind)
		}
	}
	return nil
}

// output checks that there is one output, of one of the kinds.
func output(t featurestore.Transform, kinds ...featurestore.Kind) error {
	if len(t.Outputs) != 1 {
		return fail(t, "it has 1 output, not %d", len(t.Outputs))
	}
	for _, k := range kinds {
		if t.Outputs[0].Kind == k {
			return nil
		}
	}
	return fail(t, "output %q is of type %v, not one of %v", t.Outputs[0].Name, t.Outputs[0].Kind, kinds)
}

// floatOutput checks that the output is one floating-point number.
func floatOutput(t featurestore.Transform) error {
	return output(t, featurestore.Float64, featurestore.Float32)
}

// number is the value of a numeric column in a row, and whether it has one: a Bool is 0 or 1, a Timestamp is seconds since 1970.
func number(c *featurestore.Column, row int) (float64, bool) {
	if !c.Valid[row] {
		return 0, false
	}
	switch c.Kind {
	case featurestore.Float64, featurestore.Float32:
		x := c.Floats[row]
		return x, !math.IsNaN(x)
	case featurestore.Timestamp:
		return float64(c.Ints[row]) / 1e9, true
	}
	return float64(c.Ints[row]), true
}

// setFloat sets a row of a floating-point column, if the value is finite.
func setFloat(c *featurestore.Column, row int, x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	if c.Kind == featurestore.Float32 {
		x32 := float32(x)
		if math.IsInf(float64(x32), 0) {
			return
		}
		x = float64(x32)
	}
	c.Floats[row], c.Valid[row] = x, true
}

// Numeric makes an operation of a function of n numbers, which must be pure. It is called for each row whose inputs all have values, with a
// slice that it must not keep; the output is missing where its result is not finite.
func Numeric(n int, f func(x []float64) float64) featurestore.Op {
	return func(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
		if f == nil {
			return nil, fail(t, "its function is nil")
		}
		if err := errors.Join(arity(t, inputs, n, n), numbers(t, inputs), floatOutput(t)); err != nil {
			return nil, err
		}
		return func(in, out []*featurestore.Column) error {
			x := make([]float64, n)
			for row := range out[0].Valid {
				ok := true
				for i := range x {
					var has bool
					x[i], has = number(in[i], row)
					ok = ok && has
				}
				if ok {
					setFloat(out[0], row, f(x))
				}
			}
			return nil
		}, nil
	}
}

// ofOne makes the function of an operation on one number.
func ofOne(f func(float64) float64) featurestore.Apply {
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			if x, ok := number(in[0], row); ok {
				setFloat(out[0], row, f(x))
			}
		}
		return nil
	}
}

// checkOne checks an operation from one number to one number.
func checkOne(t featurestore.Transform, inputs []featurestore.Feature) error {
	return errors.Join(arity(t, inputs, 1, 1), numbers(t, inputs), floatOutput(t))
}
