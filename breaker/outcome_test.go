package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// The end of the caller's context is not the back-end's fault, unless the call had been slow by then.
func TestCallersContext(t *testing.T) {
	cause := errors.New("the user has left")
	cancelled := func(after time.Duration) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(context.Background())
		timer := time.AfterFunc(after, func() { cancel(cause) })
		return ctx, func() { timer.Stop() }
	}
	deadline := func(after time.Duration) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(context.Background(), after, cause)
	}
	for name, c := range map[string]struct {
		end       func(time.Duration) (context.Context, context.CancelFunc)
		slowAfter time.Duration
		takes     time.Duration
		want      breaker.Counters
	}{
		"cancelled":                   {cancelled, 0, sec, breaker.Counters{Neutral: 1}},
		"cancelled before slow":       {cancelled, 2 * sec, sec, breaker.Counters{Neutral: 1}},
		"cancelled when slow":         {cancelled, sec, sec, breaker.Counters{Calls: 1, Slow: 1}},
		"deadline":                    {deadline, 0, sec, breaker.Counters{Calls: 1, Failed: 1}},
		"deadline before slow":        {deadline, 2 * sec, sec, breaker.Counters{Neutral: 1}},
		"deadline when slow":          {deadline, sec, sec, breaker.Counters{Calls: 1, Failed: 1, Slow: 1}},
		"deadline when slow, at last": {deadline, sec, 5 * sec, breaker.Counters{Calls: 1, Failed: 1, Slow: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, breaker.Config{SlowAfter: c.slowAfter}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
				ctx, cancel := c.end(c.takes)
				defer cancel()
				_, err := b.Do(ctx, step{takes: time.Hour})
				require.Equal(t, cause, err)
				require.Equal(t, c.want, b.Stats().Counters)

				// The same by a permit.
				ctx, cancel = c.end(c.takes)
				defer cancel()
				permit, err := b.Allow(ctx)
				require.NoError(t, err)
				<-ctx.Done()
				permit.Done(fmt.Errorf("stream: %w", context.Cause(ctx)))
				got := b.Stats().Counters
				require.Equal(t, []uint64{2 * c.want.Calls, 2 * c.want.Failed, 2 * c.want.Slow, 2 * c.want.Neutral},
					[]uint64{got.Calls, got.Failed, got.Slow, got.Neutral})
			})
		})
	}
	t.Run("ended but answered", func(t *testing.T) {
		bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			ctx, cancel := context.WithCancel(context.Background())
			_, err := b.Do(ctx, step{do: cancel})
			require.NoError(t, err)
			require.Equal(t, breaker.Counters{Calls: 1}, b.Stats().Counters)
		})
	})
	// A back-end that hangs opens the breaker, though it never says a word.
	t.Run("hanging", func(t *testing.T) {
		bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			for range 4 {
				ctx, cancel := context.WithTimeout(context.Background(), sec)
				_, _ = b.Do(ctx, step{takes: time.Hour})
				cancel()
			}
			require.Equal(t, breaker.StateOpen, b.State())
		})
	})
}

var (
	errRefused = errors.New("back-end: prompt refused")
	errQuota   = errors.New("back-end: your quota")
)

// classify is what a gateway might use.
func classify(_ step, _ int, err error) breaker.Outcome {
	var wait later
	switch {
	case errors.Is(err, errRefused):
		return breaker.Success
	case errors.Is(err, errQuota):
		return breaker.Neutral
	case errors.As(err, &wait):
		return breaker.Throttled
	}
	return breaker.Default
}

func TestClassify(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		call(t, b, times(20, step{err: errRefused})...)
		call(t, b, times(20, step{err: errQuota})...)
		require.Equal(t, breaker.Counters{Calls: 20, Neutral: 20}, b.Stats().Counters)
		call(t, b, times(5, bad)...)
		require.Equal(t, breaker.StateOpen, b.State())
		require.Equal(t, breaker.ReasonFailureRate, seen.list[0].Reason)
	}, breaker.WithClassify(classify))

	t.Run("response", func(t *testing.T) {
		b, err := breaker.New(echo, breaker.Config{}, breaker.WithClassify(func(req, resp int, err error) breaker.Outcome {
			if req != resp || err != nil {
				t.Errorf("%d %d %v", req, resp, err)
			}
			return breaker.Outcome(resp)
		}))
		require.NoError(t, err)
		for _, o := range []breaker.Outcome{breaker.Default, breaker.Success, breaker.Failure, breaker.Neutral, 77} {
			_, err := b.Do(t.Context(), int(o))
			require.NoError(t, err)
		}
		require.Equal(t, breaker.Counters{Calls: 4, Failed: 2, Neutral: 1}, b.Stats().Counters)
	})
	t.Run("panic", func(t *testing.T) {
		b, err := breaker.New(echo, breaker.Config{}, breaker.WithClassify(func(_, _ int, _ error) breaker.Outcome { panic("oh") }))
		require.NoError(t, err)
		require.PanicsWithValue(t, "oh", func() { _, _ = b.Do(t.Context(), 1) })
		require.Equal(t, breaker.Counters{Calls: 1, Failed: 1}, b.Stats().Counters)
	})
	t.Run("calls back", func(t *testing.T) {
		var b *breaker.Breaker[int, int]
		b, err := breaker.New(echo, breaker.Config{}, breaker.WithClassify(func(_, _ int, _ error) breaker.Outcome {
			b.Reset()
			_ = b.Stats()
			return breaker.Success
		}))
		require.NoError(t, err)
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, b.Stats().Late)
	})
}

