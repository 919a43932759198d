package bulkhead_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func TestDoPassesThrough(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	b := newGuard(t, bulkhead.Config{}, func(got context.Context, n int) (int, error) {
		require.Equal(t, ctx, got)
		return 10 * n, errModel
	})
	resp, err := b.Do(ctx, 1)
	require.Equal(t, 10, resp)
	require.Equal(t, errModel, err, "untouched")
	s := b.Stats()
	require.EqualValues(t, 1, s.Admitted)
	require.Zero(t, s.InUse)
}

func TestDoComposes(t *testing.T) {
	inner := newGuard(t, bulkhead.Config{}, echo)
	outer, err := bulkhead.New(inner.Do, bulkhead.Config{})
	require.NoError(t, err)
	resp, err := outer.Do(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, 7, resp)
}

func TestDoHoldsItsCost(t *testing.T) {
	var b *guard
	b = newGuard(t, bulkhead.Config{Capacity: 5}, func(ctx context.Context, n int) (int, error) {
		require.EqualValues(t, n, b.Stats().InUse)
		_, err := b.TryAcquire(6 - n)
		return 0, err
	})
	_, err := b.Do(t.Context(), 3)
	require.ErrorIs(t, err, bulkhead.ErrFull)
	require.Zero(t, b.Stats().InUse)
}

func TestPanicAndGoexitRelease(t *testing.T) {
	end := func() { panic(errModel) }
	b := newGuard(t, bulkhead.Config{Capacity: 1}, func(context.Context, int) (int, error) {
		end()
		return 0, nil
	})
	for range 3 {
		require.PanicsWithValue(t, errModel, func() { _, _ = b.Do(t.Context(), 1) })
		require.Zero(t, b.Stats().InUse)
	}
	end = runtime.Goexit
	for range 3 {
		over := make(chan struct{})
		go func() {
			defer close(over)
			_, _ = b.Do(context.Background(), 1)
			t.Error("Do returned")
		}()
		<-over
		require.Zero(t, b.Stats().InUse)
	}
}

func TestPanicInCostHoldsNothing(t *testing.T) {
	b, err := bulkhead.New(echo, bulkhead.Config{Capacity: 1}, bulkhead.WithCost(func(int) int { panic(errModel) }))
	require.NoError(t, err)
	require.PanicsWithValue(t, errModel, func() { _, _ = b.Do(t.Context(), 1) })
	require.Zero(t, b.Stats().InUse)
}

func TestDeadOnArrival(t *testing.T) {
	b := newGuard(t, bulkhead.Config{MaxQueue: 1}, func(context.Context, int) (int, error) {
		t.Error("next was called")
		return 0, nil
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	_, err := b.Do(ctx, 1)
	require.Equal(t, errCause, err)
	_, err = b.Acquire(ctx, 1)
	require.Equal(t, errCause, err)
	past, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	_, err = b.Do(past, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, b.Stats().Admitted)
	require.Zero(t, b.Stats().Rejected.Sum())
}

func TestCostZero(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 1}, func(t *testing.T, b *guard) {
		hold(t, b, 1, ms)
		waiter := async(t.Context(), b, 1)
		free := async(t.Context(), b, 0)
		holds(t, free)
		waits(t, waiter)
		free.p.Release()
		free.p.Release()
		_, err := b.Do(t.Context(), 0)
		require.NoError(t, err)
		_, err = b.TryAcquire(0)
		require.NoError(t, err)
		require.EqualValues(t, 4, b.Stats().Admitted)
		require.EqualValues(t, 1, b.Stats().InUse)
		pass(ms)
		holds(t, waiter)
		waiter.p.Release()
	})
}

func TestBadRequest(t *testing.T) {
	b := newGuard(t, bulkhead.Config{MaxQueue: 1}, echo)
	_, err := b.Do(t.Context(), -1)
	require.ErrorIs(t, err, bulkhead.ErrBadRequest)
	p, err := b.Acquire(t.Context(), math.MinInt)
	require.ErrorIs(t, err, bulkhead.ErrBadRequest)
	require.Nil(t, p)
	_, err = b.TryAcquire(-5)
	require.EqualError(t, err, "bulkhead: bad request: cost -5")
	require.EqualValues(t, 3, b.Stats().Rejected.BadRequest)
	require.Zero(t, b.Stats().InUse)
}

