package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

func TestArrivals(t *testing.T) {
	times := arrivals(200, 10*time.Second, 1)
	assert.InDelta(t, 2000, len(times), 200)
	assert.True(t, slices.IsSorted(times))
	assert.Less(t, times[len(times)-1], 10*time.Second)
	assert.Equal(t, times, arrivals(200, 10*time.Second, 1))
	assert.NotEqual(t, times, arrivals(200, 10*time.Second, 2))
	assert.Equal(t, times[:100], arrivals(200, 5*time.Second, 1)[:100])
}

func TestResultOf(t *testing.T) {
	goesOn := t.Context()
	interrupted, stop := context.WithCancel(goesOn)
	stop()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want result
	}{
		{goesOn, nil, answered},
		{interrupted, nil, answered},
		{goesOn, &limiter.LimitedError{}, limited},
		{goesOn, &bulkhead.RejectedError{Reason: bulkhead.ReasonMaxWait}, full},
		{goesOn, fmt.Errorf("wrapped: %w", breaker.ErrOpen), open},
		{interrupted, &limiter.LimitedError{}, limited},
		{goesOn, fmt.Errorf("post: %w", context.DeadlineExceeded), timedOut},
		{goesOn, statusError(500), failed},
		{goesOn, errors.New("connection refused"), failed},
		{interrupted, context.Canceled, unfinished},
		{interrupted, statusError(500), unfinished},
	} {
		assert.Equal(t, c.want, resultOf(c.ctx, c.err), "%v", c.err)
	}
}

// A call that hangs does not keep the others from being made.
func TestDriveIsOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []int
		times := []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}
		calls := drive(t.Context(), time.Now(), times, func(ctx context.Context, number int) (string, error) {
			switch number {
			case 0:
				<-ctx.Done()
				return "", context.Cause(ctx)
			case 2:
				time.Sleep(2 * timeout)
				return "too late", nil
			}
			time.Sleep(time.Millisecond)
			return "ok", nil
		}, func(n int) { made = append(made, n) })
		assert.Equal(t, []int{1, 2, 3, 4}, made)
		assert.Equal(t, []asked{
			{due: 0, took: timeout, result: timedOut},
			{due: 10 * time.Millisecond, took: time.Millisecond, result: answered},
			{due: 20 * time.Millisecond, took: 2 * timeout, result: timedOut},
			{due: 20 * time.Millisecond, took: time.Millisecond, result: answered},
		}, calls)
	})
}

// The time is counted from when a call should have been made: otherwise a machine that is late looks fast.
func TestLateCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		time.Sleep(50 * time.Millisecond)
		calls := drive(t.Context(), start, []time.Duration{10 * time.Millisecond}, func(ctx context.Context, _ int) (string, error) {
			deadline, _ := ctx.Deadline()
			assert.Equal(t, start.Add(10*time.Millisecond+timeout), deadline)
			return "", nil
		}, func(int) {})
		assert.Equal(t, []asked{{due: 10 * time.Millisecond, late: 40 * time.Millisecond, took: 40 * time.Millisecond, result: answered}}, calls)
		assert.Equal(t, 40*time.Millisecond, (&trial{calls: calls}).lateness())
	})
}

func TestDriveStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		times := []time.Duration{0, time.Millisecond, time.Second}
		time.AfterFunc(100*time.Millisecond, stop)
		calls := drive(ctx, time.Now(), times, func(ctx context.Context, number int) (string, error) {
			if number == 0 {
				return "", nil
			}
			<-ctx.Done()
			return "", ctx.Err()
		}, func(int) {})
		require.Len(t, calls, 2)
		assert.Equal(t, answered, calls[0].result)
		assert.Equal(t, unfinished, calls[1].result)
	})
}
