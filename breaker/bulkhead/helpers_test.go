package bulkhead_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

const ms = time.Millisecond

var (
	errCause = errors.New("the user closed the tab")
	errModel = errors.New("the model failed")
)

type guard = bulkhead.Bulkhead[int, int]

// echo is a model that costs nothing.
func echo(_ context.Context, n int) (int, error) { return n, nil }

func itself(n int) int { return n }

// newGuard makes a bulkhead in which a request costs what it is.
func newGuard(t testing.TB, cfg bulkhead.Config, next bulkhead.Func[int, int]) *guard {
	t.Helper()
	if cfg.Capacity == 0 {
		cfg.Capacity = bulkhead.DefaultCapacity
	}
	b, err := bulkhead.New(next, cfg, bulkhead.WithCost(itself))
	require.NoError(t, err)
	return b
}

// bubble runs a test with its own clock. At its end nothing may be held or waiting.
func bubble(t *testing.T, cfg bulkhead.Config, test func(t *testing.T, b *guard)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newGuard(t, cfg, echo)
		test(t, b)
		synctest.Wait()
		s := b.Stats()
		require.Zero(t, s.InUse)
		require.Zero(t, s.Queued)
		require.Zero(t, s.QueuedCost)
	})
}

// pass lets time go by, and what is due at its end happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// call is an Acquire on a goroutine of its own.
type call struct {
	done chan struct{}
	at   time.Time // when it returned
	p    *bulkhead.Permit
	err  error
}

// async calls Acquire and returns when it has returned or waits.
func async(ctx context.Context, b *guard, cost int) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.p, c.err = b.Acquire(ctx, cost)
		c.at = time.Now()
	}()
	synctest.Wait()
	return c
}

// over reports whether the call has returned.
func (c *call) over() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// hold acquires cost, which must be free, and releases it after a time.
func hold(t *testing.T, b *guard, cost int, d time.Duration) {
	t.Helper()
	p, err := b.TryAcquire(cost)
	require.NoError(t, err)
	time.AfterFunc(d, p.Release)
}

func holds(t *testing.T, calls ...*call) {
	t.Helper()
	for i, c := range calls {
		require.True(t, c.over(), "call %d waits", i)
		require.NoError(t, c.err, "call %d", i)
	}
}

func waits(t *testing.T, calls ...*call) {
	t.Helper()
	for i, c := range calls {
		require.False(t, c.over(), "call %d has returned", i)
	}
}

func fails(t *testing.T, c *call, want error) {
	t.Helper()
	require.True(t, c.over(), "it waits")
	require.ErrorIs(t, c.err, want)
	require.Nil(t, c.p)
}

// learn teaches the bulkhead that a unit of cost is held for d.
func learn(t *testing.T, b *guard, d time.Duration) {
	t.Helper()
	capacity := b.Stats().Capacity
	for range 200 {
		hold(t, b, capacity, d) // which leaves no room for another, and is thus timed
		pass(d)
	}
	require.InDelta(t, d, b.Stats().HoldTime, float64(time.Microsecond))
}
