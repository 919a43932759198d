package limiter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

func TestOnReject(t *testing.T) {
	var events []limiter.RejectEvent
	var l *intLimiter
	cfg := limiter.Config{Cost: ten, MaxWait: 500 * ms, OnReject: func(e limiter.RejectEvent) {
		events = append(events, e)
		l.Stats() // may call back
		_, _ = l.TryAcquire(0)
	}}
	bubble(t, cfg, func(t *testing.T, made *intLimiter, _ *recorder) {
		l = made
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		passed(t, async(do(t.Context(), l, 3)), 300*ms)
		_, rejected := l.Do(t.Context(), 6)
		_, tooLarge := l.Do(t.Context(), 11)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := async(do(ctx, l, 5))
		time.Sleep(50 * ms)
		cancel(errGaveUp)
		<-gone
		permit, err := l.Acquire(t.Context(), 0)
		require.NoError(t, err)
		late := async(do(t.Context(), l, 3))
		time.Sleep(50 * ms)
		permit.Settle(8)
		lost := (<-late).err
		require.Equal(t, []limiter.RejectEvent{
			{Cost: 6, Err: rejected}, {Cost: 11, Err: tooLarge}, {Cost: 3, Waited: 50 * ms, Err: lost},
		}, events, "neither what was let through nor what left")
		require.Equal(t, uint64(len(events)), l.Stats().Rejected.Sum())
	})
}

// The caller's context ends with what looks like a rejection: it is none.
func TestOnRejectAndCause(t *testing.T) {
	hook := func(limiter.RejectEvent) { t.Error("not rejected") }
	bubble(t, limiter.Config{Cost: ten, OnReject: hook}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := async(do(ctx, l, 5))
		cancel(limiter.ErrTooLarge)
		require.ErrorIs(t, (<-gone).err, limiter.ErrTooLarge)
		require.Equal(t, uint64(1), l.Stats().Cancelled)
	})
}

// A panic in the hook reaches the caller, which takes nothing. A request that waited and was let through is not lost to it.
func TestOnRejectPanics(t *testing.T) {
	cfg := limiter.Config{Cost: ten, MaxWait: 400 * ms, OnReject: func(limiter.RejectEvent) { panic(errBackend) }}
	bubble(t, cfg, func(t *testing.T, l *intLimiter, r *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		require.PanicsWithValue(t, errBackend, func() { _, _ = l.Do(t.Context(), 5) })
		require.InDelta(t, 0, cost(l), 1e-6)
		passed(t, async(do(t.Context(), l, 4)), 400*ms)
		require.Equal(t, []int{10, 4}, r.seen())
	})
}
