package transform

import (
	"errors"
	"math"

	"github.com/scalable-ai/patterns/featurestore"
)

type ratioParams struct {
	Add float64 `json:"add,omitempty"` // to the divisor
}

// Ratio is a/(b+add): a rate, smoothed towards 0 by add while b is small. It is missing where the divisor is 0. The output is a Float64.
func Ratio(output, a, b string, add float64) featurestore.Transform {
	return write("ratio", output, featurestore.Float64, 0, []string{a, b}, ratioParams{add})
}

func ratio(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p ratioParams
	if err := errors.Join(arity(t, inputs, 2, 2), numbers(t, inputs), floatOutput(t), params(t, &p)); err != nil {
		return nil, err
	}
	return ofTwo(func(a, b float64) float64 { return a / (b + p.Add) }), nil
}

// ofTwo makes the function of an operation on two numbers.
func ofTwo(f func(a, b float64) float64) featurestore.Apply {
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			a, okA := number(in[0], row)
			b, okB := number(in[1], row)
			if okA && okB {
				setFloat(out[0], row, f(a, b))
			}
		}
		return nil
	}
}

// Difference is a-b. For two timestamps it is in seconds; [Elapsed] is more exact there. The output is a Float64.
func Difference(output, a, b string) featurestore.Transform {
	return write("difference", output, featurestore.Float64, 0, []string{a, b}, nil)
}

func difference(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	if err := errors.Join(arity(t, inputs, 2, 2), numbers(t, inputs), floatOutput(t), noParams(t)); err != nil {
		return nil, err
	}
	return ofTwo(func(a, b float64) float64 { return a - b }), nil
}

// Sum is the sum of one or more inputs. The output is a Float64.
func Sum(output string, inputs ...string) featurestore.Transform {
	return write("sum", output, featurestore.Float64, 0, inputs, nil)
}

func sum(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	return fold(t, inputs, 0, func(acc, x float64) float64 { return acc + x })
}

// Product is the product of one or more inputs. The output is a Float64.
func Product(output string, inputs ...string) featurestore.Transform {
	return write("product", output, featurestore.Float64, 0, inputs, nil)
}

func product(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	return fold(t, inputs, 1, func(acc, x float64) float64 { return acc * x })
}

func fold(t featurestore.Transform, inputs []featurestore.Feature, start float64, f func(acc, x float64) float64) (featurestore.Apply, error) {
	if err := errors.Join(arity(t, inputs, 1, many), numbers(t, inputs), floatOutput(t), noParams(t)); err != nil {
		return nil, err
	}
	return func(in, out []*featurestore.Column) error {
	rows:
		for row := range out[0].Valid {
			acc := start
			for _, c := range in {
				x, ok := number(c, row)
				if !ok {
					continue rows
				}
				acc = f(acc, x)
			}
			setFloat(out[0], row, acc)
		}
		return nil
	}, nil
}

type affineParams struct {
	Scale  float64 `json:"scale"`
	Offset float64 `json:"offset"`
}

// Affine is scale*x+offset: a change of units. The output is a Float64.
func Affine(output, input string, scale, offset float64) featurestore.Transform {
	return write("affine", output, featurestore.Float64, 0, []string{input}, affineParams{scale, offset})
}

func affine(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	p := affineParams{Scale: 1}
	if err := errors.Join(checkOne(t, inputs), params(t, &p)); err != nil {
		return nil, err
	}
	return ofOne(func(x float64) float64 { return p.Scale*x + p.Offset }), nil
}

type logParams struct {
	Offset float64 `json:"offset"`
}

// Log is the natural logarithm of x+offset; with offset 1, which is the usual one for counts, it is exact near 0 (log1p). It is missing where x+offset is not
// positive. The output is a Float64.
func Log(output, input string, offset float64) featurestore.Transform {
	return write("log", output, featurestore.Float64, 0, []string{input}, logParams{offset})
}

func logarithm(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p logParams
	if err := errors.Join(checkOne(t, inputs), params(t, &p)); err != nil {
		return nil, err
	}
	if p.Offset == 1 {
		return ofOne(math.Log1p), nil
	}
	return ofOne(func(x float64) float64 { return math.Log(x + p.Offset) }), nil
}

type clipParams struct {
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
}

// Clip is x, but at least least and at most most; an infinity is no bound. The output is a Float64.
func Clip(output, input string, least, most float64) featurestore.Transform {
	var p clipParams
	if !math.IsInf(least, -1) {
		p.Min = &least
	}
	if !math.IsInf(most, 1) {
		p.Max = &most
	}
	return write("clip", output, featurestore.Float64, 0, []string{input}, p)
}

func clip(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p clipParams
	if err := errors.Join(checkOne(t, inputs), params(t, &p)); err != nil {
		return nil, err
	}
	least, most := math.Inf(-1), math.Inf(1)
	if p.Min != nil {
		least = *p.Min
	}
	if p.Max != nil {
		most = *p.Max
	}
	if least > most {
		return nil, fail(t, "the least value is above the greatest: %v, %v", least, most)
	}
	return ofOne(func(x float64) float64 { return min(max(x, least), most) }), nil
}
