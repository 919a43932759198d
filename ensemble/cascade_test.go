package ensemble_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// verdict is the answer of the test's models.
type verdict struct {
	from string
	sure float64
	note string
}

type cascadeStage = ensemble.Stage[int, verdict]

func (v verdict) confidence() float64 { return v.sure }

var errCascade = errors.New("stage is down")

// says is a stage that answers at once.
func says(name string, sure, threshold float64) cascadeStage {
	return cascadeStage{Name: name, Threshold: threshold, Run: func(context.Context, int) (verdict, error) {
		return verdict{from: name, sure: sure}, nil
	}}
}

// breaks is a stage that fails at once.
func breaks(name string, err error) cascadeStage {
	return cascadeStage{Name: name, Threshold: 0.5, Run: func(context.Context, int) (verdict, error) { return verdict{from: name}, err }}
}

func newCascade(t testing.TB, cfg ensemble.CascadeConfig, stages ...cascadeStage) *ensemble.Cascade[int, verdict] {
	t.Helper()
	c, err := ensemble.NewCascade(stages, cfg, ensemble.WithConfidence(verdict.confidence))
	require.NoError(t, err)
	return c
}

func TestCascadeStopsAtTheFirstSureStage(t *testing.T) {
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.6, 0.7), says("medium", 0.7, 0.7), says("large", 0.1, 0))
	r, err := c.DoResult(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "medium", r.Answer.from)
	assert.Equal(t, 1, r.Stage)
	assert.Equal(t, "medium", r.Name)
	assert.Equal(t, ensemble.StopConfident, r.Reason)
	require.Len(t, r.Steps, 2, "large was not called")
	assert.Equal(t, 0.6, r.Steps[0].Confidence)
	assert.Equal(t, 0.7, r.Steps[1].Confidence)

	st := c.Stats()
	assert.Equal(t, uint64(1), st.Calls)
	assert.Equal(t, uint64(1), st.Answered)
	assert.Equal(t, [3]uint64{1, 1, 0}, [3]uint64{st.Stages[0].Calls, st.Stages[1].Calls, st.Stages[2].Calls})
	assert.Equal(t, uint64(1), st.Stages[0].Escalated)
	assert.Equal(t, uint64(1), st.Stages[0].Unsure)
	assert.Zero(t, st.Fallbacks)
}

func TestCascadeTakesTheLastAnswerWhateverItsConfidence(t *testing.T) {
	for _, sure := range []float64{0.01, -1, math.NaN()} {
		c := newCascade(t, ensemble.CascadeConfig{}, says("small", math.NaN(), 0.7), says("large", sure, 0.9))
		r, err := c.DoResult(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "large", r.Answer.from)
		assert.Equal(t, ensemble.StopLast, r.Reason)
	}
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.7), says("large", 0.9, 0.9))
	r, err := c.DoResult(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, ensemble.StopConfident, r.Reason)
}

func TestCascadeNeedsNoConfidenceForTheLastStage(t *testing.T) {
	small := says("small", 0.1, 0.7)
	small.Confidence = verdict.confidence
	c, err := ensemble.NewCascade([]cascadeStage{small, says("large", 0.3, 0)}, ensemble.CascadeConfig{})
	require.NoError(t, err)
	r, err := c.DoResult(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "large", r.Answer.from)
	assert.True(t, math.IsNaN(r.Confidence))
	require.Error(t, c.SetThresholds(0.7, 0.5))
}

func TestCascadeStageConfidenceOverridesTheOption(t *testing.T) {
	small := says("small", 0.1, 0.7)
	small.Confidence = func(verdict) float64 { return 0.8 }
	c := newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	got, err := c.Do(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "small", got.from)
}

func TestCascadeAbstains(t *testing.T) {
	var reviewed []int
	var event ensemble.CascadeEvent
	cfg := ensemble.CascadeConfig{Abstain: true, OnResult: func(e ensemble.CascadeEvent) { event = e }}
	c, err := ensemble.NewCascade([]cascadeStage{says("small", 0.3, 0.7), says("large", 0.6, 0.9)}, cfg,
		ensemble.WithConfidence(verdict.confidence),
		ensemble.WithReview(func(_ context.Context, req int, a *ensemble.AbstainError[verdict]) {
			reviewed = append(reviewed, req)
			assert.Equal(t, "large", a.Answer.from)
		}))
	require.NoError(t, err)
	got, err := c.Do(t.Context(), 42)
	require.ErrorIs(t, err, ensemble.ErrAbstain)
	assert.Zero(t, got)
	var abstained *ensemble.AbstainError[verdict]
	require.ErrorAs(t, err, &abstained)
	assert.Equal(t, verdict{from: "large", sure: 0.6}, abstained.Answer)
	assert.Equal(t, 0.6, abstained.Confidence)
	assert.Equal(t, 0.9, abstained.Threshold)
	assert.Equal(t, ensemble.StopLast, abstained.Reason)
	assert.Equal(t, `ensemble: abstained: confidence 0.6 of stage "large" is under 0.9 (last stage)`, err.Error())
	assert.Equal(t, []int{42}, reviewed)
	assert.ErrorIs(t, event.Err, ensemble.ErrAbstain)

	st := c.Stats()
	assert.Equal(t, uint64(1), st.Abstained)
	assert.Equal(t, uint64(1), st.Stages[1].Abstained)
	assert.Zero(t, st.Answered)
}

