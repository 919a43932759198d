package ensemble_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// answers makes members a, b, c and so on that answer the values.
func answers[T any](values ...T) []ensemble.Member[int, T] {
	members := make([]ensemble.Member[int, T], len(values))
	for i, v := range values {
		members[i] = ensemble.Member[int, T]{Name: string(rune('a' + i)), Do: func(context.Context, int) (T, error) { return v, nil }}
	}
	return members
}

// combine asks members that answer the values; weights may be nil.
func combine[In, Out any](t testing.TB, c ensemble.Combiner[In, Out], weights []float64, values ...In) (ensemble.Answer[Out], error) {
	t.Helper()
	members := answers(values...)
	for i, w := range weights {
		members[i].Weight = w
	}
	e, err := ensemble.New(members, c, ensemble.Config{})
	require.NoError(t, err)
	return e.Ask(t.Context(), 0)
}

func TestScalars(t *testing.T) {
	const top = math.MaxFloat64
	weights := []float64{1, 2, 1, 4}
	for name, c := range map[string]struct {
		combiner       ensemble.Combiner[float64, float64]
		values         []float64
		want, variance float64
	}{
		"mean":                  {ensemble.Mean[float64](), []float64{1, 2, 3, 10}, 4, 12.5},
		"weighted":              {ensemble.WeightedMean[float64](), []float64{1, 2, 3, 10}, 6, 16.25},
		"median":                {ensemble.Median[float64](), []float64{10, 1, 3, 2}, 2.5, 12.5},
		"trimmed":               {ensemble.TrimmedMean[float64](0.25), []float64{10, 1, 3, 2}, 2.5, 12.5},
		"trimmed, nothing":      {ensemble.TrimmedMean[float64](0.24), []float64{10, 1, 3, 2}, 4, 12.5},
		"geometric":             {ensemble.GeometricMean[float64](), []float64{1, 2, 4, 8}, math.Exp2((0.0 + 2 + 2 + 12) / 8), 8.859375},
		"geometric, 0":          {ensemble.GeometricMean[float64](), []float64{0, 2, 4, 8}, 0, 10},
		"preferred":             {ensemble.Preferred[float64](), []float64{7, 1, 1, 1}, 7, 0},
		"equal":                 {ensemble.Mean[float64](), []float64{0.1, 0.1, 0.1, 0.1}, 0.1, 0},
		"equal, weighted":       {ensemble.WeightedMean[float64](), []float64{0.1, 0.1, 0.1, 0.1}, 0.1, 0},
		"large":                 {ensemble.Mean[float64](), []float64{top, top, top, top}, top, 0},
		"far apart":             {ensemble.Mean[float64](), []float64{top, -top, top, -top}, 0, math.Inf(1)},
		"far apart, weighted":   {ensemble.WeightedMean[float64](), []float64{top, top, top, -top}, 0, math.Inf(1)},
		"median, far apart":     {ensemble.Median[float64](), []float64{top, -top, 1, -1}, 0, math.Inf(1)},
		"median of the largest": {ensemble.Median[float64](), []float64{top, top, top, top}, top, 0},
	} {
		a, err := combine(t, c.combiner, weights, c.values...)
		require.NoError(t, err, name)
		assert.InDelta(t, c.want, a.Value, 1e-12, name)
		if math.IsInf(c.variance, 1) {
			assert.True(t, math.IsInf(a.Agreement.Variance, 1), name)
		} else {
			assert.InDelta(t, c.variance, a.Agreement.Variance, 1e-9, name)
		}
	}
	much, err := combine(t, ensemble.WeightedMean[float64](), []float64{1e-18, 1}, 1e20, 1)
	require.NoError(t, err)
	assert.InDelta(t, 101, much.Value, 1e-9, "a small share of much")
	three, err := combine(t, ensemble.Median[float32](), nil, 3, 1, 2)
	require.NoError(t, err)
	assert.InDelta(t, float32(2), three.Value, 0)
	many, err := combine(t, ensemble.Mean[float32](), nil, make([]float32, 100)...)
	require.NoError(t, err)
	assert.Zero(t, many.Value)
}

