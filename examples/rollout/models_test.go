package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// says is a model that always says the same.
type says int

func (s says) probabilities(mnist.Image) []float64 {
	p := make([]float64, mnist.Classes)
	p[s] = 1
	return p
}

// paint is an image with ink on some pixels.
func paint(ink ...int) mnist.Image {
	image := make(mnist.Image, mnist.Pixels)
	for _, i := range ink {
		image[i] = 255
	}
	return image
}

func TestSmallest(t *testing.T) {
	values := []float32{5, 1, 4, 1, 3, 0}
	assert.Equal(t, []int{5}, smallest(values, 1))
	assert.Equal(t, []int{5, 1, 3}, smallest(values, 3))
	assert.Equal(t, []int{5, 1, 3, 4, 2, 0}, smallest(values, 6))
}

func TestNearest(t *testing.T) {
	small := shrink(paint(0, 1, 28, 2))
	assert.InDelta(t, 0.75, small[0], 1e-6)
	assert.InDelta(t, 0.25, small[1], 1e-6)
	set := &mnist.Set{Images: []mnist.Image{paint(0, 1, 2), paint(400, 401), paint(0, 1), paint(600)}, Labels: []uint8{3, 7, 3, 9}}
	p := newNearest(2, set).probabilities(paint(0, 1, 2, 3))
	assert.Equal(t, 3, digit(p))
	sum := 0.0
	for _, v := range p {
		assert.Positive(t, v)
		sum += v
	}
	assert.InDelta(t, 1, sum, 1e-9)
	assert.Equal(t, 7, digit(newNearest(1, set).probabilities(paint(400))))
	assert.NotPanics(t, func() { newNearest(9, set).probabilities(paint()) }, "more neighbours than images")
}

func TestSplitLeavesNothingOut(t *testing.T) {
	learn := &mnist.Set{Images: make([]mnist.Image, 125), Labels: make([]uint8, 125)}
	for i := range learn.Labels {
		learn.Labels[i] = uint8(i)
	}
	s, err := split(learn, part(learn, 0, 1))
	require.NoError(t, err)
	all := append(append(append([]uint8(nil), s.train.Labels...), s.calibrate.Labels...), s.threshold.Labels...)
	assert.Equal(t, learn.Labels, all)
	assert.Equal(t, 105, s.train.Len())
	_, err = split(part(learn, 0, 119), learn)
	assert.Error(t, err)
}

func TestSpread(t *testing.T) {
	var sum atomic.Int64
	add := func(_ context.Context, i int) error { sum.Add(int64(i)); return nil }
	require.NoError(t, spread(t.Context(), 7, 100, add))
	assert.EqualValues(t, 4950, sum.Load())

	broken, calls := errors.New("broken"), 0
	one := func(err error) func(context.Context, int) error {
		calls = 0
		return func(context.Context, int) error { calls++; return err }
	}
	assert.ErrorIs(t, spread(t.Context(), 1, 100, one(broken)), broken)
	assert.Equal(t, 1, calls)
	assert.NoError(t, spread(t.Context(), 1, 100, one(errEnough)))
	assert.Equal(t, 1, calls)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	assert.ErrorIs(t, spread(ctx, 1, 100, one(nil)), context.Canceled)
	assert.Zero(t, calls)
}

func TestMajority(t *testing.T) {
	e, err := newMajority([]member{{"a", says(1)}, {"b", says(2)}, {"c", says(2)}})
	require.NoError(t, err)
	a, err := e.Ask(t.Context(), paint())
	require.NoError(t, err)
	assert.Equal(t, 2, a.Value)
	assert.InDelta(t, 2.0/3, a.Agreement.Share, 1e-9)
}

// A stage that is sure is taken, one that is not goes on.
func TestCascade(t *testing.T) {
	learn := &mnist.Set{Images: []mnist.Image{paint(1), paint(1)}, Labels: []uint8{1, 1}}
	n, err := learnt(t, learn)
	require.NoError(t, err)
	c, err := newCascade(&models{softmax: n, big: n}, func(p []float64) float64 { return ensemble.MaxProbability(p) }, 2)
	require.NoError(t, err)
	r, err := c.DoResult(t.Context(), paint(1))
	require.NoError(t, err)
	assert.Equal(t, 1, r.Stage)
	require.NoError(t, c.SetThresholds(0.01))
	r, err = c.DoResult(t.Context(), paint(1))
	require.NoError(t, err)
	assert.Equal(t, 0, r.Stage)
}

func TestPartial(t *testing.T) {
	set := &mnist.Set{Images: []mnist.Image{paint(1), paint(1), paint(2)}, Labels: []uint8{1, 1, 1}}
	n, err := learnt(t, set)
	require.NoError(t, err)
	m := &models{small: n, softmax: n, nearest: newNearest(1, set)}
	o := options{callers: 2}
	p, err := askPartial(t.Context(), o, set, m, true, ensemble.Config{Policy: ensemble.Quorum, Quorum: 2})
	require.NoError(t, err)
	assert.EqualValues(t, 3, p.answered.Load())
	assert.EqualValues(t, 3, p.partial.Load())
	assert.EqualValues(t, 3, p.right.Load())
	p, err = askPartial(t.Context(), o, set, m, true, ensemble.Config{Deadline: time.Millisecond})
	require.NoError(t, err)
	assert.Zero(t, p.answered.Load())
	p, err = askPartial(t.Context(), o, set, m, false, ensemble.Config{})
	require.NoError(t, err)
	assert.EqualValues(t, 3, p.answered.Load())
	assert.Zero(t, p.partial.Load())
}
