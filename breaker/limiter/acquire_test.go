package limiter_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// ten is ten a second, ten at once: one comes in every 100 ms.
var ten = limiter.PerSecond(10)

func TestRate(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		start := time.Now()
		for range 30 {
			_, err := l.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		near(t, 2*time.Second, time.Since(start)) // ten at once, twenty at ten a second
		s := l.Stats()
		require.Equal(t, uint64(30), s.Admitted)
		require.Equal(t, uint64(20), s.Waited)
		near(t, 100*ms, s.MeanQueueWait())
	})
}

func TestCost(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		for range 100 {
			_, err := l.Do(t.Context(), 0)
			require.NoError(t, err, "what costs nothing is not limited by cost")
		}
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		passed(t, async(do(t.Context(), l, 7)), 700*ms)
		require.Equal(t, uint64(17), l.Stats().ReservedCost)
	})
}

// A request takes from both limits or from neither.
func TestBothOrNeither(t *testing.T) {
	cfg := limiter.Config{Requests: limiter.Limit{Events: 1, Per: time.Second, Burst: 3}, Cost: ten, NoWait: true}
	bubble(t, cfg, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 8)
		require.NoError(t, err)
		for range 5 {
			_, err = l.Do(t.Context(), 4)
			limited(t, err, limiter.ReasonNoWait, limiter.CauseCost, 200*ms)
		}
		require.InDelta(t, 2, l.Level().Requests, 1e-6)
		require.InDelta(t, 2, l.Level().Cost, 1e-6)
		for range 2 {
			_, err = l.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		_, err = l.Do(t.Context(), 0)
		limited(t, err, limiter.ReasonNoWait, limiter.CauseRequests, time.Second)
		_, err = l.Do(t.Context(), 20)
		require.ErrorIs(t, err, limiter.ErrTooLarge)
		require.Equal(t, limiter.Rejections{NoWait: 6, TooLarge: 1}, l.Stats().Rejected)
	})
}

func TestFIFO(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, r *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		heavy := async(do(t.Context(), l, 9))
		light := async(do(t.Context(), l, 1))
		nothing := async(do(t.Context(), l, 0))
		last := async(do(t.Context(), l, 2))
		time.Sleep(500 * ms)
		pending(t, heavy, light, nothing, last) // five tokens are there, but they are for the head
		_, err = l.TryAcquire(1)
		limited(t, err, limiter.ReasonNoWait, limiter.CauseCost, 800*ms) // nobody overtakes
		passed(t, heavy, 900*ms)
		passed(t, light, 1000*ms)
		passed(t, nothing, 1000*ms)
		passed(t, last, 1200*ms)
		require.ElementsMatch(t, []int{1, 0}, r.seen()[2:4], "let through at the same moment")
		require.Equal(t, 2, r.seen()[4])
	})
}

// TestCancelledWaiter: a waiter for 1 behind one for 10 that is cancelled. With rate.Limiter it waits on, because the
// time of its reservation is fixed when it is made.
func TestCancelledWaiter(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		bare := rate.NewLimiter(10, 10)
		ctx, cancel := context.WithCancelCause(t.Context())
		for _, wait := range []struct {
			name string
			of   func(ctx context.Context, n int) error
			took time.Duration
		}{
			{"rate.Limiter", bare.WaitN, 1000 * ms},
			{"Limiter", func(ctx context.Context, n int) error { _, err := l.Acquire(ctx, n); return err }, 250 * ms},
		} {
			require.NoError(t, wait.of(t.Context(), 10))
			heavy := async(func() error { return wait.of(ctx, 10) })
			light := async(func() error { return wait.of(t.Context(), 1) })
			time.Sleep(250 * ms)
			pending(t, heavy, light)
			cancel(errGaveUp)
			synctest.Wait()
			require.Error(t, (<-heavy).err)
			if wait.name == "rate.Limiter" {
				pending(t, light)
				require.Greater(t, (<-light).took, 250*ms)
			} else {
				passed(t, light, wait.took)
			}
			ctx, cancel = context.WithCancelCause(t.Context())
		}
		cancel(nil)
		require.Equal(t, uint64(1), l.Stats().Cancelled)
	})
}

