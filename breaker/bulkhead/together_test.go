package bulkhead_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

const pairs = 2_000

// together calls both functions with 0, 1, 2 and so on, at the same moment as nearly as can be: who is ahead waits
// for the other, but not for long, since that may be off its processor. Then one of them, now this and now that, waits for a few
// moments more, up to the number given.
func together(moments int, first, second func(i int)) {
	var at [2]atomic.Int64
	side := func(me int, call func(i int)) {
		random := rand.New(rand.NewPCG(5, uint64(me)))
		for i := range int64(pairs) {
			at[me].Store(i + 1)
			for spins := 0; at[1-me].Load() < i+1 && spins < 5000 || i == 0 && at[1-me].Load() == 0; spins++ {
				if spins > 100_000 {
					yield(1) // not before there was time to get a processor of its own
				}
			}
			for moment := random.IntN(moments); moment > 0 && int(i)%2 == me; moment-- {
				at[me].Load()
			}
			call(int(i))
		}
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		side(1, second)
	}()
	side(0, first)
	<-over
}

// race acquires so much of each of many bulkheads of capacity 8, lets the functions, which get a bulkhead and the permit, run together
// for each, and checks that all is free in the end; all that some times over. A cost that leaves room for another like it is
// best: releases are then mostly untimed, and do not take the lock in any case.
func race(t *testing.T, moments, cost int, first, second func(i int, b *guard, p *bulkhead.Permit)) {
	t.Helper()
	times := 25
	if raceEnabled {
		times = 2
	}
	guards, permits := make([]*guard, pairs), make([]*bulkhead.Permit, pairs)
	for i := range guards {
		guards[i] = newGuard(t, bulkhead.Config{Capacity: 8, MaxQueue: 1}, echo)
	}
	for range times {
		for i := range permits {
			permits[i], _ = guards[i].TryAcquire(cost)
		}
		together(moments,
			func(i int) { first(i, guards[i], permits[i]) },
			func(i int) { second(i, guards[i], permits[i]) })
		for i := range guards {
			if v := guards[i].Stats(); v.InUse != 0 || v.Queued != 0 {
				t.Fatalf("all is over, but %+v", v)
			}
		}
	}
}

func release(_ int, _ *guard, p *bulkhead.Permit) { p.Release() }

// Nobody comes later who could mend it: if the only release did not see the waiter, that would wait for ever.
func TestReleaseRacesWithTheWaiter(t *testing.T) {
	race(t, 2000, 3, release, func(_ int, b *guard, _ *bulkhead.Permit) {
		p, err := b.Acquire(context.Background(), 6)
		if err != nil {
			t.Error(err)
		}
		p.Release()
	})
}

func TestReleasesRace(t *testing.T) { race(t, 200, 1, release, release) }

// At no moment may more be free than there is, and in the end all is.
func TestSettleRacesWithRelease(t *testing.T) {
	race(t, 200, 1, func(_ int, b *guard, p *bulkhead.Permit) {
		p.Release()
		if v := b.Stats(); v.InUse < 0 {
			t.Errorf("more is free than there is: %+v", v)
		}
	}, func(i int, _ *guard, p *bulkhead.Permit) {
		if err := p.Settle(i % 4); err != nil {
			t.Error(err)
		}
	})
}

// A waiter enters the queue while the only release that could let it go, an untimed one, adds to what is free. The
// waiting flag alone can tell that release of it, and must be set before the waiter looks at what is free: a matter of a few
// nanoseconds, hence the many rounds. When the release has returned, nobody may wait for what is free.
func TestUntimedReleaseSeesTheWaiter(t *testing.T) {
	rounds := 400_000
	if raceEnabled {
		rounds /= 20
	}
	var moments atomic.Int64
	for round := range rounds {
		b, err := bulkhead.New(echo, bulkhead.Config{Capacity: 8, MaxQueue: 1})
		require.NoError(t, err)
		timed, _ := b.TryAcquire(1) // the first call is timed, and its release would take the lock in any case
		untimed, _ := b.TryAcquire(3)
		ready, over := make(chan struct{}), make(chan error)
		go func() {
			close(ready)
			p, err := b.Acquire(context.Background(), 6)
			p.Release()
			over <- err
		}()
		<-ready
		for range round % 64 {
			moments.Add(1)
		}
		untimed.Release()
		waiting := b.Stats().Queued
		timed.Release() // which lets it go if nothing else has
		require.NoError(t, <-over)
		require.Zero(t, waiting, "round %d: a caller waits for what is free", round)
	}
}

// meddlingContext does something when it is asked for values, which is after the call has found no room and before it is in the queue.
type meddlingContext struct {
	context.Context
	meddle func()
}

func (c meddlingContext) Value(key any) any {
	c.meddle()
	return c.Context.Value(key)
}

func TestReleaseBeforeTheWaiterIsInTheQueue(t *testing.T) {
	for _, cfg := range []bulkhead.Config{{Capacity: 2}, {Capacity: 2, MaxQueue: 1}} {
		bubble(t, cfg, func(t *testing.T, b *guard) {
			held, err := b.TryAcquire(2)
			require.NoError(t, err)
			c := async(meddlingContext{t.Context(), held.Release}, b, 1)
			holds(t, c)
			c.p.Release()
		})
	}
}

// What Settle takes from the word goes into a stripe by Release: what is free must not be counted at both places. There are many
// stripes, so that it takes long to count.
func TestStatsWhileFreeMovesToAStripe(t *testing.T) {
	const stripes = 1 << 12
	b := newGuard(t, bulkhead.Config{Capacity: 4 * stripes}, echo)
	b.UseStripes(stripes)
	require.True(t, b.OpenStripes())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range 20_000 {
			p, err := b.Acquire(t.Context(), 1)
			if err != nil {
				t.Error(err)
				return
			}
			_ = p.Settle(100)
			p.Release()
			if i%64 == 0 {
				b.OpenStripes() // Settle closes them when it comes to the end of the word
			}
		}
	}()
	for {
		select {
		case <-over:
			return
		default:
			if v := b.Stats(); v.InUse < 0 && !t.Failed() {
				t.Errorf("more is free than there is: %+v", v)
			}
		}
	}
}
