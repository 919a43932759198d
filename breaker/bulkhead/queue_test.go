package bulkhead_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

// golang/go#56910: behind a heavy waiter that does not fit, light ones that do must not wait for ever, and the heavy one must
// get its turn however many light ones come.
func TestLightOnesPassAHeavyHeadSoManyTimes(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, MaxOvertakes: 3}, func(t *testing.T, b *guard) {
		long, err := b.TryAcquire(5)
		require.NoError(t, err)
		heavy := async(t.Context(), b, 8)
		for range 3 {
			light := async(t.Context(), b, 1)
			holds(t, light)
			light.p.Release()
		}
		light := async(t.Context(), b, 1)
		waits(t, heavy, light)
		require.EqualValues(t, 3, b.Stats().Overtakes)
		long.Release()
		holds(t, heavy, light) // what became free was kept for the heavy one, and the rest is the light one's
		heavy.p.Release()
		light.p.Release()
	})
}

func TestWaitingLightOnesPassWhenSomethingIsReleased(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, MaxOvertakes: 2}, func(t *testing.T, b *guard) {
		first, err := b.TryAcquire(7)
		require.NoError(t, err)
		second, err := b.TryAcquire(3)
		require.NoError(t, err)
		heavy, medium := async(t.Context(), b, 9), async(t.Context(), b, 4)
		lights := []*call{async(t.Context(), b, 1), async(t.Context(), b, 1), async(t.Context(), b, 1)}
		second.Release()
		holds(t, lights[:2]...) // they fit, in their order; two may pass
		waits(t, heavy, medium, lights[2])
		first.Release()
		waits(t, heavy, medium, lights[2]) // 8 are free and kept
		lights[0].p.Release()
		holds(t, heavy)
		waits(t, medium, lights[2])
		heavy.p.Release()
		holds(t, medium, lights[2])
		for _, c := range []*call{medium, lights[1], lights[2]} {
			c.p.Release()
		}
	})
}

// Each head has its own allowance.
func TestOvertakesCountForEachHead(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, MaxOvertakes: 1}, func(t *testing.T, b *guard) {
		long, err := b.TryAcquire(6)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		one, two := async(ctx, b, 8), async(t.Context(), b, 7)
		lights := []*call{async(t.Context(), b, 1), async(t.Context(), b, 1), async(t.Context(), b, 1)}
		holds(t, lights[0])
		waits(t, one, two, lights[1], lights[2])
		cancel()
		fails(t, one, context.Canceled)
		holds(t, lights[1])
		waits(t, two, lights[2])
		require.EqualValues(t, 2, b.Stats().Overtakes)
		long.Release()
		holds(t, two, lights[2])
		for _, c := range append(lights, two) {
			c.p.Release()
		}
	})
}

func TestNoOvertaking(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, NoOvertaking: true}, func(t *testing.T, b *guard) {
		long, err := b.TryAcquire(5)
		require.NoError(t, err)
		heavy, light := async(t.Context(), b, 8), async(t.Context(), b, 1)
		waits(t, heavy, light)
		_, err = b.TryAcquire(1)
		require.ErrorIs(t, err, bulkhead.ErrFull)
		long.Release()
		holds(t, heavy, light)
		heavy.p.Release()
		light.p.Release()
	})
}

// Who is turned away must leave no trace: for the moment of its arrival it is first in order and does not fit, but if it were the
// head for that long, others would go before it, and thereby pass the head that it finds more often than they may.
func TestRejectedOnArrivalLetsNobodyPass(t *testing.T) {
	for name, reject := range map[string]func(t *testing.T, b *guard){
		"try": func(t *testing.T, b *guard) {
			_, err := b.TryAcquire(8)
			require.ErrorIs(t, err, bulkhead.ErrFull)
		},
		"deadline": func(t *testing.T, b *guard) {
			_, err := b.Acquire(within(t, 10*ms), 8)
			require.ErrorIs(t, err, bulkhead.ErrDeadline)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := bulkhead.Config{Capacity: 10, MaxQueue: 20, MaxOvertakes: 1, ServiceTime: time.Second}
			bubble(t, cfg, func(t *testing.T, b *guard) {
				low := bulkhead.WithPriority(t.Context(), -1)
				long, err := b.TryAcquire(5)
				require.NoError(t, err)
				heavy := async(low, b, 10)
				lights := []*call{async(low, b, 1), async(low, b, 1), async(low, b, 1)}
				holds(t, lights[0])
				for range 2 {
					reject(t, b)
					waits(t, heavy, lights[1], lights[2])
				}
				require.EqualValues(t, 1, b.Stats().Overtakes)
				lights[0].p.Release()
				long.Release()
				holds(t, heavy)
				heavy.p.Release()
				holds(t, lights[1:]...)
				lights[1].p.Release()
				lights[2].p.Release()
			})
		})
	}
}