func TestCancelInTheMiddle(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		first := async(do(t.Context(), l, 2))
		ctx, cancel := context.WithCancelCause(t.Context())
		middle := async(do(ctx, l, 8))
		last := async(do(t.Context(), l, 1))
		cancel(errGaveUp)
		require.ErrorIs(t, (<-middle).err, errGaveUp)
		passed(t, first, 200*ms)
		passed(t, last, 300*ms)
	})
}

func TestContext(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten}, func(t *testing.T, l *intLimiter, r *recorder) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGaveUp)
		_, err := l.Do(ctx, 1)
		require.ErrorIs(t, err, errGaveUp)
		_, err = l.Acquire(ctx, 1)
		require.ErrorIs(t, err, errGaveUp)
		past, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
		defer stop()
		_, err = l.Do(past, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, r.seen())
		require.Zero(t, l.Stats())

		_, err = l.Do(t.Context(), -1)
		require.ErrorIs(t, err, limiter.ErrBadRequest)
	})
}

// Where the context has ended nobody is asked what the request costs and which key it has.
func TestContextBeforeCallbacks(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGaveUp)
	asked := func(req int) int {
		t.Error("asked")
		return req
	}
	l, err := limiter.New(echo, limiter.Config{}, limiter.WithCost(asked))
	require.NoError(t, err)
	_, err = l.Do(ctx, 1)
	require.ErrorIs(t, err, errGaveUp)
	k, err := limiter.NewKeyed(asked, echo, limiter.KeyedConfig{}, limiter.WithCost(asked))
	require.NoError(t, err)
	_, err = k.Do(ctx, 1)
	require.ErrorIs(t, err, errGaveUp)
	_, err = k.Acquire(ctx, 1, -1)
	require.ErrorIs(t, err, errGaveUp)
}

// A request that could not be in time fails at once, and takes nothing.
func TestDeadline(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		within := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeoutCause(t.Context(), d, errGaveUp)
			t.Cleanup(cancel)
			return ctx
		}
		_, err = l.Do(within(499*ms), 5)
		limited(t, err, limiter.ReasonDeadline, limiter.CauseCost, 500*ms)
		_, err = l.Do(within(500*ms), 5)
		limited(t, err, limiter.ReasonDeadline, limiter.CauseCost, 500*ms)
		first := async(do(within(501*ms), l, 5))
		_, err = l.Do(within(600*ms), 2) // behind the first
		limited(t, err, limiter.ReasonDeadline, limiter.CauseCost, 700*ms)
		second := async(do(within(750*ms), l, 2))
		passed(t, first, 500*ms)
		passed(t, second, 700*ms)
	})
}

// A request that was in time when it came fails as soon as a debt makes it late, not at its deadline; those behind it go on.
func TestDeadlineMissedLater(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 600*ms, errGaveUp)
		defer cancel()
		first := async(do(ctx, l, 5))
		second := async(do(t.Context(), l, 1))
		time.Sleep(100 * ms)
		permit.Settle(14)
		o := <-first
		limited(t, o.err, limiter.ReasonDeadline, limiter.CauseCost, 800*ms)
		near(t, 100*ms, o.took)
		passed(t, second, 500*ms)
	})
}

func TestExpires(t *testing.T) {
	// Where both limits bind in turn the estimate is too short: the deadline comes while the request waits.
	cfg := limiter.Config{Requests: limiter.Limit{Events: 10, Per: time.Second, Burst: 1}, Cost: ten}
	bubble(t, cfg, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		heavy := async(do(t.Context(), l, 10))
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1050*ms, errGaveUp)
		defer cancel()
		light := async(do(ctx, l, 0))
		passed(t, heavy, time.Second)
		o := <-light
		limited(t, o.err, limiter.ReasonDeadline, limiter.CauseRequests, 100*ms) // known as soon as it is the head
		near(t, time.Second, o.took)
	})
	// A debt makes a request late that is not the head: it is looked at when its deadline comes.
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		head := async(do(t.Context(), l, 1))
		ctx, cancel := context.WithTimeoutCause(t.Context(), 250*ms, errGaveUp)
		defer cancel()
		second := async(do(ctx, l, 1))
		permit.Settle(20)
		o := <-second
		require.ErrorIs(t, o.err, errGaveUp)
		require.Equal(t, 250*ms, o.took)
		passed(t, head, 1100*ms)
		require.Equal(t, uint64(1), l.Stats().Expired)
	})
}

