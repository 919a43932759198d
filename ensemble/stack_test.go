package ensemble_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

func TestStack(t *testing.T) {
	meta := func(_ context.Context, x []float64) (string, error) {
		if x[0] > x[1] {
			return "first", nil
		}
		return "second", nil
	}
	a, err := combine(t, ensemble.Stack[float32](2, nil, meta), nil, 3, 1)
	require.NoError(t, err)
	assert.Equal(t, "first", a.Value)

	// With a member missing there must be something to fill in.
	partial := func(fill []float64) (string, error) {
		e, err := ensemble.New(answers(nan, 1), ensemble.Stack[float64](2, fill, meta), ensemble.Config{Policy: ensemble.Partial, Quorum: 1})
		require.NoError(t, err)
		return e.Do(t.Context(), 0)
	}
	_, err = partial(nil)
	require.ErrorContains(t, err, "1 of 2 members answered")
	for _, fill := range []float64{0, 2} {
		got, err := partial([]float64{fill, 0})
		require.NoError(t, err)
		assert.Equal(t, map[float64]string{0: "second", 2: "first"}[fill], got)
	}
	// With fewer members than the meta-model is for it would take some for missing ones.
	for _, n := range []int{1, 3} {
		_, err = ensemble.New(answers(make([]float64, n)...), ensemble.Stack[float64](2, []float64{0, 0}, meta), ensemble.Config{})
		require.ErrorContains(t, err, "the meta-model is for 2")
	}
	_, _, err = ensemble.Stack[float64](2, nil, meta).Combine(t.Context(), []ensemble.Vote[float64]{{}, {Member: 1}, {Member: 2, Name: "c"}})
	require.ErrorIs(t, err, ensemble.ErrBadAnswer)
	require.ErrorContains(t, err, `member "c"`)

	echo := func(_ context.Context, x []float64) ([]float64, error) { return x, nil }
	v, err := combine(t, ensemble.VectorStack[float32]([]int{2, 1}, nil, echo), nil, []float32{1, 2}, []float32{3})
	require.NoError(t, err)
	assert.Equal(t, []float64{1, 2, 3}, v.Value)
	_, err = combine(t, ensemble.VectorStack[float32]([]int{2, 1}, nil, echo), nil, []float32{1, 2}, []float32{3, 4})
	require.ErrorContains(t, err, `member "b"`)
	require.ErrorContains(t, err, "2 values, the meta-model expects 1")
	for _, widths := range [][]int{nil, {0}, {1, -1}} {
		_, err = ensemble.New(answers([]float32{1}), ensemble.VectorStack[float32](widths, nil, echo), ensemble.Config{})
		require.ErrorContains(t, err, "Stack")
	}
	_, err = ensemble.New(answers([]float32{1}), ensemble.VectorStack[float32]([]int{1, 2}, []float64{1}, echo), ensemble.Config{})
	require.ErrorContains(t, err, "1 values to fill in for 3 outputs")
}

func samplesOf(n, d int, seed uint64) (*rand.Rand, [][]float64) {
	random := rand.New(rand.NewPCG(seed, 1))
	samples := make([][]float64, n)
	for i := range samples {
		for range d {
			samples[i] = append(samples[i], 3+random.NormFloat64())
		}
	}
	return random, samples
}

// A fit finds the model that made the targets; and at the minimum the gradient of what FitLinear minimises is 0.
func TestFitLinear(t *testing.T) {
	random, samples := samplesOf(200, 4, 1)
	targets := make([]float64, len(samples))
	for i, x := range samples {
		targets[i] = 5 + 2*x[0] - x[1] + 0.5*x[3]
	}
	l, err := ensemble.FitLinear(samples, targets, 0)
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{2, -1, 0, 0.5}, l.Coefficients, 1e-12)
	assert.InDelta(t, 5+2*7-2+0.5*9, l.Predict([]float64{7, 2, 100, 9}), 1e-9)

	for i := range targets {
		targets[i] += random.NormFloat64()
	}
	for _, ridge := range []float64{0, 1, 1000} {
		l, err := ensemble.FitLinear(samples, targets, ridge)
		require.NoError(t, err)
		gradient, bias := make([]float64, 4), 0.0
		for i, x := range samples {
			e := l.Predict(x) - targets[i]
			bias += e
			for j := range x {
				gradient[j] += e * x[j]
			}
		}
		assert.InDelta(t, 0, bias, 1e-9)
		for j := range gradient {
			assert.InDelta(t, 0, gradient[j]+ridge*l.Coefficients[j], 1e-9)
		}
	}
}