func TestVectors(t *testing.T) {
	weights := []float64{1, 2, 1, 4}
	votes := [][]float64{{1, 0}, {2, 1}, {3, 1}, {10, 1}}
	for name, c := range map[string]struct {
		combiner ensemble.Combiner[[]float64, []float64]
		want     []float64
		variance float64
	}{
		"mean":      {ensemble.VectorMean[float64](), []float64{4, 0.75}, (12.5 + 0.1875) / 2},
		"weighted":  {ensemble.VectorWeightedMean[float64](), []float64{6, 0.875}, (16.25 + 0.109375) / 2},
		"median":    {ensemble.VectorMedian[float64](), []float64{2.5, 1}, (12.5 + 0.1875) / 2},
		"trimmed":   {ensemble.VectorTrimmedMean[float64](0.3), []float64{2.5, 1}, (12.5 + 0.1875) / 2},
		"geometric": {ensemble.VectorGeometricMean[float64](), []float64{math.Pow(4*3*1e4, 1.0/8), 0}, (16.25 + 0.109375) / 2},
	} {
		a, err := combine(t, c.combiner, weights, votes...)
		require.NoError(t, err, name)
		assert.InDeltaSlice(t, c.want, a.Value, 1e-9, name)
		assert.InDelta(t, c.variance, a.Agreement.Variance, 1e-9, name)
	}
	assert.Equal(t, [][]float64{{1, 0}, {2, 1}, {3, 1}, {10, 1}}, votes, "the answers are the members'")
}

func TestProbabilities(t *testing.T) {
	a, err := combine(t, ensemble.SoftVote[float32](), []float64{1, 3}, []float32{0.9, 0.1, 0}, []float32{0.2, 0.2, 0.6})
	require.NoError(t, err)
	assert.Equal(t, 2, a.Value)
	assert.InDelta(t, 0.45, a.Agreement.Share, 1e-6)
	assert.InDelta(t, -(0.375*math.Log(0.375) + 0.175*math.Log(0.175) + 0.45*math.Log(0.45)), a.Agreement.Entropy, 1e-6)
	assert.InDelta(t, 0.25*0.45*0.45+0.75*0.15*0.15, a.Agreement.Variance, 1e-6)
	// Of equals the first, also if sums differ by rounding.
	a, err = combine(t, ensemble.SoftVote[float32](), []float64{0.1, 0.3, 0.4}, []float32{1, 0}, []float32{1, 0}, []float32{0, 1})
	require.NoError(t, err)
	assert.Equal(t, 0, a.Value)

	a, err = combine(t, ensemble.SoftVote[float32](), nil, []float32{1.009, 0}, []float32{1.009, 0})
	require.NoError(t, err)
	assert.InDelta(t, 1, a.Agreement.Share, 0, "a share is not above 1")
	b, err := combine(t, ensemble.SoftVote[float64](), nil, []float64{0.496, 0.496}, []float64{0.496, 0.496})
	require.NoError(t, err)
	assert.InDelta(t, 0.5, b.Agreement.Share, 1e-12)
	assert.InDelta(t, math.Ln2, b.Agreement.Entropy, 1e-12, "equal probabilities, whatever their sum")

	p, err := combine(t, ensemble.LogPool[float64](), nil, []float64{0.8, 0.2, 0}, []float64{0.5, 0.4, 0.1})
	require.NoError(t, err)
	x, y := math.Sqrt(0.4), math.Sqrt(0.08)
	assert.InDeltaSlice(t, []float64{x / (x + y), y / (x + y), 0}, p.Value, 1e-12)
	assert.InDelta(t, x/(x+y), p.Agreement.Share, 1e-12)
	_, err = combine(t, ensemble.LogPool[float64](), nil, []float64{1, 0}, []float64{0, 1})
	require.ErrorIs(t, err, ensemble.ErrBadAnswer)
}