// Throttled is neither a success nor a failure. It opens the breaker for as long as the back-end asks for.
func TestThrottled(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		call(t, b, step{err: fmt.Errorf("call: %w", later{3 * sec})})
		require.Equal(t, 3*sec, rejected(t, b, good).RetryAfter())
		require.Equal(t, breaker.ReasonThrottled, seen.list[0].Reason)
		require.Equal(t, 3*sec, seen.list[0].OpenFor)
		for range 10 { // it does not grow: the back-end is taken at its word
			time.Sleep(3 * sec)
			call(t, b, step{err: later{3 * sec}})
			require.Equal(t, 3*sec, rejected(t, b, good).RetryAfter())
		}
		time.Sleep(3 * sec)
		call(t, b, step{err: later{}}) // without a time: as usual
		require.InDelta(t, 10*sec, rejected(t, b, good).RetryAfter(), 1)
		time.Sleep(10 * sec)
		call(t, b, good)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Equal(t, breaker.Counters{Calls: 1, Throttled: 12, Rejected: 12, Opened: 12}, b.Stats().Counters)

		call(t, b, step{err: later{time.Hour}}) // too long
		require.Equal(t, breaker.DefaultMaxRetryAfter, rejected(t, b, good).RetryAfter())
	}, breaker.WithClassify(classify))
}

// Without a word about it in WithClassify, an error with a Retry-After is a failure like any other, and a floor for the open time.
func TestRetryAfterIsAFloor(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		call(t, b, step{err: fmt.Errorf("call: %w", later{100 * sec})}, step{err: later{20 * sec}})
		require.Equal(t, breaker.StateClosed, b.State(), "one is not enough")
		time.Sleep(30 * sec)
		call(t, b, bad, bad)
		require.Equal(t, 70*sec, rejected(t, b, good).RetryAfter(), "beyond MaxOpenFor too")

		time.Sleep(70 * sec)
		call(t, b, step{err: later{15 * sec}}) // less than the doubled time
		require.InDelta(t, 20*sec, rejected(t, b, good).RetryAfter(), 1)
		time.Sleep(20 * sec)
		call(t, b, step{err: later{500 * sec}})
		require.Equal(t, 500*sec, rejected(t, b, good).RetryAfter())

		// A new start forgets it.
		b.Reset()
		call(t, b, step{err: later{500 * sec}})
		b.Reset()
		trip(t, b)
		require.InDelta(t, 10*sec, rejected(t, b, good).RetryAfter(), 1)
		b.Reset()
		call(t, b, times(4, step{err: later{-5}})...)
		require.InDelta(t, 10*sec, rejected(t, b, good).RetryAfter(), 1)
	})
}

// What another breaker inside has rejected is not a failure of a back-end.
func TestNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := breaker.New(backend, small())
		require.NoError(t, err)
		outer, err := breaker.New(inner.Do, small())
		require.NoError(t, err)
		inner.ForceOpen()
		for range 20 {
			_, err := outer.Do(context.Background(), good)
			require.ErrorIs(t, err, breaker.ErrOpen)
		}
		require.Equal(t, breaker.StateClosed, outer.State())
		require.EqualValues(t, 20, outer.Stats().Neutral)
	})
}

// ErrOpen comes from the breaker inside: the error says so.
func TestNestedErrorIsTheInnerOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small()
		cfg.Name = "inner"
		inner, err := breaker.New(backend, cfg)
		require.NoError(t, err)
		cfg.Name = "outer"
		outer, err := breaker.New(inner.Do, cfg)
		require.NoError(t, err)
		inner.ForceOpen()
		require.Equal(t, "inner", rejected(t, outer, good).Name)
		outer.ForceOpen()
		require.Equal(t, "outer", rejected(t, outer, good).Name)
	})
}

// A limiter inside says "rejected before any work began"; a breaker around it must be able to leave that out.
func TestAroundALimiter(t *testing.T) {
	errLimited := errors.New("limiter: rejected")
	limited := func(_ context.Context, s step) (int, error) { return 0, errLimited }
	b, err := breaker.New(limited, small(), breaker.WithClassify(func(_ step, _ int, err error) breaker.Outcome {
		if errors.Is(err, errLimited) {
			return breaker.Neutral
		}
		return breaker.Default
	}))
	require.NoError(t, err)
	call(t, b, times(100, good)...)
	require.Equal(t, breaker.Counters{Neutral: 100}, b.Stats().Counters)
	require.Equal(t, breaker.StateClosed, b.State())
}

type rejectionError struct{ yes bool }

func (rejectionError) Error() string    { return "turned away" }
func (e rejectionError) Rejected() bool { return e.yes }

// What was turned away inside says nothing about the back-end, even after the caller's deadline; but errors that are joined may be of requests that were not.
func TestRejectionsInsideAreNeutral(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		neutral bool
	}{
		"a rejection":             {rejectionError{true}, true},
		"wrapped":                 {fmt.Errorf("model a: %w", rejectionError{true}), true},
		"one that says it is not": {rejectionError{false}, false},
		"joined with another":     {errors.Join(rejectionError{true}, errors.New("broken")), false},
		"another":                 {errors.New("broken"), false},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := breaker.New(func(context.Context, int) (int, error) { return 0, c.err }, breaker.Config{})
			require.NoError(t, err)
			_, err = b.Do(t.Context(), 1)
			require.Equal(t, c.err, err)
			if c.neutral {
				require.EqualValues(t, 1, b.Stats().Neutral)
				require.Zero(t, b.Stats().Failed)
			} else {
				require.EqualValues(t, 1, b.Stats().Failed)
			}
		})
	}
}