// Whatever the unit of the outputs, a fit is right or an error.
func TestFitLinearScales(t *testing.T) {
	_, samples := samplesOf(50, 3, 6)
	targets := make([]float64, len(samples))
	for i, x := range samples {
		targets[i] = 1 + x[0] - 2*x[2]
	}
	for _, scale := range []float64{1e-300, 1e-200, 1e-9, 1e9, 1e200, 1e300} {
		scaled := make([][]float64, len(samples))
		for i, x := range samples {
			for _, v := range x {
				scaled[i] = append(scaled[i], v*scale)
			}
		}
		l, err := ensemble.FitLinear(scaled, targets, 0)
		require.NoError(t, err)
		for i, x := range scaled {
			assert.InDelta(t, targets[i], l.Predict(x), 1e-9, "scale %v", scale)
		}
	}
	_, err := ensemble.FitLinear([][]float64{{0}, {1e-320}, {3e-320}}, []float64{-1e300, 0, 1e300}, 0)
	require.ErrorContains(t, err, "scale them")
}

func TestFitLinearOfMembersAlike(t *testing.T) {
	_, samples := samplesOf(50, 3, 2)
	targets := make([]float64, len(samples))
	for i := range samples {
		samples[i][2] = samples[i][0] + samples[i][1]
		targets[i] = samples[i][2]
	}
	_, err := ensemble.FitLinear(samples, targets, 0)
	require.ErrorContains(t, err, "member 2 are constant or a linear combination")
	l, err := ensemble.FitLinear(samples, targets, 1e-6)
	require.NoError(t, err)
	assert.InDelta(t, 9, l.Predict([]float64{4, 5, 9}), 1e-6)
	for i := range samples {
		samples[i][1] = 7
	}
	_, err = ensemble.FitLinear(samples, targets, 0)
	require.ErrorContains(t, err, "member 1 are constant")

	for _, c := range []struct {
		samples [][]float64
		targets []float64
		ridge   float64
		text    string
	}{
		{nil, nil, 0, "0 samples"},
		{samples, targets[1:], 0, "50 samples with 49 targets"},
		{samples, targets, -1, "ridge"},
		{samples, targets, nan, "ridge"},
		{[][]float64{{}}, []float64{1}, 0, "no members"},
		{[][]float64{{1}, {1, 2}}, []float64{1, 2}, 0, "sample 1 has 2 outputs"},
		{[][]float64{{1}, {nan}}, []float64{1, 2}, 0, "sample 1"},
		{[][]float64{{1}, {2}}, []float64{1, math.Inf(1)}, 0, "sample 1"},
		{[][]float64{{1, 2}, {2, 3}}, []float64{1, 2}, 0, "2 samples for 2 members and an intercept"},
	} {
		_, err := ensemble.FitLinear(c.samples, c.targets, c.ridge)
		require.ErrorContains(t, err, c.text)
	}
}

func TestStackLinear(t *testing.T) {
	l := ensemble.Linear{Intercept: 1, Coefficients: []float64{2, 3}, Means: []float64{10, 20}}
	a, err := combine(t, ensemble.StackLinear[float32](l), nil, 11, 21)
	require.NoError(t, err)
	assert.InDelta(t, float32(6), a.Value, 0)
	e, err := ensemble.New(answers(nan, 21), ensemble.StackLinear[float64](l), ensemble.Config{Policy: ensemble.Partial, Quorum: 1})
	require.NoError(t, err)
	got, err := e.Do(t.Context(), 0)
	require.NoError(t, err)
	assert.InDelta(t, 4.0, got, 0, "the missing member is at its mean")
}

// At the minimum the gradient of what FitLogistic minimises is 0: the problem is convex, so that this is the solution.
func TestFitLogistic(t *testing.T) {
	random, flat := samplesOf(300, 5, 3)
	samples, classes := make([][][]float64, len(flat)), make([]int, len(flat))
	for i, x := range flat {
		samples[i] = [][]float64{x[:2], x[2:]}
		if random.Float64() < 0.9 { // otherwise 0
			classes[i] = 0
			for c, v := range []float64{x[0], x[2], 2*x[4] - 3} {
				if v > 3 {
					classes[i] = c
				}
			}
		}
	}
	for _, penalty := range []float64{0, 0.01, 1, 100} {
		l, err := ensemble.FitLogistic(samples, classes, penalty)
		require.NoError(t, err)
		if penalty == 0 {
			penalty = ensemble.DefaultPenalty
		}
		right := 0
		for c := range 3 {
			gradient, bias := make([]float64, 5), 0.0
			for i, x := range flat {
				p := l.Predict(x)
				e := p[c]
				if classes[i] == c {
					e--
					if p[c] == max(p[0], p[1], p[2]) {
						right++
					}
				}
				bias += e
				for j := range x {
					gradient[j] += e * (x[j] - l.Means[j])
				}
			}
			assert.InDelta(t, 0, bias, 1e-4)
			for j := range gradient {
				assert.InDelta(t, 0, gradient[j]+penalty*l.Weights[c][j], 1e-4)
			}
		}
		if penalty <= 1 {
			assert.Greater(t, right, 240)
		}
	}
}

