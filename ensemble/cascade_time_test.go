package ensemble_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

const millisecond = time.Millisecond

// takes is s, after a time that its context can cut short.
func takes(s cascadeStage, d time.Duration) cascadeStage {
	run := s.Do
	s.Do = func(ctx context.Context, req int) (verdict, error) {
		if err := cascadeSleep(ctx, d); err != nil {
			return verdict{}, err
		}
		return run(ctx, req)
	}
	return s
}

func cascadeSleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestCascadeDoesNotEscalateWhatCannotBeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := takes(says("large", 1, 0), 50*millisecond)
		large.Latency = 60 * millisecond
		c := newCascade(t, ensemble.CascadeConfig{}, takes(says("small", 0.1, 0.7), 10*millisecond), large)

		began := time.Now()
		r, err := c.DoResult(within(t, 69*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, 10*millisecond, time.Since(began))
		assert.Equal(t, "small", r.Answer.from)
		assert.Equal(t, ensemble.StopDeadline, r.Reason)
		require.Len(t, r.Steps, 2)
		assert.Equal(t, ensemble.CascadeStep{Stage: 1, Name: "large", Skipped: true}, r.Steps[1])

		r, err = c.DoResult(within(t, 70*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, "large", r.Answer.from, "just enough")

		r, err = c.DoResult(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "large", r.Answer.from, "no deadline")

		st := c.Stats()
		assert.Equal(t, uint64(1), st.Stages[1].Skipped)
		assert.Equal(t, uint64(1), st.Fallbacks)
		assert.Equal(t, uint64(2), st.Stages[0].Escalated)
		assert.Equal(t, 30*millisecond, st.Stages[0].RunTime)
		assert.Equal(t, 50*millisecond, st.Stages[1].MeanRunTime())
		assert.Equal(t, 60*millisecond, st.Stages[1].Latency)
	})
}

// A later stage that is fast enough is called although one before it is not.
func TestCascadeSkipsOnlyTheStageThatIsTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := takes(says("slow", 1, 0.5), 80*millisecond), takes(says("fast", 1, 0), 20*millisecond)
		slow.Latency, fast.Latency = 80*millisecond, 20*millisecond
		c := newCascade(t, ensemble.CascadeConfig{}, takes(says("small", 0.1, 0.7), 10*millisecond), slow, fast)
		r, err := c.DoResult(within(t, 50*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, "fast", r.Answer.from)
		assert.Equal(t, ensemble.StopLast, r.Reason)
	})
}

// Without an answer in hand there is nothing to lose.
func TestCascadeSkipsNothingWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := takes(says("large", 1, 0), 20*millisecond)
		large.Latency = time.Hour
		c := newCascade(t, ensemble.CascadeConfig{}, breaks("small", errCascade), large)
		got, err := c.Do(within(t, 50*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, "large", got.from)
	})
}

func TestCascadeReserveLeavesTimeForTheAnswerInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{Reserve: 5 * millisecond}, takes(says("small", 0.1, 0.7), 10*millisecond), takes(says("large", 1, 0), time.Hour))
		ctx := within(t, 100*millisecond)
		began := time.Now()
		r, err := c.DoResult(ctx, 1)
		require.NoError(t, err)
		assert.Equal(t, 95*millisecond, time.Since(began), "the caller still has 5 ms")
		require.NoError(t, ctx.Err())
		assert.Equal(t, "small", r.Answer.from)
		assert.Equal(t, ensemble.StopDeadline, r.Reason)
		assert.ErrorIs(t, r.Steps[1].Err, context.DeadlineExceeded)
		assert.Equal(t, uint64(1), c.Stats().Stages[1].Cancelled)
		assert.Zero(t, c.Stats().Stages[1].Failed)

		// The first stage has all of it.
		c = newCascade(t, ensemble.CascadeConfig{Reserve: 5 * millisecond}, takes(says("small", 0.1, 0.7), 98*millisecond), says("large", 1, 0))
		r, err = c.DoResult(within(t, 100*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, ensemble.StopDeadline, r.Reason)
		assert.Zero(t, c.Stats().Stages[1].Calls)
	})
}

func TestCascadeDeadlineWhileEscalating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{}, takes(says("small", 0.1, 0.7), 10*millisecond), takes(says("large", 1, 0), time.Hour))
		began := time.Now()
		r, err := c.DoResult(within(t, 100*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, 100*millisecond, time.Since(began))
		assert.Equal(t, "small", r.Answer.from)
		assert.Equal(t, ensemble.StopDeadline, r.Reason)

		// With no answer it is the caller's deadline.
		_, err = c.Do(within(t, 5*millisecond), 1)
		assert.Equal(t, context.DeadlineExceeded, err)
		assert.Equal(t, uint64(1), c.Stats().Cancelled)
	})
}

func TestCascadeStageTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := takes(says("remote", 1, 0), time.Hour)
		remote.Timeout = 30 * millisecond
		c := newCascade(t, ensemble.CascadeConfig{}, says("local", 0.1, 0.7), remote)
		began := time.Now()
		r, err := c.DoResult(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, 30*millisecond, time.Since(began))
		assert.Equal(t, "local", r.Answer.from)
		assert.Equal(t, ensemble.StopFailure, r.Reason)
		require.ErrorIs(t, r.Failures, ensemble.ErrStageTimeout)
		require.ErrorIs(t, r.Failures, context.DeadlineExceeded)
		assert.Equal(t, uint64(1), c.Stats().Stages[1].TimedOut)

		// When Do returns, the stage's context has ended: no timer is left behind.
		var kept context.Context
		small := says("small", 1, 0.5)
		small.Timeout = time.Hour
		small.Do = func(ctx context.Context, _ int) (verdict, error) {
			kept = ctx
			return verdict{sure: 1}, ctx.Err()
		}
		_, err = newCascade(t, ensemble.CascadeConfig{}, small).Do(t.Context(), 1)
		require.NoError(t, err)
		require.ErrorIs(t, kept.Err(), context.Canceled)

		// A stage that ignores its context and answers late is believed.
		late := says("late", 1, 0.5)
		late.Timeout = 30 * millisecond
		run := late.Do
		late.Do = func(ctx context.Context, req int) (verdict, error) {
			time.Sleep(time.Second)
			return run(ctx, req)
		}
		c = newCascade(t, ensemble.CascadeConfig{}, late, says("large", 1, 0))
		got, err := c.Do(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, "late", got.from)
	})
}

func TestCascadeLearnsHowLongAStageTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := 200 * millisecond
		large := says("large", 1, 0)
		run := large.Do
		large.Do = func(ctx context.Context, req int) (verdict, error) {
			if err := cascadeSleep(ctx, pace); err != nil {
				return verdict{}, err
			}
			return run(ctx, req)
		}
		c := newCascade(t, ensemble.CascadeConfig{Reserve: millisecond}, says("small", 0.1, 0.7), large)
		for range 50 {
			_, err := c.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		expected := c.Stats().Stages[1].Latency
		assert.GreaterOrEqual(t, expected, 200*millisecond)
		assert.Less(t, expected, 201*millisecond, "no deviation")

		began := time.Now()
		got, err := c.Do(within(t, 100*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, "small", got.from)
		assert.Zero(t, time.Since(began), "skipped")

		// While the stage stays slow, few requests with too little time find that out again.
		const n = 1000
		before := c.Stats().Stages[1].Calls
		for range n {
			_, err := c.Do(within(t, 100*millisecond), 1)
			require.NoError(t, err)
		}
		tried := c.Stats().Stages[1].Calls - before
		assert.Greater(t, tried, uint64(3))
		assert.Less(t, tried, uint64(n/20))

		// When it is fast again, it is used again.
		pace = 20 * millisecond
		for range 200 {
			_, _ = c.Do(within(t, 100*millisecond), 1)
		}
		skipped := c.Stats().Stages[1].Skipped
		for range 100 {
			got, err := c.Do(within(t, 100*millisecond), 1)
			require.NoError(t, err)
			assert.Equal(t, "large", got.from)
		}
		assert.Equal(t, skipped, c.Stats().Stages[1].Skipped)
	})
}

// Neither cancelled calls nor fast failures may teach a wrong time.
func TestCascadeLearnsFromAnswersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := false
		large := says("large", 1, 0)
		large.Do = func(ctx context.Context, _ int) (verdict, error) {
			if fail {
				return verdict{}, errCascade
			}
			return verdict{sure: 1}, cascadeSleep(ctx, 100*millisecond)
		}
		c := newCascade(t, ensemble.CascadeConfig{}, says("small", 0.1, 0.7), large)
		for range 50 {
			_, err := c.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		expected := c.Stats().Stages[1].Latency
		fail = true
		for range 50 {
			_, err := c.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		fail = false
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(90*millisecond, cancel)
			_, err := c.Do(ctx, 1)
			require.ErrorIs(t, err, context.Canceled)
		}
		assert.Equal(t, expected, c.Stats().Stages[1].Latency)
	})
}

// A request that has no time left at all says nothing about the stage that is skipped.
func TestCascadeLearnsNothingFromASkipWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCascade(t, ensemble.CascadeConfig{Reserve: 50 * millisecond}, takes(says("small", 0.1, 0.7), 60*millisecond), takes(says("large", 1, 0), 80*millisecond))
		skip := func() {
			r, err := c.DoResult(within(t, 100*millisecond), 1)
			require.NoError(t, err)
			require.Equal(t, ensemble.StopDeadline, r.Reason)
		}
		skip()
		assert.Zero(t, c.Stats().Stages[1].Latency, "nothing is known")
		_, err := c.Do(t.Context(), 1)
		require.NoError(t, err)
		expected := c.Stats().Stages[1].Latency
		assert.Equal(t, 160*millisecond, expected, "the first sample, with half of it as the deviation")
		for range 100 {
			skip()
		}
		assert.Equal(t, expected, c.Stats().Stages[1].Latency)
	})
}

// A Confidence may be a model itself. Its time is not that of the next stage, and is not taken from the Reserve.
func TestCascadeConfidenceTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := func(large time.Duration) *ensemble.Cascade[int, verdict] {
			small := takes(says("small", 0.1, 0.7), 10*millisecond)
			small.Confidence = func(v verdict) float64 {
				time.Sleep(30 * millisecond)
				return v.sure
			}
			return newCascade(t, ensemble.CascadeConfig{Reserve: 20 * millisecond}, small, takes(says("large", 1, 0), large))
		}
		c := judged(40 * millisecond)
		r, err := c.DoResult(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, r.Steps, 2)
		assert.Equal(t, 10*millisecond, r.Steps[0].Duration)
		assert.Equal(t, 40*millisecond, r.Steps[1].Duration)
		assert.Equal(t, 80*millisecond, c.Stats().Stages[1].Latency, "the sample, with half of it as the deviation")

		began := time.Now()
		r, err = judged(time.Hour).DoResult(within(t, 100*millisecond), 1)
		require.NoError(t, err)
		assert.Equal(t, ensemble.StopDeadline, r.Reason)
		assert.Equal(t, 80*millisecond, time.Since(began), "the Reserve is left")
	})
}