// x/sync's semaphore lets such a caller wait until its context ends.
func TestTooLarge(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 3, MaxQueue: 1}, echo)
	for _, cost := range []int{4, math.MaxInt} {
		_, err := b.Do(context.Background(), cost)
		require.ErrorIs(t, err, bulkhead.ErrTooLarge)
		_, err = b.TryAcquire(cost)
		require.ErrorIs(t, err, bulkhead.ErrTooLarge)
	}
	_, err := b.Acquire(t.Context(), 4)
	require.EqualError(t, err, "bulkhead: cost above the capacity: 4 is more than 3")
	require.EqualValues(t, 5, b.Stats().Rejected.TooLarge)
	var later interface{ RetryAfter() time.Duration }
	require.NotErrorAs(t, err, &later, "it will not fit later either")
}

func TestRejectedWithoutQueue(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 2}, func(t *testing.T, b *guard) {
		hold(t, b, 2, ms)
		_, err := b.Do(t.Context(), 1)
		require.ErrorIs(t, err, bulkhead.ErrFull)
		var rejected *bulkhead.RejectedError
		require.ErrorAs(t, err, &rejected)
		require.Equal(t, bulkhead.RejectedError{Reason: bulkhead.ReasonFull, Cost: 1}, *rejected)
		require.EqualError(t, err, "bulkhead: full")
		pass(ms)
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, b.Stats().Rejected.Full)
		require.Zero(t, b.Stats().Waited)
	})
}

func TestFirstInFirstOut(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 3}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		first, second, third := async(t.Context(), b, 1), async(t.Context(), b, 1), async(t.Context(), b, 1)
		fails(t, async(t.Context(), b, 1), bulkhead.ErrFull)
		require.Equal(t, 3, b.Stats().Queued)
		pass(10 * ms)
		holds(t, first)
		waits(t, second, third)
		first.p.Release()
		holds(t, second)
		waits(t, third)
		second.p.Release()
		holds(t, third)
		third.p.Release()
		s := b.Stats()
		require.EqualValues(t, 4, s.Admitted)
		require.EqualValues(t, 3, s.Waited)
		require.Equal(t, 10*ms, s.MeanQueueWait())
		require.Equal(t, time.Duration(0), bulkhead.Stats{}.MeanQueueWait())
	})
}

func TestMaxWait(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 3, MaxWait: 10 * ms}, func(t *testing.T, b *guard) {
		start := time.Now()
		hold(t, b, 1, 35*ms)
		for range 3 { // the waiter and its timer are used again
			late := async(t.Context(), b, 1)
			pass(10 * ms)
			fails(t, late, bulkhead.ErrMaxWait)
			require.Equal(t, 10*ms, late.at.Sub(start))
			var rejected *bulkhead.RejectedError
			require.ErrorAs(t, late.err, &rejected)
			require.Equal(t, 10*ms, rejected.Waited)
			start = time.Now()
		}
		pass(5 * ms)
		require.EqualValues(t, 3, b.Stats().Rejected.MaxWait)
		require.Equal(t, 10*ms, b.Stats().MeanQueueWait())
	})
}

// The place and the end of the wait at the same moment: there is one outcome, and nothing is lost.
func TestMaxWaitConcurrentWithTheRelease(t *testing.T) {
	for range 200 {
		bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 1, MaxWait: 10 * ms}, func(t *testing.T, b *guard) {
			hold(t, b, 1, 10*ms)
			c := async(t.Context(), b, 1)
			pass(10 * ms)
			require.True(t, c.over())
			if c.err != nil {
				fails(t, c, bulkhead.ErrMaxWait)
				return
			}
			require.EqualValues(t, 1, b.Stats().InUse)
			c.p.Release()
		})
	}
}

func TestTryAcquire(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 2, MaxQueue: 1, MaxOvertakes: 1}, func(t *testing.T, b *guard) {
		p, err := b.TryAcquire(1)
		require.NoError(t, err)
		_, err = b.TryAcquire(2)
		require.ErrorIs(t, err, bulkhead.ErrFull)
		require.EqualValues(t, 1, b.Stats().InUse)

		heavy := async(t.Context(), b, 2)
		passes, err := b.TryAcquire(1)
		require.NoError(t, err, "as Acquire would")
		passes.Release()
		_, err = b.TryAcquire(1)
		require.ErrorIs(t, err, bulkhead.ErrFull, "one overtake is allowed")
		waits(t, heavy)
		p.Release()
		holds(t, heavy)
		heavy.p.Release()
		require.EqualValues(t, 1, b.Stats().Overtakes)
	})
}

func TestOnReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []bulkhead.RejectEvent
		var b *guard
		b = newGuard(t, bulkhead.Config{Capacity: 1, MaxQueue: 1, MaxWait: ms, OnReject: func(e bulkhead.RejectEvent) {
			b.Stats() // it may use the bulkhead
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}}, echo)
		p, err := b.TryAcquire(1)
		require.NoError(t, err)
		low := async(bulkhead.WithPriority(t.Context(), -1), b, 1)
		high := async(t.Context(), b, 1)
		fails(t, low, bulkhead.ErrEvicted)
		fails(t, async(t.Context(), b, 1), bulkhead.ErrFull)
		pass(ms)
		fails(t, high, bulkhead.ErrMaxWait)
		fails(t, async(bulkhead.WithPriority(t.Context(), 9), b, 2), bulkhead.ErrTooLarge)
		fails(t, async(t.Context(), b, -1), bulkhead.ErrBadRequest)
		p.Release()
		for i, sentinel := range []error{bulkhead.ErrEvicted, bulkhead.ErrFull, bulkhead.ErrMaxWait, bulkhead.ErrTooLarge, bulkhead.ErrBadRequest} {
			require.ErrorIs(t, events[i].Err, sentinel)
			events[i].Err = nil
		}
		require.Equal(t, []bulkhead.RejectEvent{
			{Reason: bulkhead.ReasonEvicted, Cost: 1, Priority: -1},
			{Reason: bulkhead.ReasonFull, Cost: 1},
			{Reason: bulkhead.ReasonMaxWait, Cost: 1, Waited: ms},
			{Reason: bulkhead.ReasonTooLarge, Cost: 2, Priority: bulkhead.MaxPriority},
			{Reason: bulkhead.ReasonBadRequest, Cost: -1},
		}, events)
		require.EqualValues(t, 5, b.Stats().Rejected.Sum())
	})
}

func TestRejectedErrorIsErrRejected(t *testing.T) {
	for reason, sentinel := range []error{bulkhead.ErrFull, bulkhead.ErrEvicted, bulkhead.ErrDeadline, bulkhead.ErrMaxWait} {
		err := error(&bulkhead.RejectedError{Reason: bulkhead.Reason(reason)})
		require.ErrorIs(t, err, bulkhead.ErrRejected)
		require.ErrorIs(t, err, sentinel)
		require.NotErrorIs(t, err, bulkhead.ErrTooLarge)
	}
	b := newGuard(t, bulkhead.Config{Capacity: 1}, echo)
	for cost, sentinel := range map[int]error{2: bulkhead.ErrTooLarge, -1: bulkhead.ErrBadRequest} {
		_, err := b.Do(t.Context(), cost)
		require.ErrorIs(t, err, sentinel)
		require.NotErrorIs(t, err, bulkhead.ErrRejected, "it is no matter of load")
	}
	held, err := b.TryAcquire(1)
	require.NoError(t, err)
	_, err = b.Do(t.Context(), 1)
	require.ErrorIs(t, err, bulkhead.ErrRejected)
	held.Release()
}

func TestRejectionsSum(t *testing.T) {
	r := bulkhead.Rejections{Full: 1, Evicted: 10, Deadline: 100, MaxWait: 1000, TooLarge: 10_000, BadRequest: 100_000}
	require.EqualValues(t, 111_111, r.Sum())
}

// A panic in the hook reaches the caller that is rejected, and leaves nothing held.
func TestPanicInOnReject(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 1, OnReject: func(bulkhead.RejectEvent) { panic(errModel) }}, echo)
	p, err := b.TryAcquire(1)
	require.NoError(t, err)
	require.PanicsWithValue(t, errModel, func() { _, _ = b.Do(t.Context(), 1) })
	p.Release()
	_, err = b.Do(t.Context(), 1)
	require.NoError(t, err)
}

func TestReasonString(t *testing.T) {
	require.Equal(t, "full", bulkhead.ReasonFull.String())
	require.Equal(t, "bad request", bulkhead.ReasonBadRequest.String())
	require.Equal(t, "Reason(99)", bulkhead.Reason(99).String())
	odd := &bulkhead.RejectedError{Reason: 99}
	require.EqualError(t, odd, "bulkhead: rejected: Reason(99)")
	require.NoError(t, odd.Unwrap())
}