func TestVotes(t *testing.T) {
	a, err := combine(t, ensemble.MajorityVote[string](), []float64{9, 1, 1, 1}, "cat", "dog", "dog", "owl")
	require.NoError(t, err)
	assert.Equal(t, "dog", a.Value)
	assert.InDelta(t, 0.5, a.Agreement.Share, 1e-12)
	assert.InDelta(t, 1.5*math.Log(2), a.Agreement.Entropy, 1e-12)
	a, err = combine(t, ensemble.WeightedVote[string](), []float64{9, 1, 1, 1}, "cat", "dog", "dog", "owl")
	require.NoError(t, err)
	assert.Equal(t, "cat", a.Value)
	assert.InDelta(t, 0.75, a.Agreement.Share, 1e-12)
	a, err = combine(t, ensemble.MajorityVote[string](), nil, "b", "a", "a", "b")
	require.NoError(t, err)
	assert.Equal(t, "b", a.Value, "the label of the earliest member")
	a, err = combine(t, ensemble.WeightedVote[string](), []float64{0.1, 0.3, 0.4}, "b", "b", "a")
	require.NoError(t, err)
	assert.Equal(t, "b", a.Value, "0.1+0.3 and 0.4 are a tie")
	a, err = combine(t, ensemble.MajorityVote[string](), nil, "a", "a", "a")
	require.NoError(t, err)
	assert.Equal(t, ensemble.Agreement{Share: 1}, a.Agreement)
}

func TestRanks(t *testing.T) {
	type ranked = ensemble.Ranked[string]
	a, err := combine(t, ensemble.ReciprocalRank[string](0), nil, []string{"a", "b", "c"}, []string{"c", "a"}, []string{"d"})
	require.NoError(t, err)
	want := []ranked{{"a", 1.0/61 + 1.0/62}, {"c", 1.0/63 + 1.0/61}, {"d", 1.0 / 61}, {"b", 1.0 / 62}}
	for i, r := range a.Value {
		assert.Equal(t, want[i].ID, r.ID)
		assert.InDelta(t, want[i].Score, r.Score, 1e-12)
	}
	assert.Len(t, a.Value, 4)
	assert.InDelta(t, 1.0/3, a.Agreement.Share, 1e-12)
	assert.InDelta(t, math.Log(3), a.Agreement.Entropy, 1e-12)

	// Weights 1 and 3 are terms of 0.5 and 1.5.
	a, err = combine(t, ensemble.ReciprocalRank[string](1), []float64{1, 3}, []string{"a"}, []string{"b"})
	require.NoError(t, err)
	assert.Equal(t, []ranked{{"b", 0.75}, {"a", 0.25}}, a.Value)

	// Ranks 1, 7, 2 and 2, 1, 7 have the same score, but for rounding.
	a, err = combine(t, ensemble.ReciprocalRank[string](0), nil, []string{"a", "b"}, []string{"b", "1", "2", "3", "4", "5", "a"}, []string{"6", "a", "7", "8", "9", "10", "b"})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, []string{a.Value[0].ID, a.Value[1].ID})

	// Four candidates: the first list gives 4, 3, 2 and leaves 1 for d; the second gives 4, 3 and leaves 1.5 each.
	b, err := combine(t, ensemble.Borda[string](), nil, []string{"a", "b", "c"}, []string{"d", "a"})
	require.NoError(t, err)
	assert.Equal(t, []ranked{{"a", 7}, {"d", 5}, {"b", 4.5}, {"c", 3.5}}, b.Value)
	b, err = combine(t, ensemble.Borda[string](), nil, []string{"b", "a"}, nil, []string{"a", "b"})
	require.NoError(t, err)
	assert.Equal(t, []ranked{{"b", 4.5}, {"a", 4.5}}, b.Value, "of equals the one that was met first")
	b, err = combine(t, ensemble.Borda[string](), nil, nil, []string{})
	require.NoError(t, err)
	assert.Empty(t, b.Value)
}

