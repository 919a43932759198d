package bulkhead_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func TestReleaseTenTimes(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 3}, echo)
	p, err := b.Acquire(t.Context(), 2)
	require.NoError(t, err)
	p.Release()
	require.Zero(t, p.Cost())
	others := make([]*bulkhead.Permit, 3)
	for i := range others {
		others[i], err = b.Acquire(t.Context(), 1)
		require.NoError(t, err)
	}
	var all sync.WaitGroup
	for range 10 {
		p.Release()
		all.Go(p.Release)
		require.NoError(t, p.Settle(1))
	}
	all.Wait()
	require.EqualValues(t, 3, b.Stats().InUse, "it frees nothing that is another's")
	for _, p := range others {
		p.Release()
	}
	require.Zero(t, b.Stats().InUse)
}

func TestNilPermit(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 1}, echo)
	p, err := b.Acquire(t.Context(), 2)
	defer p.Release() // before the error is looked at
	require.Error(t, err)
	require.NoError(t, p.Settle(1))
	require.Zero(t, p.Cost())
	new(bulkhead.Permit).Release()
	require.NoError(t, new(bulkhead.Permit).Settle(1))
	require.Zero(t, b.Stats().InUse)
}

func TestSettleForLess(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 2}, func(t *testing.T, b *guard) {
		p, err := b.Acquire(t.Context(), 10)
		require.NoError(t, err)
		waiter, another := async(t.Context(), b, 4), async(t.Context(), b, 4)
		require.Equal(t, 10, p.Cost())
		require.NoError(t, p.Settle(6))
		require.Equal(t, 6, p.Cost())
		holds(t, waiter) // at once
		waits(t, another)
		require.NoError(t, p.Settle(0))
		holds(t, another)
		require.EqualValues(t, 8, b.Stats().InUse)
		p.Release()
		require.EqualValues(t, 8, b.Stats().InUse, "it held nothing any more")
		waiter.p.Release()
		another.p.Release()
	})
}

func TestSettleForMore(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 2}, func(t *testing.T, b *guard) {
		p, err := b.Acquire(t.Context(), 4)
		require.NoError(t, err)
		other, err := b.Acquire(t.Context(), 4)
		require.NoError(t, err)
		require.NoError(t, p.Settle(9)) // the holder does not wait
		require.EqualValues(t, 13, b.Stats().InUse)
		waiter := async(t.Context(), b, 1)
		waits(t, waiter)
		other.Release()
		holds(t, waiter) // 9 are held, and there is a debt no more
		require.EqualValues(t, 10, b.Stats().InUse)
		require.NoError(t, p.Settle(12))
		require.NoError(t, p.Settle(11)) // the last value counts
		require.EqualValues(t, 12, b.Stats().InUse)
		p.Release()
		require.EqualValues(t, 1, b.Stats().InUse, "all that it held")
		waiter.p.Release()
	})
}

func TestSettleAfterRelease(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 10}, echo)
	p, err := b.Acquire(t.Context(), 4)
	require.NoError(t, err)
	p.Release()
	for _, actual := range []int{0, 4, 8} {
		require.NoError(t, p.Settle(actual))
		require.Zero(t, b.Stats().InUse)
	}
}

func TestSettleOfCostZero(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 10}, echo)
	p, err := b.Acquire(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, p.Settle(11))
	require.EqualValues(t, 11, b.Stats().InUse)
	_, err = b.TryAcquire(0)
	require.NoError(t, err, "takes nothing, and so may go in spite of a debt")
	p.Release()
	require.Zero(t, b.Stats().InUse)
}

func TestSettleAtNonsense(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 10}, echo)
	p, err := b.Acquire(t.Context(), 4)
	require.NoError(t, err)
	require.ErrorIs(t, p.Settle(-1), bulkhead.ErrBadRequest)
	if math.MaxInt > math.MaxInt32 {
		require.ErrorIs(t, p.Settle(math.MaxInt), bulkhead.ErrBadRequest)
	}
	require.EqualValues(t, 4, b.Stats().InUse)
	p.Release()
	require.Zero(t, b.Stats().InUse)
}

// All that is held must fit into its part of a word.
func TestDebtIsBounded(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("the largest cost of 32 bits is far too small for that")
	}
	b := newGuard(t, bulkhead.Config{Capacity: 1}, echo)
	permits := make([]*bulkhead.Permit, 1<<11)
	largest := 1
	for range 40 {
		largest *= 2
	}
	refused := 0
	for i := range permits {
		var err error
		permits[i], err = b.Acquire(t.Context(), 0)
		require.NoError(t, err)
		if err := permits[i].Settle(largest); err != nil {
			require.ErrorIs(t, err, bulkhead.ErrBadRequest)
			refused++
		}
	}
	require.Equal(t, 1<<10, refused)
	require.Equal(t, int64(1)<<50, b.Stats().InUse)
	for _, p := range permits {
		p.Release()
	}
	require.Zero(t, b.Stats().InUse)
	_, err := b.Do(t.Context(), 1)
	require.NoError(t, err)
}

func TestDoDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	for _, capacity := range []int{1, 100} {
		b := newGuard(t, bulkhead.Config{Capacity: capacity, MaxQueue: 1}, echo)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			if _, err := b.Do(ctx, 1); err != nil {
				t.Error(err)
			}
		}))
	}
}

func TestAcquireDoesNotAllocateAPermitThatStays(t *testing.T) {
	if raceEnabled || testing.CoverMode() != "" || math.MaxInt == math.MaxInt32 {
		t.Skip("Acquire is too large to be inlined here: it allocates the Permit, and nothing else")
	}
	ctx := context.Background()
	for _, capacity := range []int{1, 100} {
		b := newGuard(t, bulkhead.Config{Capacity: capacity, MaxQueue: 1}, echo)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			p, err := b.Acquire(ctx, 1)
			if err != nil {
				t.Error(err)
			}
			defer p.Release()
			if err := p.Settle(2); err != nil {
				t.Error(err)
			}
		}))
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			p, err := b.TryAcquire(1)
			if err != nil {
				t.Error(err)
			}
			p.Release()
		}))
	}
}

func TestWaitingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	var b *guard
	start, done := make(chan struct{}), make(chan error)
	b = newGuard(t, bulkhead.Config{Capacity: 2, MaxQueue: 2, MaxWait: 1 << 40, NoEstimate: true}, func(_ context.Context, n int) (int, error) {
		if n == 2 {
			start <- struct{}{}
			for b.Stats().Queued == 0 {
				runtime.Gosched()
			}
		}
		return n, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(done)
		for range start {
			_, err := b.Do(ctx, 1)
			done <- err
		}
	}()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := b.Do(ctx, 2); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}))
	close(start)
	for range done { // until it is closed
	}
	require.EqualValues(t, 1001, b.Stats().Waited)
}
