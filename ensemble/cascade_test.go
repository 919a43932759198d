package ensemble_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"

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
	return cascadeStage{Name: name, Threshold: threshold, Do: func(context.Context, int) (verdict, error) {
		return verdict{from: name, sure: sure}, nil
	}}
}

// breaks is a stage that fails at once.
func breaks(name string, err error) cascadeStage {
	return cascadeStage{Name: name, Threshold: 0.5, Do: func(context.Context, int) (verdict, error) { return verdict{from: name}, err }}
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

	c = newCascade(t, ensemble.CascadeConfig{}, says("small", 0.6, 0.7), says("medium", 0.6, 0.7), says("large", 0.1, 0))
	_, err = c.Do(t.Context(), 1)
	require.NoError(t, err)
	for i, want := range []uint64{1, 1, 0} {
		assert.Equal(t, want, c.Stats().Stages[i].Escalated)
	}
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
	assert.Equal(t, uint64(1), st.Stages[1].Failed)
}

func TestCascadeErrorPolicies(t *testing.T) {
	strict := breaks("strict", errCascade)
	strict.ErrorPolicy = ensemble.StageErrorEnds

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
	small.Do = func(_ context.Context, req int) (verdict, error) {
		if req == 0 {
			panic("boom")
		}
		return verdict{sure: 1}, nil
	}
	c := newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	require.PanicsWithValue(t, "boom", func() { _, _ = c.Do(t.Context(), 0) })
	assert.Equal(t, uint64(1), c.Stats().Stages[0].Failed)
	_, err := c.Do(t.Context(), 1)
	require.NoError(t, err)
}

func TestCascadeGoexitIsCounted(t *testing.T) {
	small := says("small", 1, 0.5)
	small.Do = func(context.Context, int) (verdict, error) {
		runtime.Goexit()
		return verdict{}, nil
	}
	c := newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	var caller sync.WaitGroup
	caller.Go(func() { _, _ = c.Do(t.Context(), 0) })
	caller.Wait()
	assert.Equal(t, uint64(1), c.Stats().Stages[0].Failed)
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
	large.Do = func(ctx context.Context, _ int) (verdict, error) {
		cancel(cause)
		return verdict{}, ctx.Err()
	}
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.5), large)
	r, err := c.DoResult(ctx, 1)
	assert.Equal(t, cause, err)
	assert.Equal(t, ensemble.StopEnded, r.Reason)
	assert.Equal(t, cause, r.Steps[1].Err)
	st := c.Stats()
	assert.Equal(t, uint64(1), st.Cancelled)
	assert.Equal(t, uint64(1), st.Stages[1].Cancelled)
	assert.Zero(t, st.Stages[1].Failed)

	// And one between the stages does not call the next.
	ctx, cancel = context.WithCancelCause(t.Context())
	small := says("small", 0.1, 0.5)
	small.Do = func(context.Context, int) (verdict, error) {
		cancel(cause)
		return verdict{sure: 0.1}, nil
	}
	c = newCascade(t, ensemble.CascadeConfig{}, small, says("large", 1, 0))
	_, err = c.Do(ctx, 1)
	assert.Equal(t, cause, err)
	assert.Zero(t, c.Stats().Stages[1].Calls)
}

// The last stage's answer is there: nobody gains if it is thrown away.
func TestCascadeCancelledAtTheLastAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	large := says("large", 0.1, 0.9)
	run := large.Do
	large.Do = func(ctx context.Context, req int) (verdict, error) {
		cancel()
		return run(ctx, req)
	}
	c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.5), large)
	got, err := c.Do(ctx, 1)
	require.NoError(t, err)
	assert.Equal(t, "large", got.from)
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

// An answer in hand does not stand if Do returns an error instead of it.
func TestCascadeNoFallbackWithAnError(t *testing.T) {
	ends := breaks("large", errCascade)
	ends.ErrorPolicy = ensemble.StageErrorEnds
	for name, c := range map[string]struct {
		large   cascadeStage
		abstain bool
		want    bool
	}{
		"stands":   {breaks("large", errCascade), false, true},
		"abstains": {breaks("large", errCascade), true, false},
		"ends":     {ends, false, false},
	} {
		var event ensemble.CascadeEvent
		cfg := ensemble.CascadeConfig{Abstain: c.abstain, OnResult: func(e ensemble.CascadeEvent) { event = e }}
		_, err := newCascade(t, cfg, says("small", 0.1, 0.7), c.large).Do(t.Context(), 1)
		assert.Equal(t, c.want, err == nil, name)
		assert.Equal(t, c.want, event.Fallback(), name)
	}
}