// An answer that cannot be combined is a failure of the member, which is named, and others can make up for it.
func TestBadAnswers(t *testing.T) {
	check := func(name string, e interface {
		Ask(context.Context, int) (ensemble.Answer[float64], error)
	}, text string) {
		_, err := e.Ask(t.Context(), 0)
		require.ErrorIs(t, err, ensemble.ErrBadAnswer, name)
		var m *ensemble.MemberError
		require.ErrorAs(t, err, &m, name)
		assert.Equal(t, "b", m.Member, name)
		assert.Contains(t, err.Error(), text, name)
	}
	for _, x := range []float64{nan, math.Inf(1), math.Inf(-1)} {
		check("NaN", newMean(t, ensemble.Config{}, answers(1, x)...), "bad answer")
	}
	bad := func(name string, err error, text string) {
		t.Helper()
		require.ErrorIs(t, err, ensemble.ErrBadAnswer, name)
		var m *ensemble.MemberError
		require.ErrorAs(t, err, &m, name)
		assert.Equal(t, "b", m.Member, name)
		assert.Contains(t, err.Error(), text, name)
	}
	good := []float64{0.5, 0.5}
	for name, c := range map[string]struct {
		combiner ensemble.Combiner[[]float64, []float64]
		value    []float64
		text     string
	}{
		"empty":         {ensemble.VectorMean[float64](), []float64{}, "no values"},
		"nil":           {ensemble.VectorMedian[float64](), nil, "no values"},
		"NaN":           {ensemble.VectorWeightedMean[float64](), []float64{1, nan}, "value 1 of 2 is NaN"},
		"infinite":      {ensemble.VectorWeightedMean[float64](), []float64{math.Inf(-1), 1}, "value 0 of 2 is -Inf"},
		"length":        {ensemble.VectorMean[float64](), []float64{1}, "1 values, others have 2"},
		"negative":      {ensemble.VectorGeometricMean[float64](), []float64{1, -1}, "negative"},
		"logits":        {ensemble.LogPool[float64](), []float64{3, 1}, "their sum is 4"},
		"probabilities": {ensemble.LogPool[float64](), []float64{0.5, 0.25, 0.25}, "3 values, others have 2"},
	} {
		_, err := combine(t, c.combiner, nil, good, c.value, good)
		bad(name, err, c.text)
	}
	_, err := combine(t, ensemble.SoftVote[float64](), nil, good, []float64{1}, good)
	bad("soft vote", err, "1 values, others have 2")
	_, err = combine(t, ensemble.SoftVote[float64](), nil, good, []float64{-1, 2}, good)
	bad("soft vote", err, "negative")
	_, err = combine(t, ensemble.GeometricMean[float64](), nil, 1, -1)
	bad("geometric", err, "negative")
	_, err = combine(t, ensemble.MajorityVote[float64](), nil, 1, nan)
	bad("label", err, "not equal to itself")
	_, err = combine(t, ensemble.ReciprocalRank[int](0), nil, []int{1, 2}, []int{2, 1, 2})
	bad("twice", err, "candidate 2 is ranked twice, the second time at rank 3")
	_, err = combine(t, ensemble.Borda[float64](), nil, []float64{1, 2}, []float64{nan})
	bad("NaN", err, "not equal to itself")
	_, err = combine(t, ensemble.MajorityVote[any](), nil, any(1), any([]int{1}))
	var p *ensemble.PanicError
	require.ErrorAs(t, err, &p, "a label that cannot be compared is no panic of the caller")

	e, err := ensemble.New(answers(1, nan, 3), ensemble.Mean[float64](), ensemble.Config{Policy: ensemble.Partial})
	require.NoError(t, err)
	got, err := e.Do(t.Context(), 0)
	require.NoError(t, err)
	assert.InDelta(t, 2, got, 0)
	assert.Equal(t, uint64(1), e.Stats().Members[1].Failed)
}

func TestWithCheck(t *testing.T) {
	wrong := errors.New("not 2 classes")
	e, err := ensemble.New(answers([]float64{1, 3}, []float64{1}, []float64{3, 1}), ensemble.VectorMean[float64](), ensemble.Config{Policy: ensemble.Partial},
		ensemble.WithCheck(func(p []float64) error {
			if len(p) != 2 {
				return wrong
			}
			return nil
		}))
	require.NoError(t, err)
	a, err := e.Ask(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, []float64{2, 2}, a.Value)
	assert.Equal(t, wrong, a.Members[1].Err)
}

