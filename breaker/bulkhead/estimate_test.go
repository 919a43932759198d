package bulkhead_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &later)
	return later.RetryAfter()
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestHopelessDeadlineIsRejectedAtOnce(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 100}, func(t *testing.T, b *guard) {
		learn(t, b, 100*ms)
		hold(t, b, 10, 100*ms)
		ahead := async(t.Context(), b, 5)

		// 5 before it and 3 of its own, of 10 in 100 ms.
		start := time.Now()
		hopeless := async(within(t, 79*ms), b, 3)
		fails(t, hopeless, bulkhead.ErrDeadline)
		require.Equal(t, start, hopeless.at)
		require.Equal(t, 80*ms, retryAfter(t, hopeless.err))
		require.EqualError(t, hopeless.err, "bulkhead: the wait would exceed the deadline (expected wait 80ms)")

		patient := async(within(t, 101*ms), b, 3)
		waits(t, patient)
		pass(100 * ms)
		holds(t, ahead, patient)
		ahead.p.Release()
		patient.p.Release()
		require.Equal(t, bulkhead.Rejections{Deadline: 1}, b.Stats().Rejected)
	})
}

func TestNobodyIsRejectedBeforeThereIsData(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 100}, func(t *testing.T, b *guard) {
		for range 7 { // calls that took long, but too few to judge by
			hold(t, b, 10, time.Hour)
			pass(time.Hour)
		}
		require.Zero(t, b.Stats().HoldTime)
		hold(t, b, 10, 10*ms)
		c := async(within(t, 20*ms), b, 10)
		waits(t, c)
		_, err := b.TryAcquire(1)
		require.Zero(t, retryAfter(t, err), "unknown")
		pass(10 * ms)
		holds(t, c)
		c.p.Release()
	})
}

func TestMaxWaitIsForeseen(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 100, MaxWait: 50 * ms}, func(t *testing.T, b *guard) {
		learn(t, b, 100*ms)
		hold(t, b, 10, 100*ms)
		waiter := async(t.Context(), b, 5)
		waits(t, waiter)
		fails(t, async(t.Context(), b, 1), bulkhead.ErrMaxWait)
		fails(t, async(within(t, 40*ms), b, 1), bulkhead.ErrDeadline)
		pass(50 * ms)
		fails(t, waiter, bulkhead.ErrMaxWait)
		require.Equal(t, 50*ms, retryAfter(t, waiter.err))
		pass(50 * ms)
	})
}

func TestNoEstimate(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 100, NoEstimate: true}, func(t *testing.T, b *guard) {
		learn(t, b, 100*ms)
		hold(t, b, 10, 20*ms)
		c := async(within(t, 50*ms), b, 10)
		waits(t, c)
		_, err := b.TryAcquire(1)
		require.Equal(t, 110*ms, retryAfter(t, err), "that is known all the same")
		pass(20 * ms)
		holds(t, c)
		c.p.Release()
	})
}

func TestServiceTime(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 100, ServiceTime: 30 * ms}, func(t *testing.T, b *guard) {
		_, err := b.Do(within(t, 10*ms), 1)
		require.NoError(t, err, "who need not wait is not asked")
		hold(t, b, 1, 100*ms)
		fails(t, async(within(t, 30*ms), b, 1), bulkhead.ErrDeadline)
		start := time.Now()
		c := async(within(t, 70*ms), b, 1)
		pass(39 * ms)
		waits(t, c)
		pass(ms)
		fails(t, c, bulkhead.ErrDeadline)
		require.Equal(t, 40*ms, c.at.Sub(start))
		pass(60 * ms)

		learn(t, b, 100*ms)
		hold(t, b, 1, 10*ms)
		fails(t, async(within(t, 129*ms), b, 1), bulkhead.ErrDeadline)
		c = async(within(t, 131*ms), b, 1)
		waits(t, c)
		pass(10 * ms)
		holds(t, c)
		c.p.Release()
	})
}

// The mean is weighted by cost, since that is what the capacity is freed by.
func TestHoldTimeIsWeightedByCost(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 100, MaxQueue: 100}, func(t *testing.T, b *guard) {
		learn(t, b, 100*ms)
		for range 100 {
			hold(t, b, 90, 50*ms)
			hold(t, b, 10, 500*ms)
			pass(500 * ms)
		}
		// 90·50 + 10·500 over 100; the smaller part is seen last, and weighs a little more.
		require.InDelta(t, 95, b.Stats().HoldTime.Milliseconds(), 10)
	})
}

func TestEstimateFollowsAChange(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 100}, func(t *testing.T, b *guard) {
		learn(t, b, 10*time.Second)
		for range 100 {
			hold(t, b, 1, ms)
			pass(ms)
		}
		require.Less(t, b.Stats().HoldTime, 20*ms)
	})
}

// A mistaken estimate that lets nobody wait is mended by those that need not wait.
func TestEstimateRecoversWhileNobodyMayWait(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 100, MaxWait: 10 * ms}, func(t *testing.T, b *guard) {
		learn(t, b, time.Minute)
		rejected := 0
		for range 200 {
			hold(t, b, 1, ms)
			c := async(t.Context(), b, 1)
			if c.over() {
				fails(t, c, bulkhead.ErrMaxWait)
				rejected++
			}
			pass(ms)
			if c.over() && c.err == nil {
				c.p.Release()
			}
		}
		require.Positive(t, rejected)
		require.Less(t, rejected, 170)
	})
}

// What of lower priority waits does not count: it will be passed.
func TestExpectedWaitByPriority(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 100}, func(t *testing.T, b *guard) {
		learn(t, b, 100*ms)
		hold(t, b, 10, 100*ms)
		low := async(bulkhead.WithPriority(t.Context(), -1), b, 10)
		fails(t, async(within(t, 50*ms), b, 10), bulkhead.ErrDeadline)
		high := async(within(t, 110*ms), b, 10)
		waits(t, low, high)
		fails(t, async(bulkhead.WithPriority(within(t, 250*ms), -1), b, 10), bulkhead.ErrDeadline)
		pass(100 * ms)
		holds(t, high)
		high.p.Release()
		holds(t, low)
		low.p.Release()
	})
}

// A deadline that has just passed, though the context does not know yet.
func TestPastDeadline(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 100}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		fails(t, async(pastContext{t.Context()}, b, 1), bulkhead.ErrDeadline)
		pass(10 * ms)
	})
}

type pastContext struct{ context.Context }

func (pastContext) Deadline() (time.Time, bool) { return time.Now(), true }