// With Abstain an answer that only stands because the next stage failed is not returned, but it is there to be taken.
func TestCascadeAbstainsWhenTheBetterStageFails(t *testing.T) {
	remote := breaks("remote", errCascade)
	c := newCascade(t, ensemble.CascadeConfig{Abstain: true}, says("local", 0.3, 0.7), remote)
	_, err := c.Do(t.Context(), 1)
	var abstained *ensemble.AbstainError[verdict]
	require.ErrorAs(t, err, &abstained)
	require.ErrorIs(t, err, ensemble.ErrAbstain)
	require.ErrorIs(t, err, errCascade)
	assert.Equal(t, "local", abstained.Answer.from)
	assert.Equal(t, 0.7, abstained.Threshold)
	assert.Equal(t, ensemble.StopFailure, abstained.Reason)
}

func TestCascadeLocalAnswerStandsWhenTheRemoteFails(t *testing.T) {
	annotate := func(v verdict, e ensemble.CascadeEvent) verdict {
		v.note = fmt.Sprint(e.Name, " ", e.Fallback(), " ", e.Reason)
		return v
	}
	c, err := ensemble.NewCascade([]cascadeStage{says("local", 0.3, 0.7), breaks("remote", errCascade)}, ensemble.CascadeConfig{},
		ensemble.WithConfidence(verdict.confidence), ensemble.WithAnnotation(annotate))
	require.NoError(t, err)
	r, err := c.DoResult(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, verdict{"local", 0.3, "local true failure"}, r.Answer)
	assert.Equal(t, ensemble.StopFailure, r.Reason)
	require.ErrorIs(t, r.Failures, errCascade)
	var member *ensemble.MemberError
	require.ErrorAs(t, r.Steps[1].Err, &member)
	assert.Equal(t, "remote", member.Member)
	st := c.Stats()
	assert.Equal(t, uint64(1), st.Fallbacks)
	assert.Equal(t, uint64(1), st.Stages[0].Fallbacks)
	assert.Equal(t, uint64(1), st.Stages[0].Escalated)
	assert.Equal(t, uint64(1), st.Stages[1].Errors)
}

func TestCascadeErrorPolicies(t *testing.T) {
	strict := breaks("strict", errCascade)
	strict.OnError = ensemble.StageErrorEnds

	t.Run("an early failure goes on", func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{}, breaks("small", errCascade), says("large", 0.1, 0))
		r, err := c.DoResult(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "large", r.Answer.from)
		require.ErrorIs(t, r.Failures, errCascade)
		assert.Zero(t, c.Stats().Fallbacks, "the last stage has answered")
	})
	t.Run("or ends", func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.5), strict, says("large", 1, 0))
		r, err := c.DoResult(t.Context(), 1)
		var member *ensemble.MemberError
		require.ErrorAs(t, err, &member)
		assert.Equal(t, "strict", member.Member)
		require.ErrorIs(t, err, errCascade)
		assert.Equal(t, "small", r.Answer.from, "what is known")
		assert.Equal(t, uint64(1), c.Stats().Failed)
		got, err := c.Do(t.Context(), 1)
		require.Error(t, err)
		assert.Zero(t, got)
	})
	t.Run("all fail", func(t *testing.T) {
		other := errors.New("other")
		c := newCascade(t, ensemble.CascadeConfig{}, breaks("small", errCascade), breaks("large", other))
		_, err := c.Do(t.Context(), 1)
		var all *ensemble.CascadeError
		require.ErrorAs(t, err, &all)
		require.Len(t, all.Stages, 2)
		require.ErrorIs(t, err, errCascade)
		require.ErrorIs(t, err, other)
		assert.Equal(t, `ensemble: 2 stages failed; the last: ensemble: member "large": other`, err.Error())
	})
	t.Run("the only one fails", func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{}, breaks("only", errCascade))
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, &ensemble.MemberError{Member: "only", Err: errCascade}, err)
	})
}

func TestCascadePanicGoesOnToTheCaller(t *testing.T) {
	small := says("small", 1, 0.5)
	small.Run = func(_ context.Context, req int) (verdict, error) {
		if req == 0 {
			panic("boom")
		}
		return verdict{sure: 1}, nil
	}
	c := newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	require.PanicsWithValue(t, "boom", func() { _, _ = c.Do(t.Context(), 0) })
	assert.Equal(t, uint64(1), c.Stats().Stages[0].Errors)
	_, err := c.Do(t.Context(), 1)
	require.NoError(t, err)
}