// A combiner's error is the caller's, and counts as a failed call.
func TestErrorOfTheCombiner(t *testing.T) {
	e, err := ensemble.New(answers(1, 2), ensemble.Combiner[int, string]{Combine: func(context.Context, []ensemble.Vote[int]) (string, ensemble.Agreement, error) {
		return "not this", ensemble.Agreement{Share: 1}, errModel
	}}, ensemble.Config{})
	require.NoError(t, err)
	a, err := e.Ask(t.Context(), 0)
	assert.Equal(t, errModel, err)
	assert.Empty(t, a.Value)
	assert.Len(t, a.Members, 2)
	assert.Equal(t, uint64(1), e.Stats().Failed)
}

// The logarithm of the largest number, rounded up, is that of an infinity.
func TestGeometricMeanIsBetweenTheNumbers(t *testing.T) {
	for _, x := range []float64{0.3, 1e-320, 1e300, math.MaxFloat64} {
		a, err := combine(t, ensemble.GeometricMean[float64](), nil, x, x, x)
		require.NoError(t, err)
		assert.InDelta(t, x, a.Value, 0)
	}
	a, err := combine(t, ensemble.GeometricMean[float32](), nil, math.MaxFloat32, math.MaxFloat32)
	require.NoError(t, err)
	assert.InDelta(t, float32(math.MaxFloat32), a.Value, 0)
}

// Whatever the answers and the weights, an agreement is in its range, and a mean between the numbers.
func TestAgreementIsInRange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inRange := func(name string, a ensemble.Agreement, kinds int) {
		assert.True(t, a.Share >= 0 && a.Share <= 1 && a.Entropy >= 0 && a.Entropy <= math.Log(float64(kinds))+1e-9 && a.Variance >= 0, "%s: %+v", name, a)
	}
	for range 500 {
		n, classes := 1+random.IntN(20), 1+random.IntN(5)
		weights, numbers, labels := make([]float64, n), make([]float64, n), make([]int, n)
		pools, rankings := make([][]float32, n), make([][]int, n)
		for i := range n {
			weights[i] = math.Exp(20 * random.NormFloat64())
			numbers[i] = min(math.Exp(300*random.NormFloat64()), math.MaxFloat64)
			labels[i], rankings[i] = random.IntN(4), random.Perm(8)[:random.IntN(9)]
			p, sum := make([]float32, classes), float32(0)
			for j := range p {
				p[j] = random.Float32()
				sum += p[j]
			}
			for j := range p {
				p[j] *= (0.992 + 0.016*random.Float32()) / sum
			}
			pools[i] = p
		}
		majority, err := combine(t, ensemble.MajorityVote[int](), weights, labels...)
		require.NoError(t, err)
		inRange("MajorityVote", majority.Agreement, 4)
		weighted, err := combine(t, ensemble.WeightedVote[int](), weights, labels...)
		require.NoError(t, err)
		inRange("WeightedVote", weighted.Agreement, 4)
		soft, err := combine(t, ensemble.SoftVote[float32](), weights, pools...)
		require.NoError(t, err)
		inRange("SoftVote", soft.Agreement, classes)
		pool, err := combine(t, ensemble.LogPool[float32](), weights, pools...)
		require.NoError(t, err)
		inRange("LogPool", pool.Agreement, classes)
		for _, c := range []ensemble.Combiner[[]int, []ensemble.Ranked[int]]{ensemble.Borda[int](), ensemble.ReciprocalRank[int](0)} {
			ranked, err := combine(t, c, weights, rankings...)
			require.NoError(t, err)
			inRange("ranks", ranked.Agreement, 8)
		}
		for name, c := range map[string]ensemble.Combiner[float64, float64]{
			"Mean": ensemble.Mean[float64](), "WeightedMean": ensemble.WeightedMean[float64](), "Median": ensemble.Median[float64](),
			"TrimmedMean": ensemble.TrimmedMean[float64](random.Float64() / 2), "GeometricMean": ensemble.GeometricMean[float64](),
		} {
			got, err := combine(t, c, weights, numbers...)
			require.NoError(t, err)
			assert.True(t, got.Value >= slices.Min(numbers)*(1-1e-12) && got.Value <= slices.Max(numbers)*(1+1e-12), "%s of %v: %v", name, numbers, got.Value)
			inRange(name, got.Agreement, 1)
		}
	}
}
