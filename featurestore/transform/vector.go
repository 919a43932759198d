package transform

import (
	"errors"
	"math"

	"github.com/scalable-ai/patterns/featurestore"
)

// Cosine is the cosine of the angle of two vectors of one size, computed in float64. It is missing where one is 0. The output is a Float64.
func Cosine(output, a, b string) featurestore.Transform {
	return write("cosine", output, featurestore.Float64, 0, []string{a, b}, nil)
}

func cosine(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	return pair(t, inputs, func(a, b []float32) float64 {
		var ab, aa, bb float64
		for i, x := range a {
			x, y := float64(x), float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		// Rounding may lead a little beyond 1. Of a vector of 0 it is NaN, which is missing.
		return min(max(ab/(math.Sqrt(aa)*math.Sqrt(bb)), -1), 1)
	})
}

// Dot is the inner product of two vectors of one size, computed in float64. The output is a Float64.
func Dot(output, a, b string) featurestore.Transform {
	return write("dot", output, featurestore.Float64, 0, []string{a, b}, nil)
}

func dot(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	return pair(t, inputs, func(a, b []float32) (ab float64) {
		for i, x := range a {
			ab += float64(x) * float64(b[i])
		}
		return ab
	})
}

// L2Distance is the Euclidean distance of two vectors of one size, computed in float64. The output is a Float64.
func L2Distance(output, a, b string) featurestore.Transform {
	return write("l2distance", output, featurestore.Float64, 0, []string{a, b}, nil)
}

func distance(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	return pair(t, inputs, func(a, b []float32) float64 {
		var squares float64
		for i, x := range a {
			d := float64(x) - float64(b[i])
			squares += d * d
		}
		return math.Sqrt(squares)
	})
}

// pair makes the function of an operation on two vectors.
func pair(t featurestore.Transform, inputs []featurestore.Feature, f func(a, b []float32) float64) (featurestore.Apply, error) {
	if err := errors.Join(arity(t, inputs, 2, 2), floatOutput(t), noParams(t)); err != nil {
		return nil, err
	}
	a, b := inputs[0], inputs[1]
	if a.Kind != featurestore.Vector || b.Kind != featurestore.Vector || a.Dim != b.Dim {
		return nil, fail(t, "the inputs are two vectors of one size, not of types %v, %v and sizes %d, %d", a.Kind, b.Kind, a.Dim, b.Dim)
	}
	return func(in, out []*featurestore.Column) error {
		for row := range out[0].Valid {
			if in[0].Valid[row] && in[1].Valid[row] {
				setFloat(out[0], row, f(in[0].Vecs[row*a.Dim:(row+1)*a.Dim], in[1].Vecs[row*a.Dim:(row+1)*a.Dim]))
			}
		}
		return nil
	}, nil
}
