package ensemble

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Linear is a linear meta-model, Intercept + Σ Coefficients[i]·(x[i] - Means[i]). It is plain data, to be stored with the members
// that it was fitted for.
type Linear struct {
	Intercept    float64
	Coefficients []float64 // by member
	Means        []float64 // of the members' outputs; they stand for a member that is missing
}

// FitLinear fits a linear meta-model: samples[i] are the outputs of all members for sample i, targets[i] what is right for it. It minimises the
// sum of squared errors plus ridge·Σ Coefficients². ridge 0 is ordinary least squares, which is an error if there are fewer samples than members and one, or
// if a member's outputs are constant or a linear combination of others'; members of an ensemble are much alike, so that some ridge nearly always pays
// (Breiman, Stacked Regressions, Machine Learning 1996).
//
// Take the outputs for samples that the members were not trained on, by cross-validation or from a set of its own: on its own training data the member
// that has overfitted most looks best.
func FitLinear(samples [][]float64, targets []float64, ridge float64) (Linear, error) {
	n := len(samples)
	if n == 0 || n != len(targets) {
		return Linear{}, fmt.Errorf("ensemble: FitLinear: %d samples with %d targets", n, len(targets))
	}
	if !(ridge >= 0) || math.IsInf(ridge, 0) {
		return Linear{}, fmt.Errorf("ensemble: FitLinear: ridge is not a positive number: %v", ridge)
	}
	d := len(samples[0])
	if d == 0 {
		return Linear{}, errors.New("ensemble: FitLinear: no members")
	}
	for i, x := range samples {
		if len(x) != d {
			return Linear{}, fmt.Errorf("ensemble: FitLinear: sample %d has %d outputs, sample 0 has %d", i, len(x), d)
		}
		if err := errors.Join(finiteVector(x), finite(targets[i])); err != nil {
			return Linear{}, fmt.Errorf("ensemble: FitLinear: sample %d: %w", i, err)
		}
	}
	if ridge == 0 && n < d+1 {
		return Linear{}, fmt.Errorf("ensemble: FitLinear: %d samples for %d members and an intercept, without ridge", n, d)
	}
	l := Linear{Intercept: middle(targets), Means: make([]float64, d)}
	// Rows sqrt(ridge)·I below the centred outputs, with targets 0, make the penalty part of the squares.
	columns := make([][]float64, d)
	for j := range columns {
		column := make([]float64, n+d)
		for i := range n {
			column[i] = samples[i][j]
		}
		l.Means[j] = middle(column[:n])
		for i := range n {
			column[i] -= l.Means[j]
		}
		column[n+j] = math.Sqrt(ridge)
		columns[j] = column
	}
	y := make([]float64, n+d)
	for i, t := range targets {
		y[i] = t - l.Intercept
	}
	var err error
	if l.Coefficients, err = leastSquares(columns, y); err != nil {
		return Linear{}, err
	}
	if finiteVector(l.Coefficients) != nil {
		return Linear{}, errors.New("ensemble: FitLinear: the outputs or the targets are too large or too small for the arithmetic: scale them")
	}
	return l, nil
}

// leastSquares minimises |A·w - y|² for a matrix given by columns, by Householder's QR decomposition (Golub and Van Loan, Matrix Computations, 5.3). It
// overwrites both.
func leastSquares(columns [][]float64, y []float64) ([]float64, error) {
	d := len(columns)
	diagonal := make([]float64, d)
	for k, v := range columns {
		norm := norm2(v[k:])
		if norm <= 1e-10*norm2(v) || norm == 0 { // what is left of the column beside the earlier ones is rounding
			return nil, fmt.Errorf("ensemble: FitLinear: the outputs of member %d are constant or a linear combination of those before; use ridge", k)
		}
		if v[k] > 0 {
			norm = -norm
		}
		diagonal[k] = norm
		v[k] -= norm // v[k:] is the reflection's normal now
		length := norm2(v[k:])
		for i := k; i < len(v); i++ {
			v[i] /= length // the square of the length could overflow, or be 0
		}
		for _, u := range append(columns[k+1:len(columns):len(columns)], y) {
			s := 2 * dot(v[k:], u[k:])
			for i := k; i < len(u); i++ {
				u[i] -= s * v[i]
			}
		}
	}
	w := make([]float64, d)
	for k := d - 1; k >= 0; k-- {
		w[k] = y[k]
		for j := k + 1; j < d; j++ {
			w[k] -= columns[j][k] * w[j]
		}
		w[k] /= diagonal[k]
	}
	return w, nil
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func norm2(a []float64) float64 {
	norm := 0.0
	for _, v := range a {
		norm = math.Hypot(norm, v)
	}
	return norm
}

// Predict is the model's value for the outputs of all members. It panics if there are not as many as coefficients.
func (l Linear) Predict(outputs []float64) float64 {
	sum := l.Intercept
	for i, c := range l.Coefficients {
		sum += c * (outputs[i] - l.Means[i])
	}
	return sum
}

// StackLinear combines numbers by a linear meta-model, in which a missing member is at its mean. No Agreement.
func StackLinear[F Float](l Linear) Combiner[F, F] {
	c := Stack[F](len(l.Coefficients), l.Means, func(_ context.Context, outputs []float64) (F, error) { return F(l.Predict(outputs)), nil })
	if c.err == nil && l.Means == nil {
		c.err = errors.New("ensemble: StackLinear: no means")
	}
	if c.err == nil {
		c.err = errors.Join(finiteVector(l.Coefficients), finiteVector(l.Means), finite(l.Intercept))
	}
	return c
}
