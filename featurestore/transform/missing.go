package transform

import (
	"errors"
	"slices"

	"github.com/scalable-ai/patterns/featurestore"
)

// Coalesce is the first of one or more inputs that has a value. The output is a Float64.
func Coalesce(output string, inputs ...string) featurestore.Transform {
	return write("coalesce", output, featurestore.Float64, 0, inputs, nil)
}

func coalesce(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	if err := errors.Join(arity(t, inputs, 1, many), numbers(t, inputs), floatOutput(t), noParams(t)); err != nil {
		return nil, err
	}
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			for _, c := range in {
				if x, ok := number(c, row); ok {
					setFloat(out[0], row, x)
					break
				}
			}
		}
		return nil
	}, nil
}

// Missing is 1 where the input has no value and else 0. The input is of any type. The output is an Int64.
func Missing(output, input string) featurestore.Transform {
	return write("missing", output, featurestore.Int64, 0, []string{input}, nil)
}

func missing(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	err := errors.Join(arity(t, inputs, 1, 1), noParams(t), output(t, featurestore.Int64, featurestore.Int32, featurestore.Bool, featurestore.Float64, featurestore.Float32))
	if err != nil {
		return nil, err
	}
	numeric := inputs[0].Kind.Numeric()
	return func(in, out []*featurestore.Column) error {
		for row, has := range in[0].Valid {
			if has && numeric {
				_, has = number(in[0], row) // NaN is missing
			}
			n := 1
			if has {
				n = 0
			}
			setInt(out[0], row, n)
		}
		return nil
	}, nil
}

// FillWith says what [Fill] puts in the place of a missing value.
type FillWith string

// What Fill may put in.
const (
	Mean   FillWith = "mean"
	Median FillWith = "median"
)

type fillParams struct {
	With  FillWith `json:"with"`
	Value *float64 `json:"value,omitempty"`
}

// Fill is the input, or the mean or median of the training set where it has no value. The output is a Float64. It has to be fitted. For a constant, give the feature a
// default.
func Fill(output, input string, with FillWith) featurestore.Transform {
	return write("fill", output, featurestore.Float64, 0, []string{input}, fillParams{With: with})
}

func fill(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p fillParams
	if err := errors.Join(checkOne(t, inputs), fitted(t, &p)); err != nil {
		return nil, err
	}
	if p.Value == nil {
		return nil, notFitted(t)
	}
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			x, ok := number(in[0], row)
			if !ok {
				x = *p.Value
			}
			setFloat(out[0], row, x)
		}
		return nil
	}, nil
}

func fitFill(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	var p fillParams
	if err := params(t, &p); err != nil {
		return nil, err
	}
	xs, err := sample(t, in[0])
	if err != nil {
		return nil, err
	}
	var value float64
	switch p.With {
	case Mean:
		for i, x := range xs {
			value += (x - value) / float64(i+1)
		}
	case Median:
		slices.Sort(xs)
		value = quantile(xs, 0.5)
	default:
		return nil, fail(t, "filled with the %q or the %q, not with %q", Mean, Median, p.With)
	}
	p.Value = &value
	return p, nil
}