func TestMaxWait(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten, MaxWait: 500 * ms}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		_, err = l.Do(t.Context(), 6)
		limited(t, err, limiter.ReasonMaxWait, limiter.CauseCost, 600*ms)
		first := async(do(t.Context(), l, 5)) // just in time
		_, err = l.Do(t.Context(), 1)
		limited(t, err, limiter.ReasonMaxWait, limiter.CauseCost, 600*ms)
		passed(t, first, 500*ms)

		// What becomes late while it waits fails as soon as that is known.
		first = async(do(t.Context(), l, 3))
		time.Sleep(100 * ms)
		l.Pause(450 * ms)
		o := <-first
		limited(t, o.err, limiter.ReasonMaxWait, limiter.CausePause, 450*ms)
		near(t, 100*ms, o.took)
		require.Equal(t, uint64(3), l.Stats().Rejected.MaxWait)
	})
}

func TestNoWait(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, NoWait: true}, func(t *testing.T, l *intLimiter, r *recorder) {
		for range 10 {
			_, err := l.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		_, err := l.Do(t.Context(), 1)
		limited(t, err, limiter.ReasonNoWait, limiter.CauseRequests, 100*ms)
		require.EqualError(t, err, "limiter: limited by requests (no wait), retry after 100ms")
		var after interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &after)
		time.Sleep(after.RetryAfter()) // is just enough
		_, err = l.Do(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, r.seen(), 11)
	})
}

func TestQueueFull(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, MaxQueue: 2}, func(t *testing.T, l *intLimiter, _ *recorder) {
		for range 10 {
			_, err := l.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := async(do(ctx, l, 1)), async(do(t.Context(), l, 1))
		_, err := l.Do(t.Context(), 1)
		limited(t, err, limiter.ReasonQueueFull, limiter.CauseRequests, 300*ms)
		cancel(errGaveUp) // makes room, at once
		require.ErrorIs(t, (<-first).err, errGaveUp)
		third := async(do(t.Context(), l, 1))
		passed(t, second, 100*ms)
		passed(t, third, 200*ms)
	})
}

func TestTooLarge(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 11)
		require.ErrorIs(t, err, limiter.ErrTooLarge)
		require.NotErrorIs(t, err, limiter.ErrLimited)
		_, err = l.Acquire(t.Context(), math.MaxInt)
		require.EqualError(t, err, fmt.Sprintf("limiter: request too large: cost %d is more than can be let through at once, 10", math.MaxInt))
		require.InDelta(t, 10, cost(l), 1e-6)
		require.Equal(t, uint64(2), l.Stats().Rejected.TooLarge)
	})
	bubble(t, limiter.Config{Cost: ten, Borrow: true, MaxDebt: 20}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 31)
		require.ErrorIs(t, err, limiter.ErrTooLarge)
		_, err = l.Do(t.Context(), 30) // from a full bucket
		require.NoError(t, err)
		require.InDelta(t, -20, cost(l), 1e-6)
		free := async(do(t.Context(), l, 0)) // costs nothing, so the debt does not concern it
		passed(t, free, 0)
		light := async(do(t.Context(), l, 1))
		heavy := async(do(t.Context(), l, 12))
		after := async(do(t.Context(), l, 1))
		passed(t, light, 2100*ms)
		passed(t, heavy, 3100*ms) // when the bucket is full again
		passed(t, after, 3400*ms)
	})
}

// It is let through at the moment when its context ends: it must return the end of the context and give everything back.
func TestGoneAsLetThrough(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, Cost: ten}, func(t *testing.T, l *intLimiter, r *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		ctx := &sleepyContext{Context: t.Context(), done: make(chan struct{})}
		gone := async(do(ctx, l, 9))
		next := async(do(t.Context(), l, 8))
		ctx.ended.Store(true)
		o := <-gone
		require.ErrorIs(t, o.err, context.Canceled)
		near(t, 900*ms, o.took)
		passed(t, next, 900*ms)
		require.Equal(t, []int{10, 8}, r.seen())
		s := l.Stats()
		require.Equal(t, uint64(2), s.Admitted)
		require.Equal(t, uint64(1), s.Waited)
		require.Equal(t, uint64(1), s.Cancelled)
		require.Equal(t, uint64(18), s.ReservedCost)
		near(t, 900*ms, s.QueueWait)
		require.InDelta(t, 9, l.Level().Requests, 1e-6)
	})
}
