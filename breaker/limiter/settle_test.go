package limiter_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

func TestRefund(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 10, permit.Cost())
		waiting := async(do(t.Context(), l, 6))
		time.Sleep(100 * ms)
		permit.Settle(3) // 1 has come in, 7 are given back: 6 can go at once
		passed(t, waiting, 100*ms)
		require.InDelta(t, 2, cost(l), 1e-6)
		require.InDelta(t, 9, l.Level().Requests, 1e-6)
		s := l.Stats()
		require.Equal(t, uint64(16), s.ReservedCost)
		require.Equal(t, uint64(7), s.RefundedCost)
	})
}

func TestCancelPermit(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 8)
		require.NoError(t, err)
		permit.Cancel()
		permit.Cancel()
		permit.Settle(100)
		require.InDelta(t, 10, cost(l), 1e-6)
		require.InDelta(t, 10, l.Level().Requests, 1e-6)
		require.Equal(t, uint64(1), l.Stats().Returned)

		// A refund does not fill the bucket beyond its burst, however late it comes.
		permit, err = l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		permit.Cancel()
		require.InDelta(t, 10, cost(l), 1e-6)
		_, err = l.TryAcquire(10)
		require.NoError(t, err)
		_, err = l.TryAcquire(1)
		require.ErrorIs(t, err, limiter.ErrLimited)
	})
}

func TestDebt(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 4)
		require.NoError(t, err)
		permit.Settle(12) // 2 in debt
		require.InDelta(t, -2, cost(l), 1e-6)
		passed(t, async(do(t.Context(), l, 0)), 0) // what costs nothing is not held up
		passed(t, async(do(t.Context(), l, 1)), 300*ms)

		// The debt is bounded, by one burst if nothing else is said; the rest is forgiven.
		for _, actual := range []int{1000, math.MaxInt, 5} {
			permit, err = l.Acquire(t.Context(), 1)
			require.NoError(t, err)
			permit.Settle(actual)
			require.GreaterOrEqual(t, cost(l), -10-1e-6)
			passed(t, async(do(t.Context(), l, 1)), time.Duration(1-cost(l))*100*ms)
		}
		s := l.Stats()
		require.Equal(t, uint64(8+10+10+4), s.ExtraCost)
		require.Equal(t, uint64(999-10)+uint64(math.MaxInt-1-10), s.ForgivenCost)
	})
	bubble(t, limiter.Config{Cost: ten, MaxDebt: 100}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		permit.Settle(75)
		passed(t, async(do(t.Context(), l, 1)), 6600*ms)
	})
}

// A permit gives back to, and takes in addition from, the limits only that its request took from.
func TestSettleAfterReconfigure(t *testing.T) {
	bubble(t, limiter.Config{}, func(t *testing.T, l *intLimiter, _ *recorder) {
		acquire := func(cost int) *limiter.Permit {
			t.Helper()
			permit, err := l.Acquire(t.Context(), cost)
			require.NoError(t, err)
			return permit
		}
		level := func(requests, cost float64) {
			t.Helper()
			require.InDelta(t, requests, l.Level().Requests, 1e-6)
			require.InDelta(t, cost, l.Level().Cost, 1e-6)
		}
		before, partly, over := acquire(100), acquire(100), acquire(0)
		requests, costs := limiter.Limit{Burst: 10}, limiter.Limit{Burst: 100}
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: requests, Cost: costs}))
		middle := acquire(60)
		level(9, 40)
		before.Cancel()
		partly.Settle(50)
		over.Settle(50)
		level(9, 40)

		// Cost goes and comes: that is another limit. Requests is the same all the time.
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: requests}))
		between := acquire(60)
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: limiter.Limit{Burst: 20}, Cost: costs}))
		after := acquire(70)
		level(7, 30)
		middle.Cancel()
		level(8, 30)
		between.Cancel()
		level(9, 30)
		after.Cancel()
		level(10, 100)
	})
}

// The same for Do.
func TestDoSettlesAfterReconfigure(t *testing.T) {
	var l *intLimiter
	next := func(_ context.Context, req int) (int, error) {
		require.NoError(t, l.Reconfigure(limiter.Config{Cost: limiter.Limit{Burst: 100}}))
		_, err := l.TryAcquire(20)
		return req, err
	}
	l, err := limiter.New(next, limiter.Config{}, limiter.WithCost(itself), limiter.WithActual(func(int, int, error) int { return 0 }))
	require.NoError(t, err)
	require.NoError(t, do(t.Context(), l, 50)())
	require.InDelta(t, 80, cost(l), 1e-6, "it took nothing from this limit")
	require.NoError(t, do(t.Context(), l, 50)())
	require.InDelta(t, 60, cost(l), 1e-6, "it did")
}

// The same for a request that is let through as its context ends.
func TestGoneAfterReconfigure(t *testing.T) {
	bubble(t, limiter.Config{}, func(t *testing.T, l *intLimiter, _ *recorder) {
		l.Pause(time.Second)
		var asked atomic.Int32
		ctx := errContext{t.Context(), func() error {
			switch asked.Add(1) {
			case 1: // on arrival
				return nil
			case 2: // it has been let through, and finds that its context has ended
				assert.NoError(t, l.Reconfigure(limiter.Config{Cost: limiter.Limit{Burst: 100}}))
				_, err := l.TryAcquire(50)
				assert.NoError(t, err)
			}
			return context.Canceled
		}}
		gone := async(do(ctx, l, 50))
		require.EqualValues(t, 1, asked.Load())
		require.ErrorIs(t, (<-gone).err, context.Canceled)
		require.InDelta(t, 50, cost(l), 1e-6)
	})
}

