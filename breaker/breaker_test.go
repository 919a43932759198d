package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

func TestOpensAndRecovers(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		got, err := b.Do(context.Background(), good)
		require.NoError(t, err)
		require.Equal(t, 1, got)
		_, err = b.Do(context.Background(), bad)
		require.Equal(t, errDown, err) // untouched
		call(t, b, good)
		require.Equal(t, breaker.StateClosed, b.State())
		call(t, b, bad) // 2 of 4
		require.Equal(t, breaker.StateOpen, b.State())

		open := rejected(t, b, good)
		require.Equal(t, breaker.StateOpen, open.State)
		require.InDelta(t, 10*sec, open.RetryAfter(), 1)
		time.Sleep(4 * sec)
		require.InDelta(t, 6*sec, open.RetryAfter(), 1)
		require.InDelta(t, 6*sec, rejected(t, b, good).RetryAfter(), 1)

		// Who comes back when told to is let in.
		time.Sleep(open.RetryAfter())
		require.Zero(t, open.RetryAfter())
		time.Sleep(sec)
		require.Zero(t, open.RetryAfter())
		call(t, b, good)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Equal(t, []breaker.State{breaker.StateOpen, breaker.StateHalfOpen, breaker.StateClosed}, seen.states())

		e := seen.list[0]
		require.Equal(t, breaker.ReasonFailureRate, e.Reason)
		require.Equal(t, []int{4, 2, 0}, []int{e.Calls, e.Failed, e.Slow})
		require.InDelta(t, 10*sec, e.OpenFor, 1)
		s := b.Stats()
		require.Equal(t, breaker.Counters{Calls: 5, Failed: 2, Rejected: 2, Opened: 1}, s.Counters)
		require.Zero(t, s.WindowCalls, "the window is new")
	})
}

// The rate is that of the last Window calls, and only of those.
func TestCountWindow(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		call(t, b, times(6, good)...)
		call(t, b, times(4, bad)...)
		call(t, b, times(3, good)...) // push out three successes
		s := b.Stats()
		require.Equal(t, []int{10, 4}, []int{s.WindowCalls, s.WindowFailed})
		call(t, b, times(4, good)...) // and one failure
		s = b.Stats()
		require.Equal(t, []int{10, 3}, []int{s.WindowCalls, s.WindowFailed})
		call(t, b, bad)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Equal(t, 3, b.Stats().WindowFailed, "one came, one went")
		call(t, b, times(3, bad)...)
		require.Equal(t, breaker.StateClosed, b.State())
		call(t, b, bad)
		require.Equal(t, breaker.StateOpen, b.State())
	})
}

// An exact rate must not be missed by rounding: 7 of 25 is 0.28, though 0.28*25 is more than 7.
func TestExactRate(t *testing.T) {
	for _, c := range []struct {
		rate          float64
		failed, calls int
	}{{0.28, 7, 25}, {0.1, 3, 30}, {0.7, 7, 10}, {1.0 / 3, 1, 3}, {0.29, 29, 100}, {1, 5, 5}, {1e-9, 1, 100}} {
		bubble(t, breaker.Config{FailureRate: c.rate, Window: c.calls, MinCalls: c.calls}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			call(t, b, times(c.calls-c.failed, good)...)
			call(t, b, times(c.failed-1, bad)...)
			require.Equal(t, breaker.StateClosed, b.State())
			call(t, b, bad)
			require.Equal(t, breaker.StateOpen, b.State(), "%+v", c)
		})
	}
}

// gobreaker looks at its counts only when a call fails. Here the call that makes MinCalls opens, though it succeeds.
func TestSuccessCanOpen(t *testing.T) {
	t.Run("by making MinCalls", func(t *testing.T) {
		for _, cfg := range []breaker.Config{{Window: 10, MinCalls: 4}, {WindowTime: sec, MinCalls: 4}} {
			bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
				call(t, b, bad, bad, bad)
				require.Equal(t, breaker.StateClosed, b.State())
				call(t, b, good)
				require.Equal(t, breaker.StateOpen, b.State())
				require.Equal(t, []int{4, 3}, []int{seen.list[0].Calls, seen.list[0].Failed})
			})
		}
	})
	t.Run("by others leaving the window", func(t *testing.T) {
		bubble(t, breaker.Config{WindowTime: sec, MinCalls: 4}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			call(t, b, times(10, good)...)
			time.Sleep(500 * ms)
			call(t, b, times(4, bad)...)
			require.Equal(t, breaker.StateClosed, b.State())
			time.Sleep(600 * ms) // the successes are forgotten
			call(t, b, good)
			require.Equal(t, breaker.StateOpen, b.State())
		})
	})
}

// Calls that are under way tell nothing yet. gobreaker counts them as requests, so that under load its rate is not reached.
func TestInFlightCallsDoNotCount(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() { _, _ = b.Do(context.Background(), step{takes: sec}) })
		}
		synctest.Wait()
		trip(t, b)
		waiting.Wait()
		require.EqualValues(t, 100, b.Stats().Late)
	})
}

