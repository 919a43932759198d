package ensemble_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

func TestNewCascadeRefuses(t *testing.T) {
	with := ensemble.WithConfidence(verdict.confidence)
	mod := func(f func(*cascadeStage)) []cascadeStage {
		s := says("small", 1, 0.5)
		f(&s)
		return []cascadeStage{s, says("large", 1, 0)}
	}
	fine := mod(func(*cascadeStage) {})
	wrongReview := ensemble.WithReview(func(context.Context, string, *ensemble.AbstainError[verdict]) {})
	for name, tc := range map[string]struct {
		stages []cascadeStage
		cfg    ensemble.CascadeConfig
		opts   []ensemble.CascadeOption[verdict]
		want   string
	}{
		"no stages":         {nil, ensemble.CascadeConfig{}, nil, "no stages"},
		"no run":            {mod(func(s *cascadeStage) { s.Do = nil }), ensemble.CascadeConfig{}, nil, "no Do"},
		"same name":         {mod(func(s *cascadeStage) { s.Name = "large" }), ensemble.CascadeConfig{}, nil, "two stages"},
		"no threshold":      {mod(func(s *cascadeStage) { s.Threshold = 0 }), ensemble.CascadeConfig{}, nil, "no threshold"},
		"NaN":               {mod(func(s *cascadeStage) { s.Threshold = math.NaN() }), ensemble.CascadeConfig{}, nil, "NaN"},
		"negative timeout":  {mod(func(s *cascadeStage) { s.Timeout = -1 }), ensemble.CascadeConfig{}, nil, "negative"},
		"negative latency":  {mod(func(s *cascadeStage) { s.Latency = -1 }), ensemble.CascadeConfig{}, nil, "negative"},
		"never in time":     {mod(func(s *cascadeStage) { s.Latency, s.Timeout = 2, 1 }), ensemble.CascadeConfig{}, nil, "more than its Timeout"},
		"policy":            {mod(func(s *cascadeStage) { s.ErrorPolicy = 9 }), ensemble.CascadeConfig{}, nil, "unknown ErrorPolicy"},
		"reserve":           {fine, ensemble.CascadeConfig{Reserve: -time.Second}, nil, "negative"},
		"abstain":           {fine, ensemble.CascadeConfig{Abstain: true}, nil, `stage "large" has no threshold`},
		"nil option":        {fine, ensemble.CascadeConfig{}, []ensemble.CascadeOption[verdict]{nil}, "nil CascadeOption"},
		"nil confidence":    {fine, ensemble.CascadeConfig{}, []ensemble.CascadeOption[verdict]{ensemble.WithConfidence[verdict](nil)}, "nil function"},
		"nil annotation":    {fine, ensemble.CascadeConfig{}, []ensemble.CascadeOption[verdict]{ensemble.WithAnnotation[verdict](nil)}, "nil function"},
		"nil review":        {fine, ensemble.CascadeConfig{}, []ensemble.CascadeOption[verdict]{ensemble.WithReview[int, verdict](nil)}, "nil function"},
		"review of another": {fine, ensemble.CascadeConfig{Abstain: true}, []ensemble.CascadeOption[verdict]{wrongReview}, "the stages need"},
		"review in vain": {fine, ensemble.CascadeConfig{}, []ensemble.CascadeOption[verdict]{
			ensemble.WithReview(func(context.Context, int, *ensemble.AbstainError[verdict]) {}),
		}, "needs CascadeConfig.Abstain"},
	} {
		_, err := ensemble.NewCascade(tc.stages, tc.cfg, append(tc.opts, with)...)
		require.ErrorContains(t, err, tc.want, name)
	}
	_, err := ensemble.NewCascade(fine, ensemble.CascadeConfig{})
	require.ErrorContains(t, err, "no Confidence")
	unnamed := []cascadeStage{says("", 1, 0.5), says("", 1, 0)}
	c, err := ensemble.NewCascade(unnamed, ensemble.CascadeConfig{}, with)
	require.NoError(t, err)
	assert.Equal(t, "stage 1", c.Stats().Stages[1].Name)
	assert.Empty(t, unnamed[0].Name, "the caller's slice is left alone")
}

func TestCascadeConfidentDoDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.9, 0.7), says("large", 1, 0))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = c.Do(ctx, 1) }))

	escalates := newCascade(t, ensemble.CascadeConfig{OnResult: func(ensemble.CascadeEvent) {}}, says("small", 0.1, 0.7), says("large", 1, 0))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = escalates.Do(ctx, 1) }))
}

func TestCascadeConcurrently(t *testing.T) {
	var seen sync.Map
	c := newCascade(t, ensemble.CascadeConfig{OnResult: func(e ensemble.CascadeEvent) { seen.Store(e.Stage, true) }},
		cascadeStage{Name: "small", Threshold: 0.5, Do: func(_ context.Context, req int) (verdict, error) {
			return verdict{from: "small", sure: float64(req % 2)}, nil
		}}, says("large", 1, 0))
	var callers sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // so that the time of the large one is learned and used
	defer cancel()
	for i := range 8 {
		callers.Go(func() {
			for j := range 200 {
				got, err := c.Do(ctx, i+j)
				want := "large"
				if (i+j)%2 == 1 {
					want = "small"
				}
				if err != nil || got.from != want {
					t.Errorf("%d: %v %v", i+j, got, err)
				}
				if j%50 == 0 {
					_ = c.SetThresholds(0.5 + float64(i)/100)
					_ = c.Stats()
				}
			}
		})
	}
	callers.Wait()
	st := c.Stats()
	assert.Equal(t, uint64(1600), st.Calls)
	assert.Equal(t, uint64(800), st.Stages[0].Answered)
	assert.Equal(t, uint64(800), st.Stages[1].Answered)
	_, small := seen.Load(0)
	assert.True(t, small)
}
