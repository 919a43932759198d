package ensemble_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

func TestNewRefuses(t *testing.T) {
	two := func(change func(m []member)) []member {
		m := of(after(0, 1), after(0, 2))
		if change != nil {
			change(m)
		}
		return m
	}
	mean := ensemble.Mean[float64]()
	for _, c := range []struct {
		members  []member
		combiner ensemble.Combiner[float64, float64]
		cfg      ensemble.Config
		text     string
	}{
		{nil, mean, ensemble.Config{}, "no members"},
		{two(nil), mean, ensemble.Config{Quorum: 1}, "not for All"},
		{two(nil), mean, ensemble.Config{Policy: ensemble.First, Quorum: 1}, "not for First"},
		{two(nil), mean, ensemble.Config{Policy: ensemble.Quorum, Quorum: 3}, "Quorum 3 is more than there are members, 2"},
		{two(nil), mean, ensemble.Config{Policy: ensemble.Partial + 1}, "Policy(4)"},
		{two(nil), mean, ensemble.Config{Policy: ensemble.Quorum, Quorum: -1}, "Quorum is negative"},
		{two(nil), mean, ensemble.Config{Deadline: -1}, "Deadline is negative"},
		{two(nil), mean, ensemble.Config{MemberTimeout: -1}, "MemberTimeout is negative"},
		{two(nil), mean, ensemble.Config{Concurrency: -1}, "Concurrency is negative"},
		{two(nil), mean, ensemble.Config{Grace: -1}, "Grace is negative"},
		{two(func(m []member) { m[1].Name = "" }), mean, ensemble.Config{}, "member 1 has no name"},
		{two(func(m []member) { m[1].Name = "a" }), mean, ensemble.Config{}, `two members are called "a"`},
		{two(func(m []member) { m[1].Do = nil }), mean, ensemble.Config{}, `member "b": Do is nil`},
		{two(func(m []member) { m[1].Weight = -1 }), mean, ensemble.Config{}, `member "b": Weight`},
		{two(func(m []member) { m[1].Weight = nan }), mean, ensemble.Config{}, `member "b": Weight`},
		{two(func(m []member) { m[1].Weight = math.Inf(1) }), mean, ensemble.Config{}, `member "b": Weight`},
		{two(func(m []member) { m[1].Weight = 1 }), mean, ensemble.Config{}, `member "a" has no weight, but others have`},
		{two(func(m []member) { m[0].Weight, m[1].Weight = 5e-324, 1e300 }), mean, ensemble.Config{}, `member "a": Weight 5e-324 is too small`},
		{two(func(m []member) { m[1].Timeout = -1 }), mean, ensemble.Config{}, `member "b": Timeout`},
		{two(func(m []member) { m[1].Required, m[1].Optional = true, true }), mean, ensemble.Config{}, `member "b" is Required and Optional`},
		{two(nil), ensemble.Combiner[float64, float64]{}, ensemble.Config{}, "Combine is nil"},
		{two(nil), ensemble.TrimmedMean[float64](0.5), ensemble.Config{}, "TrimmedMean"},
		{two(nil), ensemble.TrimmedMean[float64](nan), ensemble.Config{}, "TrimmedMean"},
		{two(nil), ensemble.StackLinear[float64](ensemble.Linear{}), ensemble.Config{}, "no members"},
		{two(nil), ensemble.StackLinear[float64](ensemble.Linear{Coefficients: []float64{1, 2}}), ensemble.Config{}, "no means"},
		{two(nil), ensemble.StackLinear[float64](ensemble.Linear{Coefficients: []float64{1, nan}, Means: []float64{1, 2}}), ensemble.Config{}, "NaN"},
		{two(nil), ensemble.Stack[float64, float64](2, nil, nil), ensemble.Config{}, "meta-model is nil"},
	} {
		e, err := ensemble.New(c.members, c.combiner, c.cfg)
		require.ErrorContains(t, err, c.text)
		assert.ErrorContains(t, err, "ensemble: ")
		assert.Nil(t, e)
	}
	for _, combiner := range []ensemble.Combiner[[]float64, []float64]{
		ensemble.VectorTrimmedMean[float64](-0.1),
		ensemble.StackLogistic[float64](ensemble.Logistic{}),
		ensemble.StackLogistic[float64](ensemble.Logistic{Widths: []int{1}, Means: []float64{0}, Bias: []float64{0, 0}, Weights: [][]float64{{1}, {}}}),
		ensemble.StackLogistic[float64](ensemble.Logistic{Widths: []int{2}, Means: []float64{0}}),
	} {
		_, err := ensemble.New(answers([]float64{1}), combiner, ensemble.Config{})
		require.ErrorContains(t, err, "ensemble: ")
	}
	for _, k := range []float64{-1, nan, math.Inf(1)} {
		_, err := ensemble.New(answers([]int{1}), ensemble.ReciprocalRank[int](k), ensemble.Config{})
		require.ErrorContains(t, err, "ReciprocalRank")
	}
	_, err := ensemble.New(two(nil), mean, ensemble.Config{}, nil)
	require.ErrorContains(t, err, "nil option")
	_, err = ensemble.New(two(nil), mean, ensemble.Config{}, ensemble.WithCheck[float64](nil))
	require.ErrorContains(t, err, "WithCheck")
}

// The caller's slice of members is its own.
func TestMembersAreCopied(t *testing.T) {
	m := of(after(0, 1), after(0, 3))
	e := newMean(t, ensemble.Config{}, m...)
	m[0].Do = nil
	got, err := e.Do(t.Context(), 0)
	require.NoError(t, err)
	assert.InDelta(t, 2, got, 0)
}

func TestNames(t *testing.T) {
	for i, name := range []string{"All", "Quorum", "First", "Partial", "Policy(4)"} {
		assert.Equal(t, name, ensemble.Policy(i).String())
	}
	for i, name := range []string{"not called", "answered", "failed", "timed out", "late", "cancelled", "Status(6)"} {
		assert.Equal(t, name, ensemble.Status(i).String())
	}
}