// One feature and two classes whose frequencies are known: the free bias must give them, and one weight alone has a closed form.
func TestFitLogisticByHand(t *testing.T) {
	var samples [][][]float64
	var classes []int
	add := func(n int, x float64, class int) {
		for range n {
			samples, classes = append(samples, [][]float64{{x}}), append(classes, class)
		}
	}
	add(30, 1, 1)
	add(10, 1, 0)
	add(20, -1, 1)
	add(40, -1, 0)
	l, err := ensemble.FitLogistic(samples, classes, 1e-9)
	require.NoError(t, err)
	assert.InDelta(t, 0.75, l.Predict([]float64{1})[1], 1e-5)
	assert.InDelta(t, 1.0/3, l.Predict([]float64{-1})[1], 1e-5)

	a, err := combine(t, ensemble.StackLogistic[float32](l), nil, []float32{1})
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float32{0.25, 0.75}, a.Value, 1e-5)
	assert.InDelta(t, 0.75, a.Agreement.Share, 1e-5)
	assert.InDelta(t, -(0.25*math.Log(0.25) + 0.75*math.Log(0.75)), a.Agreement.Entropy, 1e-5)
}

func TestFitLogisticRefuses(t *testing.T) {
	type s = [][]float64
	for _, c := range []struct {
		samples [][][]float64
		classes []int
		penalty float64
		text    string
	}{
		{nil, nil, 0, "0 samples"},
		{[]s{{{1}}}, []int{0, 1}, 0, "1 samples with 2 classes"},
		{[]s{{{1}}, {{2}}}, []int{0, 1}, -1, "penalty"},
		{[]s{{{1}}, {{2}}}, []int{0, 1}, nan, "penalty"},
		{[]s{{{1}}, {{2}}}, []int{0, 0}, 0, "all samples are of class 0"},
		{[]s{{{1, 2, 3, 4}}, {{2, 3, 4, 5}}}, []int{3, 3}, 0, "all samples are of class 3"},
		{[]s{{{1}}, {{2}}}, []int{0, 2}, 0, "sample 1 has the class 2, which is not from 0 to 1"},
		{[]s{{{1}}, {{2}}}, []int{0, math.MaxInt}, 0, "which is not from 0 to 1"},
		{[]s{{make([]float64, 1<<17)}, {make([]float64, 1<<17)}}, []int{0, 1 << 16}, 0, "which is not from 0 to 65535"},
		{[]s{{{1}}, {{2}}}, []int{0, -1}, 0, "sample 1 has the class -1"},
		{[]s{{{1}}, {{2}, {3}}}, []int{0, 1}, 0, "sample 1 has 2 members"},
		{[]s{{{1}}, {{2, 3}}}, []int{0, 1}, 0, "sample 1, member 0: 2 outputs"},
		{[]s{{{1}}, {{nan}}}, []int{0, 1}, 0, "sample 1, member 0"},
		{[]s{{}, {}}, []int{0, 1}, 0, "0 members"},
		{[]s{{{}}, {{}}}, []int{0, 1}, 0, "no values"},
	} {
		_, err := ensemble.FitLogistic(c.samples, c.classes, c.penalty)
		require.ErrorContains(t, err, c.text)
	}
}

// Outputs of very different scale, as those of members that answer logits and probabilities, and classes that can be told apart perfectly.
func TestFitLogisticIllConditioned(t *testing.T) {
	_, flat := samplesOf(200, 3, 4)
	samples, classes := make([][][]float64, len(flat)), make([]int, len(flat))
	for i, x := range flat {
		samples[i] = [][]float64{{x[0] * 1000, x[1] / 1000}, {x[2]}}
		if x[0] > 3 {
			classes[i] = 1
		}
	}
	l, err := ensemble.FitLogistic(samples, classes, 1)
	require.NoError(t, err)
	for i, s := range samples {
		p := l.Predict([]float64{s[0][0], s[0][1], s[1][0]})
		assert.Equal(t, classes[i] == 1, p[1] > 0.5)
	}
}
