package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

func TestOrderOfArrival(t *testing.T) {
	bubble(t, session.Config{Max: 1}, func(t *testing.T, p *pool, b *backend) {
		var order []int
		var outs []<-chan outcome
		for i := range 20 {
			outs = append(outs, async(t.Context(), p, req{takes: ms, do: func(context.Context, *sess) { order = append(order, i) }}))
		}
		for _, out := range outs {
			answered(t, out)
		}
		for i, got := range order {
			require.Equal(t, i, got)
		}
	})
}

func TestContextEnded(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGone)
		_, err := p.Do(ctx, req{})
		require.Equal(t, errGone, err)
		_, err = p.Acquire(ctx, req{})
		require.Equal(t, errGone, err)
		require.Empty(t, b.attempts())
		require.Zero(t, p.Stats().Accepted)
	})
}

func TestCancelWhileQueued(t *testing.T) {
	bubble(t, session.Config{MaxQueue: 2}, func(t *testing.T, p *pool, b *backend) {
		running := async(t.Context(), p, req{takes: time.Second})
		ctx, cancel := context.WithCancelCause(t.Context())
		var gone []<-chan outcome
		for range 4 { // two of them wait for room in the queue
			gone = append(gone, async(ctx, p, req{}))
		}
		last := async(t.Context(), p, req{})
		s := p.Stats()
		require.Equal(t, [3]int{1, 2, 3}, [3]int{s.Running, s.Queued, s.Blocked})
		cancel(errGone)
		for _, out := range gone {
			require.Equal(t, errGone, (<-out).err)
		}
		pending(t, running, last)
		require.Equal(t, 1, p.Stats().Queued)
		answered(t, running)
		answered(t, last)
		require.EqualValues(t, 4, p.Stats().Drops.Cancelled)
		require.Zero(t, p.Stats().Drops.Expired)
	})
}

func TestDeadlineWhileQueued(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		running := async(t.Context(), p, req{takes: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		late := async(ctx, p, req{})
		require.ErrorIs(t, (<-late).err, context.DeadlineExceeded)
		answered(t, running)
		require.EqualValues(t, 1, p.Stats().Drops.Expired)
		require.Zero(t, p.Stats().Drops.Cancelled)
	})
}

// The function sees the end of its caller's context; Do returns what it returns.
func TestCancelInFlight(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		ctx, cancel := context.WithCancelCause(t.Context())
		out := async(ctx, p, req{takes: time.Hour})
		cancel(errGone)
		require.ErrorIs(t, (<-out).err, errGone)
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{})), "the session is not to blame")
	})
}

func TestQueueFull(t *testing.T) {
	bubble(t, session.Config{MaxQueue: 2, RejectWhenFull: true}, func(t *testing.T, p *pool, b *backend) {
		a, c, d := async(t.Context(), p, req{takes: ms}), async(t.Context(), p, req{}), async(t.Context(), p, req{})
		require.Equal(t, session.ErrQueueFull, (<-async(t.Context(), p, req{})).err)
		for _, out := range []<-chan outcome{a, c, d} {
			answered(t, out)
		}
		require.EqualValues(t, 1, p.Stats().Drops.Rejected)
		require.EqualValues(t, 3, p.Stats().Accepted)
	})
}

// Who waits for room in the queue is not overtaken.
func TestRoomIsInOrder(t *testing.T) {
	bubble(t, session.Config{MaxQueue: 1}, func(t *testing.T, p *pool, b *backend) {
		var order []int
		var outs []<-chan outcome
		for i := range 10 {
			outs = append(outs, async(t.Context(), p, req{takes: ms, do: func(context.Context, *sess) { order = append(order, i) }}))
		}
		for _, out := range outs {
			answered(t, out)
		}
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, order)
	})
}

func TestCost(t *testing.T) {
	bubble(t, session.Config{PerSession: 4}, func(t *testing.T, p *pool, b *backend) {
		one := async(t.Context(), p, req{cost: 1, takes: time.Second})
		two := async(t.Context(), p, req{cost: 2, takes: 2 * time.Second})
		require.Equal(t, 3, p.Stats().Load)
		// What came first is not overtaken by what is smaller: it would wait for ever.
		four := async(t.Context(), p, req{cost: 4, takes: time.Second})
		small := async(t.Context(), p, req{cost: 1})
		time.Sleep(1500 * ms)
		answered(t, one)
		pending(t, two, four, small)
		answered(t, two)
		pending(t, small)
		answered(t, four)
		answered(t, small)

		for cost, want := range map[int]error{5: session.ErrTooLarge, -1: session.ErrBadRequest, 0: session.ErrBadRequest} {
			_, err := p.Do(t.Context(), req{cost: cost})
			require.ErrorIs(t, err, want)
		}
	}, session.WithCost(func(r req) int { return r.cost }))
}

