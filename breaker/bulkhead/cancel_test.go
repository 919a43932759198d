package bulkhead_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func TestCancelWhileWaiting(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 2}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone, stays := async(ctx, b, 1), async(t.Context(), b, 1)
		start := time.Now()
		pass(ms)
		cancel(errCause)
		fails(t, gone, errCause)
		require.Equal(t, ms, gone.at.Sub(start), "at once")
		require.Equal(t, 1, b.Stats().Queued, "its place is free again")
		pass(9 * ms)
		holds(t, stays)
		stays.p.Release()
		s := b.Stats()
		require.EqualValues(t, 1, s.Cancelled)
		require.EqualValues(t, 2, s.Waited)
		require.EqualValues(t, 2, s.Admitted)
		require.Zero(t, s.Rejected.Sum())
	})
}

func TestExpireWhileWaiting(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 2}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 30*ms)
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		start := time.Now()
		c := async(ctx, b, 1)
		pass(10 * ms)
		fails(t, c, context.DeadlineExceeded)
		require.Equal(t, 10*ms, c.at.Sub(start))
		require.EqualValues(t, 1, b.Stats().Expired)
		pass(20 * ms)
	})
}

// The waiter at the head keeps the others out, and goes: they must not wait for a release that may be far away.
func TestCancelledHeavyWaiterDoesNotHoldBackOthers(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 3, NoOvertaking: true}, func(t *testing.T, b *guard) {
		hold(t, b, 5, time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		heavy := async(ctx, b, 10)
		light, lighter := async(t.Context(), b, 3), async(t.Context(), b, 2)
		waits(t, heavy, light, lighter)
		cancel()
		fails(t, heavy, context.Canceled)
		holds(t, light, lighter)
		light.p.Release()
		lighter.p.Release()
		_, err := b.Do(t.Context(), 5)
		require.NoError(t, err, "and the fast path is open again")
		pass(time.Hour)
	})
}

func TestTimedOutHeavyWaiterDoesNotHoldBackOthers(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 3, MaxWait: 10 * ms, NoOvertaking: true}, func(t *testing.T, b *guard) {
		hold(t, b, 5, time.Hour)
		heavy := async(t.Context(), b, 10)
		pass(5 * ms)
		light := async(t.Context(), b, 5)
		waits(t, heavy, light)
		pass(5 * ms)
		fails(t, heavy, bulkhead.ErrMaxWait)
		holds(t, light)
		light.p.Release()
		pass(time.Hour)
	})
}

// Release and the end of the context at the same moment: there is one outcome, and what was granted to one that is gone goes on to the next.
func TestCancelConcurrentWithTheGrant(t *testing.T) {
	granted := 0
	for range 300 {
		bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 2}, func(t *testing.T, b *guard) {
			hold(t, b, 1, 10*ms)
			ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
			defer cancel()
			c, next := async(ctx, b, 1), async(t.Context(), b, 1)
			pass(10 * ms)
			require.True(t, c.over())
			if c.err == nil {
				granted++
				waits(t, next)
				c.p.Release()
			} else {
				fails(t, c, context.DeadlineExceeded)
				require.EqualValues(t, 1, b.Stats().Expired)
			}
			holds(t, next)
			next.p.Release()
		})
	}
	t.Log("granted", granted, "of 300")
}

// lateContext has ended, but those who wait for that have not been told.
type lateContext struct {
	context.Context
	ended atomic.Bool
	done  chan struct{}
}

func (c *lateContext) Done() <-chan struct{} { return c.done }

func (c *lateContext) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}
func TestGrantToACallerThatIsGoneGoesOn(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 2}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		ctx := &lateContext{Context: t.Context(), done: make(chan struct{})}
		gone, next := async(ctx, b, 1), async(t.Context(), b, 1)
		ctx.ended.Store(true)
		pass(10 * ms)
		fails(t, gone, context.Canceled)
		holds(t, next)
		next.p.Release()
		s := b.Stats()
		require.EqualValues(t, 2, s.Admitted)
		require.EqualValues(t, 1, s.Cancelled)
	})
}