// gobreaker never counts a call that is longer than its interval.
func TestCallsLongerThanTheWindowCount(t *testing.T) {
	bubble(t, breaker.Config{WindowTime: sec, MinCalls: 4}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() { _, _ = b.Do(context.Background(), step{takes: time.Minute, err: errDown}) })
		}
		calls.Wait()
		require.Equal(t, breaker.StateOpen, b.State())
	})
}

func TestTimeWindowForgets(t *testing.T) {
	bubble(t, breaker.Config{WindowTime: 10 * sec, MinCalls: 4}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		time.Sleep(100 * ms)
		for range 5 {
			call(t, b, bad, bad, bad) // never four in ten seconds
			require.Equal(t, 3, b.Stats().WindowFailed)
			time.Sleep(9 * sec)
			require.Equal(t, 3, b.Stats().WindowFailed)
			time.Sleep(sec)
			require.Zero(t, b.Stats().WindowCalls)
		}
		require.Equal(t, breaker.StateClosed, b.State())
		call(t, b, bad, bad)
		time.Sleep(9 * sec)
		call(t, b, bad, bad)
		require.Equal(t, breaker.StateOpen, b.State())
	})
}

// A back-end that answers, but slowly, opens the breaker by the rate of slow calls, which has nothing to do with failures.
func TestSlowCalls(t *testing.T) {
	for _, window := range []breaker.Config{{Window: 10}, {WindowTime: time.Hour}} {
		cfg := small()
		cfg.Window, cfg.WindowTime, cfg.SlowAfter, cfg.SlowRate = window.Window, window.WindowTime, sec, 0.75
		bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
			call(t, b, step{takes: sec - 1}, step{takes: sec}, step{takes: 5 * sec}, step{takes: sec, err: errDown})
			require.Equal(t, breaker.StateOpen, b.State())
			e := seen.list[0]
			require.Equal(t, breaker.ReasonSlowRate, e.Reason)
			require.Equal(t, []int{4, 1, 3}, []int{e.Calls, e.Failed, e.Slow})

			// A slow probe does not close it.
			time.Sleep(10 * sec)
			call(t, b, step{takes: sec})
			require.Equal(t, breaker.StateOpen, b.State())
			time.Sleep(20 * sec)
			call(t, b, step{takes: sec - 1})
			require.Equal(t, breaker.StateClosed, b.State())
			require.Equal(t, breaker.Counters{Calls: 6, Failed: 1, Slow: 4, Opened: 2}, b.Stats().Counters)
		})
	}
}

// A panic reaches the caller as it is, and counts. So does a Goexit.
func TestPanicAndGoexit(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":     func() { panic(errDown) },
		"nil panic": func() { panic(nil) }, //nolint:govet // that is the case
		"Goexit":    runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
				die := func() (value any) {
					over := make(chan struct{})
					go func() {
						defer close(over)
						defer func() { value = recover() }()
						_, _ = b.Do(context.Background(), step{do: leave})
					}()
					<-over
					return value
				}
				for range 4 {
					value := die()
					if name == "panic" {
						require.Equal(t, errDown, value)
					}
				}
				require.Equal(t, breaker.StateOpen, b.State())

				// In the half-open state it must not hold the place of the probe.
				for i := range 5 {
					time.Sleep(60 * sec)
					require.Equal(t, breaker.StateHalfOpen, b.State())
					die()
					require.Equal(t, breaker.StateOpen, b.State(), "round %d", i)
				}
				time.Sleep(60 * sec)
				call(t, b, good)
				require.Equal(t, breaker.StateClosed, b.State())
			})
		})
	}
}

func TestContextEndedBefore(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cause := errors.New("the user has left")
		cancel(cause)
		_, err := b.Do(ctx, step{do: func() { t.Error("called") }})
		require.Equal(t, cause, err)
		_, err = b.Allow(ctx)
		require.Equal(t, cause, err)
		require.Zero(t, b.Stats().Counters)
		trip(t, b)
		_, err = b.Do(ctx, good)
		require.Equal(t, cause, err)
	})
}