func TestCascadeGoexitIsCounted(t *testing.T) {
	small := says("small", 1, 0.5)
	small.Run = func(context.Context, int) (verdict, error) {
		runtime.Goexit()
		return verdict{}, nil
	}
	c := newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	var caller sync.WaitGroup
	caller.Go(func() { _, _ = c.Do(t.Context(), 0) })
	caller.Wait()
	assert.Equal(t, uint64(1), c.Stats().Stages[0].Errors)
}

func TestCascadeContextThatHasEnded(t *testing.T) {
	cause := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	c := newCascade(t, ensemble.CascadeConfig{OnResult: func(ensemble.CascadeEvent) { t.Error("no stage was run") }}, says("small", 1, 0.5))
	r, err := c.DoResult(ctx, 1)
	assert.Equal(t, cause, err)
	assert.Equal(t, ensemble.StopEnded, r.Reason)
	assert.Equal(t, -1, r.Stage)
	assert.Zero(t, c.Stats().Calls)
}

// A cancellation while a later stage runs is the caller's; the earlier answer is of no use to it.
func TestCascadeCancelledWhileEscalating(t *testing.T) {
	cause := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	large := says("large", 1, 0)
	large.Run = func(ctx context.Context, _ int) (verdict, error) {
		cancel(cause)
		return verdict{}, ctx.Err()
	}
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.5), large)
	r, err := c.DoResult(ctx, 1)
	assert.Equal(t, cause, err)
	assert.Equal(t, ensemble.StopEnded, r.Reason)
	assert.Equal(t, cause, r.Steps[1].Err)
	st := c.Stats()
	assert.Equal(t, uint64(1), st.Ended)
	assert.Equal(t, uint64(1), st.Stages[1].Cut)
	assert.Zero(t, st.Stages[1].Errors)

	// And one between the stages does not call the next.
	ctx, cancel = context.WithCancelCause(t.Context())
	small := says("small", 0.1, 0.5)
	small.Run = func(context.Context, int) (verdict, error) {
		cancel(cause)
		return verdict{sure: 0.1}, nil
	}
	c = newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	_, err = c.Do(ctx, 1)
	assert.Equal(t, cause, err)
	assert.Zero(t, c.Stats().Stages[1].Calls)
}

func TestCascadeSetThresholds(t *testing.T) {
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.6, 0.7), says("large", 1, 0))
	require.NoError(t, c.SetThresholds(0.5))
	got, err := c.Do(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "small", got.from)
	assert.Equal(t, []float64{0.5, 0}, c.Thresholds())
	require.NoError(t, c.SetThresholds(math.Inf(1), 0.8))
	assert.Equal(t, []float64{math.Inf(1), 0.8}, c.Thresholds())
	for _, bad := range [][]float64{nil, {0}, {math.NaN()}, {1, 1, 1}} {
		require.Error(t, c.SetThresholds(bad...), "%v", bad)
	}
	assert.Equal(t, []float64{math.Inf(1), 0.8}, c.Thresholds())
}

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
		"no run":            {mod(func(s *cascadeStage) { s.Run = nil }), ensemble.CascadeConfig{}, nil, "no Run"},
		"same name":         {mod(func(s *cascadeStage) { s.Name = "large" }), ensemble.CascadeConfig{}, nil, "two stages"},
		"no threshold":      {mod(func(s *cascadeStage) { s.Threshold = 0 }), ensemble.CascadeConfig{}, nil, "no threshold"},
		"NaN":               {mod(func(s *cascadeStage) { s.Threshold = math.NaN() }), ensemble.CascadeConfig{}, nil, "NaN"},
		"negative timeout":  {mod(func(s *cascadeStage) { s.Timeout = -1 }), ensemble.CascadeConfig{}, nil, "negative"},
		"negative latency":  {mod(func(s *cascadeStage) { s.Latency = -1 }), ensemble.CascadeConfig{}, nil, "negative"},
		"never in time":     {mod(func(s *cascadeStage) { s.Latency, s.Timeout = 2, 1 }), ensemble.CascadeConfig{}, nil, "more than its Timeout"},
		"policy":            {mod(func(s *cascadeStage) { s.OnError = 9 }), ensemble.CascadeConfig{}, nil, "unknown OnError"},
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
		cascadeStage{Name: "small", Threshold: 0.5, Run: func(_ context.Context, req int) (verdict, error) {
			return verdict{from: "small", sure: float64(req % 2)}, nil
		}}, says("large", 1, 0))
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for j := range 200 {
				got, err := c.Do(t.Context(), i+j)
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