// Who stays is the head, and may be passed as often as any. What it lets go first makes room in a full queue, and nobody is evicted.
func TestNewHeadMayBePassed(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 2, MaxOvertakes: 1}, func(t *testing.T, b *guard) {
		low := bulkhead.WithPriority(t.Context(), -1)
		long, err := b.TryAcquire(5)
		require.NoError(t, err)
		heavy := async(low, b, 10)
		lights := []*call{async(low, b, 1), async(low, b, 1)}
		waits(t, heavy, lights[1])
		head := async(t.Context(), b, 8)
		holds(t, lights[1])
		waits(t, heavy, head)
		last := async(t.Context(), b, 1)
		fails(t, heavy, bulkhead.ErrEvicted) // the head is not passed again
		waits(t, head, last)
		for _, p := range []*bulkhead.Permit{long, lights[0].p, lights[1].p} {
			p.Release()
		}
		holds(t, head, last)
		head.p.Release()
		last.p.Release()
	})
}

func TestPriorityGoesFirst(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 20}, func(t *testing.T, b *guard) {
		p, err := b.TryAcquire(1)
		require.NoError(t, err)
		var calls []*call
		for _, priority := range []int{bulkhead.MinPriority, 0, 2, -1, 2, bulkhead.MaxPriority} {
			calls = append(calls, async(bulkhead.WithPriority(t.Context(), priority), b, 1))
			pass(ms)
		}
		plain := async(t.Context(), b, 1) // priority 0
		calls = append(calls, plain)
		for _, next := range []int{5, 2, 4, 1, 6, 3, 0} {
			p.Release()
			holds(t, calls[next])
			p = calls[next].p
		}
		p.Release()
	})
}

func TestPriorityIsClamped(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 20}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		low, lower := async(bulkhead.WithPriority(t.Context(), bulkhead.MinPriority), b, 1), async(bulkhead.WithPriority(t.Context(), -1<<31), b, 1)
		high, higher := async(bulkhead.WithPriority(t.Context(), bulkhead.MaxPriority), b, 1), async(bulkhead.WithPriority(t.Context(), 1<<31-1), b, 1)
		pass(10 * ms)
		for _, c := range []*call{high, higher, low, lower} {
			holds(t, c)
			c.p.Release()
		}
	})
}

// A caller of priority 2 goes before those of priority 0 that came up to 2·Ageing earlier, and no others.
func TestAgeing(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 20, Ageing: 10 * ms}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 100*ms)
		old := async(t.Context(), b, 1)
		pass(5 * ms)
		young := async(t.Context(), b, 1)
		pass(16 * ms)
		high := async(bulkhead.WithPriority(t.Context(), 2), b, 1)
		pass(79 * ms)
		holds(t, old)
		waits(t, young, high)
		old.p.Release()
		holds(t, high)
		waits(t, young)
		high.p.Release()
		holds(t, young)
		young.p.Release()
	})
}

// However many of high priority come, one of low priority gets its turn.
func TestLowPriorityDoesNotStarve(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 20, Ageing: 10 * ms}, func(t *testing.T, b *guard) {
		p, err := b.TryAcquire(1)
		require.NoError(t, err)
		start := time.Now()
		low := async(t.Context(), b, 1)
		for {
			pass(ms)
			high := async(bulkhead.WithPriority(t.Context(), 1), b, 1)
			p.Release()
			if low.over() {
				low.p.Release()
				holds(t, high)
				high.p.Release()
				break
			}
			holds(t, high)
			p = high.p
		}
		require.Equal(t, 11*ms, low.at.Sub(start), "when its age made up for the priority")
	})
}

