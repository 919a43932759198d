package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

func learnt(t *testing.T, set *mnist.Set) (*network, error) {
	t.Helper()
	n, err := training.Run(t.Context(), t.Output(), set, training.Config{Name: "training", Epochs: 30, Seed: 1})
	if err != nil {
		return nil, err
	}
	return newNetwork(n), nil
}

// ones has the digit 1 only.
func ones() *sets {
	set := &mnist.Set{Images: []mnist.Image{paint(1), paint(2)}, Labels: []uint8{1, 1}}
	return &sets{set, set, set, set}
}

func deployed(t *testing.T, young model) *fleet {
	t.Helper()
	f, err := newFleet(ones())
	require.NoError(t, err)
	for version, m := range map[string]model{"2": says(1), "3": young} {
		require.NoError(t, f.register(version, m, "test"))
	}
	_, err = f.registry.Deploy(t.Context(), champion, id("2"), "test")
	require.NoError(t, err)
	_, err = f.registry.Deploy(t.Context(), challenger, id("3"), "test")
	require.NoError(t, err)
	return f
}

var quick = options{n: 50_000, callers: 4, users: 500, labelled: 0.5, delay: 100, seed: 3}

func TestWorseIsRolledBack(t *testing.T) {
	f := deployed(t, says(8))
	r, err := f.ramp(t.Context(), traffic{quick, ones().test, 1}, 0.05)
	require.NoError(t, err)
	over, ended := r.over()
	require.True(t, ended)
	assert.Equal(t, rollout.CanaryRolledBack, over.Kind)
	assert.Equal(t, wrong, over.Gate)
	assert.Equal(t, 0, over.Step)
	assert.Equal(t, r.counts[1].answers.Load(), r.counts[1].wrong.Load())
	assert.Zero(t, r.counts[0].wrong.Load())
	assert.Zero(t, r.errors.Load())
	assert.Zero(t, r.after[1].Load())
	assert.Positive(t, r.after[0].Load())
	assert.Positive(t, r.users())
	assert.Less(t, r.users(), 60)
	assert.EqualValues(t, 100, r.steps[0].Gates[1].Samples, "the first moment at which it may fail")

	require.NoError(t, f.settle(t.Context()))
	assert.Equal(t, id("2"), f.registry.Alias(challenger).ID(), "never at none")
	assert.EqualValues(t, 1, f.closed.Load())
	f.close(t.Context(), &err)
	require.NoError(t, err)
	assert.EqualValues(t, 2, f.closed.Load())
	assert.Zero(t, f.tooLate.Load())
}

func TestBetterIsPromoted(t *testing.T) {
	f := deployed(t, says(1))
	r, err := f.ramp(t.Context(), traffic{quick, ones().test, 1}, 0.05)
	require.NoError(t, err)
	over, ended := r.over()
	require.True(t, ended)
	assert.Equal(t, rollout.CanaryPromoted, over.Kind)
	assert.Len(t, r.events, 4, "three steps and the end")
	assert.Len(t, r.steps, 3)
	assert.Zero(t, r.after[0].Load())
	assert.Positive(t, r.after[1].Load())
	assert.Equal(t, id("3"), f.registry.Alias(champion).ID())
	f.close(t.Context(), &err)
	require.NoError(t, err)
}

func TestShadow(t *testing.T) {
	f := deployed(t, says(8))
	s, err := f.shadow(t.Context(), traffic{quick, ones().test, 1})
	require.NoError(t, err)
	assert.EqualValues(t, quick.n/4, s.Calls)
	assert.Zero(t, s.Agreed)
	assert.Equal(t, s.Sampled-s.Dropped, s.Differed)
	assert.Positive(t, s.labelled)
	assert.Equal(t, s.labelled, s.first)
	assert.Zero(t, s.second+s.neither+s.errors)
	f.close(t.Context(), &err)
	require.NoError(t, err)
}

// The count that must be 0 is not 0 if it happens.
func TestRequestsOnAClosedModelAreCounted(t *testing.T) {
	f := deployed(t, says(1))
	var kept rollout.Func[request, answer]
	require.NoError(t, f.registry.Register(id("9"), rollout.Source[request, answer]{
		Load: func(ctx context.Context) (rollout.Model[request, answer], error) {
			m, err := f.source("9", says(1)).Load(ctx)
			kept = m.Do
			return m, err
		},
	}, "test"))
	require.NoError(t, f.registry.Load(t.Context(), id("9"), "test"))
	_, err := kept(t.Context(), request{image: paint()})
	require.NoError(t, err)
	assert.Zero(t, f.tooLate.Load())
	require.NoError(t, f.registry.Unload(t.Context(), id("9"), "test"))
	_, err = kept(t.Context(), request{image: paint()})
	require.NoError(t, err)
	assert.EqualValues(t, 1, f.tooLate.Load())
	f.close(t.Context(), &err)
	require.NoError(t, err)
}

func TestFeedbackComesLater(t *testing.T) {
	f := feedback{delay: 10}
	f.add(label{1, true})
	f.add(label{3, false})
	assert.Empty(t, f.due(10))
	assert.Equal(t, []label{{1, true}}, f.due(11))
	assert.Empty(t, f.due(12))
	f.add(label{4, true})
	assert.Equal(t, []label{{3, false}, {4, true}}, f.due(100))
	assert.Empty(t, f.due(1000))
}

func TestTrafficIsTheSameEachTime(t *testing.T) {
	a, b := traffic{quick, ones().test, 1}, traffic{quick, ones().test, 2}
	same, labelled := 0, 0
	for i := range 1000 {
		q := a.request(i)
		assert.Equal(t, q, a.request(i))
		if q.user == b.request(i).user {
			same++
		}
		if q.labelled {
			labelled++
		}
	}
	assert.Less(t, same, 50, "another stream has other requests")
	assert.InDelta(t, 500, labelled, 80)
	assert.Equal(t, "7", key(t.Context(), request{user: 7}))
}
