package limiter_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// Two callers read the clock and get the lock in the other order: what came in between comes in once.
func TestClockOutOfOrder(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		require.True(t, l.TakeAt(0, 10))
		taken := 0
		for range 100 {
			for _, now := range []time.Duration{time.Second, 0} {
				if l.TakeAt(now, 1) {
					taken++
				}
			}
		}
		require.Equal(t, 10, taken)
	})
}

// A bucket of one overflows while its timer is late. The rate must not suffer, but a standstill must not end in a burst.
func TestLateTimer(t *testing.T) {
	for _, c := range []struct {
		late time.Duration
		goes int
	}{{35 * ms, 3}, {95 * ms, 9}, {time.Hour, 11}} {
		cfg := limiter.Config{Requests: limiter.Limit{Events: 1, Per: 10 * ms, Burst: 1}}
		bubble(t, cfg, func(t *testing.T, l *intLimiter, _ *recorder) {
			_, err := l.TryAcquire(0)
			require.NoError(t, err)
			var waiting []<-chan outcome
			for range 20 {
				waiting = append(waiting, async(do(t.Context(), l, 0)))
			}
			fire := l.DelayTimer()
			time.Sleep(c.late)
			pending(t, waiting...)
			fire()
			synctest.Wait()
			require.Equal(t, 20-c.goes, l.Level().Queued)
			for i, out := range waiting {
				want := c.late
				if i >= c.goes && c.late < time.Hour {
					want = time.Duration(i+1) * 10 * ms // in step again
				} else if i >= c.goes {
					want += time.Duration(i-c.goes+1) * 10 * ms
				}
				passed(t, out, want)
			}
		})
	}
}

// The most that any stretch of length Per sees is what Limit says, also after a standstill.
func TestCatchUpBound(t *testing.T) {
	const events, burst, per = 10, 1, 10 * ms
	for _, c := range []struct {
		late time.Duration
		most int
	}{{0, events + burst}, {100 * ms, events + burst + 100}, {time.Hour, events + burst + 100}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var through []time.Duration
			start := time.Now()
			l, err := limiter.New(func(context.Context, int) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				through = append(through, time.Since(start))
				return 0, nil
			}, limiter.Config{Requests: limiter.Limit{Events: events, Per: per, Burst: burst}})
			require.NoError(t, err)
			var all sync.WaitGroup
			for range 300 {
				all.Go(func() { _, _ = l.Do(t.Context(), 0) })
			}
			synctest.Wait()
			fire := l.DelayTimer()
			time.Sleep(c.late)
			fire()
			all.Wait()
			require.Len(t, through, 300)
			seen := 0
			for i := range through {
				n := 0
				for n < len(through)-i && through[i+n]-through[i] <= per {
					n++
				}
				seen = max(seen, n)
			}
			require.InDelta(t, c.most, seen, 1, "late by %v", c.late) // where the stretch ends it is a nanosecond more or less
			require.LessOrEqual(t, seen, c.most, "late by %v", c.late)
		})
	}
}

// Whatever comes first after the heads are due lets them go first: what it takes or gives comes after them.
func TestLateTimerAndSettle(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 10)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		first, second := async(do(t.Context(), l, 1)), async(do(ctx, l, 1))
		l.DelayTimer()
		time.Sleep(150 * ms)
		permit.Settle(20)
		passed(t, first, 150*ms)
		pending(t, second)
		require.InDelta(t, -9.5, cost(l), 1e-6)
		passed(t, second, 1200*ms)

		_, err = l.TryAcquire(0)
		require.NoError(t, err)
		second = async(do(ctx, l, 1))
		l.DelayTimer()
		time.Sleep(150 * ms)
		cancel(errGaveUp) // too late, it was let through before
		require.ErrorIs(t, (<-second).err, errGaveUp)
		require.InDelta(t, 1.5, cost(l), 1e-6)
	})
}
