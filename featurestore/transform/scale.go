package transform

import (
	"errors"
	"math"
	"slices"

	"github.com/scalable-ai/patterns/featurestore"
)

type standardizeParams struct {
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"` // of the population
}

// Standardize is (x-mean)/std, with the mean and standard deviation (of the population: divided by n) of the training set; 0 everywhere if that does not
// vary. The output is a Float64. It has to be fitted.
func Standardize(output, input string) featurestore.Transform {
	return write("standardize", output, featurestore.Float64, 0, []string{input}, nil)
}

func standardize(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p standardizeParams
	if err := errors.Join(checkOne(t, inputs), fitted(t, &p)); err != nil {
		return nil, err
	}
	if p.Std < 0 {
		return nil, fail(t, "the standard deviation is negative: %v", p.Std)
	}
	return ofOne(scaled(p.Mean, p.Std)), nil
}

// scaled is (x-center)/width, 0 if the width is.
func scaled(center, width float64) func(float64) float64 {
	if width == 0 {
		return func(float64) float64 { return 0 }
	}
	return func(x float64) float64 { return (x - center) / width }
}

func fitStandardize(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	xs, err := sample(t, in[0])
	if err != nil {
		return nil, err
	}
	// Welford's method: no loss of precision when the mean is large beside the deviation.
	var mean, squares float64
	for i, x := range xs {
		d := x - mean
		mean += d / float64(i+1)
		squares += d * (x - mean)
	}
	return standardizeParams{mean, math.Sqrt(squares / float64(len(xs)))}, nil
}

type minMaxParams struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// MinMax is (x-min)/(max-min), with the least and greatest values of the training set, and clipped to 0 and 1 beyond them; 0 everywhere if that does not
// vary. The output is a Float64. It has to be fitted.
func MinMax(output, input string) featurestore.Transform {
	return write("minmax", output, featurestore.Float64, 0, []string{input}, nil)
}

func minMax(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p minMaxParams
	if err := errors.Join(checkOne(t, inputs), fitted(t, &p)); err != nil {
		return nil, err
	}
	if p.Min > p.Max {
		return nil, fail(t, "the least value is above the greatest: %v, %v", p.Min, p.Max)
	}
	f := scaled(p.Min/2, p.Max/2-p.Min/2) // by halves, as the difference may be more than a float64 can be
	if p.Max-p.Min <= math.MaxFloat64 {
		f = scaled(p.Min, p.Max-p.Min)
		return ofOne(func(x float64) float64 { return min(max(f(x), 0), 1) }), nil
	}
	return ofOne(func(x float64) float64 { return min(max(f(x/2), 0), 1) }), nil
}

func fitMinMax(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	xs, err := sample(t, in[0])
	if err != nil {
		return nil, err
	}
	return minMaxParams{slices.Min(xs), slices.Max(xs)}, nil
}

type robustParams struct {
	Median float64 `json:"median"`
	IQR    float64 `json:"iqr"`
}

// Robust is (x-median)/iqr, with the median and the distance of the quartiles of the training set, which outliers do not move; 0 everywhere if the
// quartiles are equal. The output is a Float64. It has to be fitted.
func Robust(output, input string) featurestore.Transform {
	return write("robust", output, featurestore.Float64, 0, []string{input}, nil)
}

func robust(t featurestore.Transform, inputs []featurestore.Feature) (featurestore.Apply, error) {
	var p robustParams
	if err := errors.Join(checkOne(t, inputs), fitted(t, &p)); err != nil {
		return nil, err
	}
	if p.IQR < 0 {
		return nil, fail(t, "the distance of the quartiles is negative: %v", p.IQR)
	}
	return ofOne(scaled(p.Median, p.IQR)), nil
}

func fitRobust(t featurestore.Transform, in []*featurestore.Column) (any, error) {
	xs, err := sample(t, in[0])
	if err != nil {
		return nil, err
	}
	slices.Sort(xs)
	return robustParams{quantile(xs, 0.5), quantile(xs, 0.75) - quantile(xs, 0.25)}, nil
}

// quantile of sorted numbers, linear between two of them: definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), the
// default of R and of NumPy.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-float64(i))*(sorted[j]-sorted[i]) // in this form between equal numbers it is that number
}