// Settle called ten times, at once or one after the other, settles once.
func TestSettleOnce(t *testing.T) {
	l, _ := newLimiter(t, limiter.Config{Cost: limiter.Limit{Burst: 100}})
	permit, err := l.Acquire(t.Context(), 50)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			permit.Settle(20)
			permit.Cancel()
		})
	}
	all.Wait()
	level := cost(l)
	require.Contains(t, []float64{80, 100}, level) // whichever was the first, and nothing in between
	permit.Settle(0)
	permit.Settle(1000)
	require.Equal(t, level, cost(l))
}

// What comes with an error can be settled in a defer.
func TestNilPermit(t *testing.T) {
	l, _ := newLimiter(t, limiter.Config{Cost: limiter.Limit{Burst: 10}})
	permit, err := l.TryAcquire(11)
	require.ErrorIs(t, err, limiter.ErrTooLarge)
	require.Zero(t, permit.Cost())
	permit.Settle(5)
	permit.Cancel()
	require.Equal(t, 10.0, cost(l))
}

var errBackend = errors.New("back-end: failed")

// TestWithActual: what the function says is settled; without an answer, what was reserved stays taken.
func TestWithActual(t *testing.T) {
	next := func(_ context.Context, req int) (int, error) {
		switch req {
		case 7:
			return 0, errBackend
		case 8:
			panic(errBackend)
		case 9:
			runtime.Goexit()
		}
		return req / 2, nil
	}
	budget := limiter.Config{Requests: limiter.Limit{Burst: 100}, Cost: limiter.Limit{Burst: 100}}
	l, err := limiter.New(next, budget, limiter.WithCost(itself), limiter.WithActual(func(req, resp int, err error) int {
		if err != nil {
			return limiter.NeverRan
		}
		return resp
	}))
	require.NoError(t, err)
	level := func(requests, cost float64) {
		t.Helper()
		require.Equal(t, limiter.Level{Requests: requests, Cost: cost}, l.Level())
	}
	resp, err := l.Do(t.Context(), 20)
	require.NoError(t, err)
	require.Equal(t, 10, resp)
	level(99, 90)
	_, err = l.Do(t.Context(), 7)
	require.Equal(t, errBackend, err)
	level(99, 90)
	require.PanicsWithValue(t, errBackend, func() { _, _ = l.Do(t.Context(), 8) })
	level(98, 82)
	var goexit sync.WaitGroup
	goexit.Go(func() { _, _ = l.Do(t.Context(), 9) })
	goexit.Wait()
	level(97, 73)

	l, err = limiter.New(next, budget, limiter.WithCost(itself))
	require.NoError(t, err)
	_, err = l.Do(t.Context(), 7)
	require.Equal(t, errBackend, err)
	level(99, 93)
}

func TestPause(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		l.Pause(500 * ms)
		l.Pause(100 * ms) // does not make it shorter
		l.Pause(-time.Second)
		_, err := l.TryAcquire(1)
		limited(t, err, limiter.ReasonNoWait, limiter.CausePause, 500*ms)
		first := async(do(t.Context(), l, 1))
		second := async(do(t.Context(), l, 1))
		near(t, 500*ms, l.Level().Paused)
		require.Equal(t, 2, l.Level().Queued)
		time.Sleep(100 * ms)
		l.Pause(500 * ms) // longer
		passed(t, first, 600*ms)
		passed(t, second, 600*ms)

		l.Pause(math.MaxInt64)
		l.Pause(math.MaxInt64)
		third := async(do(t.Context(), l, 1))
		time.Sleep(time.Hour)
		pending(t, third)
		l.Resume()
		passed(t, third, time.Hour)
		require.Zero(t, l.Level().Paused)
	})
}

type retryAfterError time.Duration

func (e retryAfterError) Error() string { return "429 Too Many Requests" }

// The pause comes before the refund: it must not let through those who wait.
func TestWithPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		next := func(_ context.Context, req int) (int, error) {
			if req == 10 {
				<-gate
				return 0, retryAfterError(300 * ms)
			}
			return req, nil
		}
		l, err := limiter.New(next, limiter.Config{Cost: ten}, limiter.WithCost(itself),
			limiter.WithActual(func(req, _ int, err error) int {
				if err != nil {
					return limiter.NeverRan
				}
				return req
			}),
			limiter.WithPause(func(_, _ int, err error) time.Duration {
				var after retryAfterError
				if errors.As(err, &after) {
					return time.Duration(after)
				}
				return 0
			}))
		require.NoError(t, err)
		limited := async(do(t.Context(), l, 10))
		waiting := async(do(t.Context(), l, 5))
		close(gate)
		require.Equal(t, retryAfterError(300*ms), (<-limited).err)
		passed(t, waiting, 300*ms)
	})
}

func TestLower(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		l.Lower(4, -1)
		require.Equal(t, limiter.Level{Requests: 4, Cost: 10}, l.Level())
		l.Lower(7, 3)
		require.Equal(t, limiter.Level{Requests: 4, Cost: 3}, l.Level())
		waiting := async(do(t.Context(), l, 5))
		time.Sleep(100 * ms)
		l.Lower(100, 0)
		passed(t, waiting, 600*ms)
	})
}