func TestHigherPriorityEvictsTheNewestOfTheLowest(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 1, MaxQueue: 4}, func(t *testing.T, b *guard) {
		hold(t, b, 1, 10*ms)
		low := func() context.Context { return bulkhead.WithPriority(t.Context(), -1) }
		older := async(low(), b, 1)
		middle := async(t.Context(), b, 1)
		newer := async(low(), b, 1)
		another := async(t.Context(), b, 1)

		fails(t, async(low(), b, 1), bulkhead.ErrFull) // it is the newest of the lowest itself
		first := async(t.Context(), b, 1)
		fails(t, newer, bulkhead.ErrEvicted)
		second := async(t.Context(), b, 1)
		fails(t, older, bulkhead.ErrEvicted)
		fails(t, async(t.Context(), b, 1), bulkhead.ErrFull) // none is lower
		waits(t, middle, another, first, second)
		require.Equal(t, 4, b.Stats().Queued)
		pass(10 * ms)
		for _, c := range []*call{middle, another, first, second} {
			holds(t, c)
			c.p.Release()
		}
		s := b.Stats()
		require.Equal(t, bulkhead.Rejections{Full: 2, Evicted: 2}, s.Rejected)
		require.EqualValues(t, 6, s.Waited)
	})
}

// The one that is evicted was the one that all waited for.
func TestEvictingTheHeadLetsTheNextGo(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 1, NoOvertaking: true, Ageing: ms}, func(t *testing.T, b *guard) {
		hold(t, b, 5, 10*ms)
		heavy := async(t.Context(), b, 10)
		pass(5 * ms) // it is old enough to go before a higher priority
		high := async(bulkhead.WithPriority(t.Context(), 1), b, 5)
		fails(t, heavy, bulkhead.ErrEvicted)
		holds(t, high)
		require.Zero(t, b.Stats().Queued)
		high.p.Release()
		_, err := b.Do(t.Context(), 5)
		require.NoError(t, err)
		pass(5 * ms)
	})
}

func TestResizeUp(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 2, MaxQueue: 20}, func(t *testing.T, b *guard) {
		hold(t, b, 2, 10*ms)
		one, two, three := async(t.Context(), b, 1), async(t.Context(), b, 2), async(t.Context(), b, 1)
		require.NoError(t, b.Resize(5))
		holds(t, one, two)
		waits(t, three)
		require.Equal(t, 5, b.Stats().Capacity)
		require.EqualValues(t, 5, b.Stats().InUse)
		_, err := b.Acquire(t.Context(), 6)
		require.ErrorIs(t, err, bulkhead.ErrTooLarge)
		one.p.Release()
		holds(t, three)
		two.p.Release()
		three.p.Release()
		pass(10 * ms)
	})
}

func TestResizeDown(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, NoOvertaking: true}, func(t *testing.T, b *guard) {
		running, err := b.TryAcquire(8)
		require.NoError(t, err)
		other, err := b.TryAcquire(2)
		require.NoError(t, err)
		heavy, light := async(t.Context(), b, 4), async(t.Context(), b, 3)
		require.NoError(t, b.Resize(3))
		fails(t, heavy, bulkhead.ErrTooLarge)
		require.EqualError(t, heavy.err, "bulkhead: cost above the capacity: 4 is more than 3")
		require.EqualValues(t, 10, b.Stats().InUse, "what runs goes on")
		running.Release()
		waits(t, light)
		other.Release()
		holds(t, light)
		_, err = b.TryAcquire(1)
		require.ErrorIs(t, err, bulkhead.ErrFull)
		light.p.Release()
		_, err = b.Do(t.Context(), 3)
		require.NoError(t, err)
		require.EqualValues(t, 1, b.Stats().Rejected.TooLarge)
	})
}

func TestResizeDownPastTheHeadLetsTheNextGo(t *testing.T) {
	bubble(t, bulkhead.Config{Capacity: 10, MaxQueue: 20, NoOvertaking: true}, func(t *testing.T, b *guard) {
		hold(t, b, 2, 10*ms)
		heavy, light := async(t.Context(), b, 10), async(t.Context(), b, 1)
		waits(t, heavy, light)
		require.NoError(t, b.Resize(9))
		fails(t, heavy, bulkhead.ErrTooLarge)
		holds(t, light)
		light.p.Release()
		pass(10 * ms)
	})
}

func TestResizeToNonsense(t *testing.T) {
	b := newGuard(t, bulkhead.Config{Capacity: 10}, echo)
	for _, capacity := range []int{0, -1, -1 << 31} {
		require.ErrorContains(t, b.Resize(capacity), "must be from 1 to 1<<40")
	}
	require.Equal(t, 10, b.Stats().Capacity)
}