func TestConfig(t *testing.T) {
	nan := math.NaN()
	for want, cfg := range map[string]breaker.Config{
		"FailureRate":           {FailureRate: 1.5},
		"SlowRate":              {SlowRate: nan, SlowAfter: 1},
		"Jitter":                {Jitter: -0.1},
		"ProbeRatio":            {ProbeRatio: math.Inf(1)},
		"SlowAfter":             {SlowAfter: -1},
		"MinCalls is negative":  {MinCalls: -1},
		"Window is negative":    {Window: -1},
		"WindowTime":            {WindowTime: -1},
		"too short":             {WindowTime: 9},
		"OpenFor":               {OpenFor: -1},
		"MaxOpenFor":            {MaxOpenFor: -1},
		"is less than OpenFor":  {OpenFor: 2, MaxOpenFor: 1},
		"MaxRetryAfter":         {MaxRetryAfter: -1},
		"Probes":                {Probes: -1},
		"ProbeConcurrency":      {ProbeConcurrency: -1},
		"more than Probes":      {ProbeConcurrency: 3, Probes: 2},
		"ProbeLease":            {ProbeLease: -1},
		"needs SlowAfter":       {SlowRate: 0.5},
		"exclude each other":    {Window: 1, WindowTime: 10},
		"use WindowTime":        {Window: 1 << 30},
		"is more than Window":   {Window: 10, MinCalls: 11},
		"need NewKeyed":         {MaxKeys: 1},
		"and MaxOpenShare need": {MaxOpenShare: 0.5},
	} {
		_, err := breaker.New(backend, cfg)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "breaker: ")
	}
	for _, cfg := range []breaker.Config{
		{}, {Window: 1}, {ProbeConcurrency: 10}, {OpenFor: time.Hour}, {OpenFor: math.MaxInt64, Jitter: 1}, {OpenFor: math.MaxInt64, Jitter: 1e-20},
		{OpenFor: 1, ProbeLease: 1, SlowAfter: 1},
		{WindowTime: 10}, {WindowTime: math.MaxInt64}, {Probes: 1e9, ProbeLease: math.MaxInt64, MinCalls: 1}, {FailureRate: 1, SlowAfter: 1},
	} {
		bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			time.Sleep(time.Hour) // what is huge must not overflow
			for range 200 {
				_, err := b.Do(context.Background(), bad)
				if !errors.Is(err, breaker.ErrOpen) {
					require.Equal(t, errDown, err)
				}
			}
			require.EqualValues(t, 200, b.Stats().Calls+b.Stats().Rejected)
			require.NotZero(t, b.Stats().Opened, "%+v", cfg)
		})
	}
	_, err := breaker.New[int, int](nil, breaker.Config{})
	require.Error(t, err)
	_, err = breaker.New(backend, breaker.Config{}, nil)
	require.Error(t, err)
	_, err = breaker.New(backend, breaker.Config{}, breaker.WithClassify[step, int](nil))
	require.Error(t, err)
}

func TestErrorText(t *testing.T) {
	cfg := small()
	cfg.Name = "gpu"
	bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		trip(t, b)
		open := rejected(t, b, good)
		require.EqualError(t, open, "breaker: open: gpu: retry after 10s")
		require.Equal(t, "gpu", open.Name)
		require.Nil(t, open.Key)
		require.Equal(t, "gpu", seen.list[0].Name)
		var r breaker.RetryAfterer
		require.ErrorAs(t, fmt.Errorf("wrapped: %w", open), &r)
		b.ForceOpen()
		require.EqualError(t, rejected(t, b, good), "breaker: forced open: gpu")
	})
	assert.Equal(t, "half-open", breaker.StateHalfOpen.String())
	assert.Equal(t, "State(9)", breaker.State(9).String())
	assert.Equal(t, "evicted", breaker.ReasonEvicted.String())
	assert.Equal(t, "Reason(99)", breaker.Reason(99).String())
	assert.Equal(t, "throttled", breaker.Throttled.String())
}

func TestDoDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, cfg := range []breaker.Config{{}, {SlowAfter: time.Hour}, {WindowTime: time.Hour}, {WindowTime: time.Hour, SlowAfter: time.Hour}} {
		b, err := breaker.New(echo, cfg, breaker.WithClassify(func(int, int, error) breaker.Outcome { return breaker.Default }))
		require.NoError(t, err)
		ctx := t.Context()
		require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = b.Do(ctx, 1) }), "%+v", cfg)
		b.ForceOpen()
		require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = b.Do(ctx, 1) }))
	}
	g, err := breaker.NewKeyed(func(req int) int { return req }, echo, breaker.Config{})
	require.NoError(t, err)
	_, _ = g.Do(t.Context(), 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = g.Do(t.Context(), 1) }))
}

// Config shows what is in force, and New takes it again.
func TestConfigInForce(t *testing.T) {
	for _, cfg := range []breaker.Config{{}, {WindowTime: time.Minute}, {SlowAfter: time.Second, Window: 8}} {
		b, err := breaker.New(backend, cfg)
		require.NoError(t, err)
		require.Equal(t, breaker.DefaultOpenFor, b.Config().OpenFor)
		again, err := breaker.New(backend, b.Config())
		require.NoError(t, err)
		require.Equal(t, b.Config(), again.Config())
	}
	g, err := breaker.NewKeyed(keyOf, backend, breaker.Config{})
	require.NoError(t, err)
	require.Equal(t, breaker.DefaultMaxKeys, g.Config().MaxKeys)
	again, err := breaker.NewKeyed(keyOf, backend, g.Config())
	require.NoError(t, err)
	require.Equal(t, g.Config(), again.Config())
}