// A request that needs a whole session reserves one, and does not stop the others.
func TestLargeRequestReservesOneSession(t *testing.T) {
	bubble(t, session.Config{Min: 2, MaxOpening: 2, PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
		half := func(takes time.Duration) <-chan outcome { return async(t.Context(), p, req{cost: 1, takes: takes}) }
		a, c, d, e := half(time.Second), half(2*time.Second), half(10*time.Second), half(10*time.Second)
		large := async(t.Context(), p, req{cost: 2, takes: time.Second})
		var small []<-chan outcome
		for range 3 {
			small = append(small, half(100*ms))
		}
		answered(t, a)
		pending(t, small...) // this session is kept for the large one
		answered(t, c)
		for i, out := range small {
			require.Equal(t, time.Duration(21+i)*100*ms, (<-out).at.Sub(b.start))
		}
		pending(t, large)
		answered(t, d)
		answered(t, large)
		answered(t, e)
	}, session.WithCost(byCost))
}

// Nobody gets into a session for which a large request waits, not even those who have their key there.
func TestReservedSessionIsKept(t *testing.T) {
	for name, opts := range map[string][]session.Option{
		"cost":          {session.WithCost(byCost)},
		"cost and keys": {session.WithCost(byCost), session.WithKey(byKey)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, session.Config{PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
				a := async(t.Context(), p, req{key: "a", takes: time.Second})
				long := async(t.Context(), p, req{key: "a", takes: 3 * time.Second})
				large := async(t.Context(), p, req{key: "b", cost: 2, takes: time.Second})
				answered(t, a)
				small := async(t.Context(), p, req{key: "a"})
				pending(t, small, large)
				answered(t, long)
				answered(t, large)
				require.Equal(t, 4*time.Second, (<-small).at.Sub(b.start))
			}, opts...)
		})
	}
}

// Of the queue for any session and its own, a session takes what came first.
func TestOwnQueueDoesNotOvertake(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		answered(t, async(t.Context(), p, req{key: "known"}))
		var order []string
		ask := func(key string) <-chan outcome {
			return async(t.Context(), p, req{key: key, takes: ms, do: func(context.Context, *sess) { order = append(order, key) }})
		}
		outs := []<-chan outcome{ask("known"), ask("new"), ask("known"), ask("newer"), ask("known")}
		for _, out := range outs {
			answered(t, out)
		}
		require.Equal(t, []string{"known", "new", "known", "newer", "known"}, order)
	}, session.WithKey(byKey))
}

// When the request that is in the way of the others gives up, they go.
func TestCancelOfALargeRequest(t *testing.T) {
	bubble(t, session.Config{PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
		long := async(t.Context(), p, req{cost: 1, takes: time.Hour})
		ctx, cancel := context.WithCancelCause(t.Context())
		large := async(ctx, p, req{cost: 2})
		small := async(t.Context(), p, req{cost: 1})
		pending(t, large, small)
		cancel(errGone)
		require.Equal(t, errGone, (<-large).err)
		synctest.Wait()
		answered(t, small)
		pending(t, long)
	}, session.WithCost(byCost))
}

func TestLeastLoaded(t *testing.T) {
	bubble(t, session.Config{Min: 3, MaxOpening: 3, PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
		perSession := make([]int, 3)
		var outs []<-chan outcome
		for range 3 {
			outs = append(outs, async(t.Context(), p, req{takes: time.Second}))
		}
		for _, out := range outs {
			perSession[answered(t, out)]++
		}
		require.Equal(t, []int{1, 1, 1}, perSession)
	})
}

func TestNestedDo(t *testing.T) {
	var p *pool
	bubble(t, session.Config{}, func(t *testing.T, pool *pool, b *backend) {
		p = pool
		var inner, lease error
		answered(t, async(t.Context(), p, req{do: func(ctx context.Context, _ *sess) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, inner = p.Do(ctx, req{})
			_, lease = p.Acquire(ctx, req{})
		}}))
		require.Equal(t, session.ErrReentrant, inner)
		require.Equal(t, session.ErrReentrant, lease)
	})
}

func TestSlotOf(t *testing.T) {
	bubble(t, session.Config{Min: 2, Devices: 2}, func(t *testing.T, p *pool, b *backend) {
		_, _, ok := session.SlotOf(t.Context())
		require.False(t, ok)
		answered(t, async(t.Context(), p, req{do: func(ctx context.Context, s *sess) {
			slot, device, ok := session.SlotOf(ctx)
			require.True(t, ok)
			require.Equal(t, [2]int{s.slot, s.device}, [2]int{slot, device})
		}}))
	})
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop items")
	}
	for _, lock := range []bool{false, true} {
		p, err := session.New(func(context.Context) (int, error) { return 7, nil }, func(int) {},
			func(_ context.Context, s, r int) (int, error) { return s * r, nil }, session.Config{Min: 2, LockThread: lock},
			session.WithKey(func(r int) int { return r % 2 }), session.WithCost(func(int) int { return 1 }))
		require.NoError(t, err)
		require.NoError(t, p.Ready(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		i := 0
		allocs := testing.AllocsPerRun(1000, func() {
			i++
			if got, err := p.Do(ctx, i); err != nil || got != 7*i {
				t.Errorf("%d %v", got, err)
			}
		})
		cancel()
		require.NoError(t, p.Close())
		require.LessOrEqual(t, allocs, 1.0, "the context of the call")
	}
}
