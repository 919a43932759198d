package batching_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// busy occupies the only slot with request 0 for the given time.
func busy(t *testing.T, b *batching.Batcher[int, int], m *model, takes time.Duration) {
	t.Helper()
	m.takes = takes
	async(t.Context(), b.Do, 0)
	require.Equal(t, 1, b.Stats().InFlight)
}

func TestFullQueueMakesCallersWaitInOrder(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 2}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		for i := 1; i <= 5; i++ {
			outs = append(outs, async(t.Context(), b.Do, i))
		}
		s := b.Stats()
		require.Equal(t, 2, s.Queued)
		require.Equal(t, 3, s.Blocked)
		for i, out := range outs {
			answered(t, out, i+1)
		}
		require.Equal(t, [][]int{{0}, {1, 2}, {3, 4}, {5}}, m.seen())
	})
}

func TestFullQueueRejects(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 2, RejectWhenFull: true}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		one := async(t.Context(), b.Do, 1)
		_, err := b.DoAll(t.Context(), []int{2, 3})
		require.ErrorIs(t, err, batching.ErrQueueFull, "all or nothing")
		two := async(t.Context(), b.Do, 2)
		_, err = b.Do(t.Context(), 3)
		require.ErrorIs(t, err, batching.ErrQueueFull)
		answered(t, one, 1)
		answered(t, two, 2)
		require.EqualValues(t, 3, b.Stats().Drops.Rejected)
		require.EqualValues(t, 3, b.Stats().Accepted)
	})
}

func TestQueueWeight(t *testing.T) {
	cfg := batching.Config{MaxSize: 8, MaxWeight: 10, MaxQueueWeight: 12}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		first := async(t.Context(), b.Do, 8)
		heavy := async(t.Context(), b.Do, 7)
		light := async(t.Context(), b.Do, 1) // would fit, but must not overtake the heavy one for ever
		require.Equal(t, 2, b.Stats().Blocked)
		answered(t, first, 8)
		answered(t, heavy, 7)
		answered(t, light, 1)
		require.Equal(t, [][]int{{0}, {8}, {7, 1}}, m.seen())
	}, batching.WithWeight(identity))
}

// Callers that waited for room when the configuration began to reject are not overtaken, and nobody joins them.
func TestRejectsBehindThoseWhoWait(t *testing.T) {
	cfg := batching.Config{MaxSize: 8, MaxWeight: 10, MaxQueueWeight: 12}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		first := async(t.Context(), b.Do, 8)
		heavy := async(t.Context(), b.Do, 7)
		cfg.RejectWhenFull = true
		require.NoError(t, b.Reconfigure(cfg))
		_, err := b.Do(t.Context(), 1) // would fit
		require.ErrorIs(t, err, batching.ErrQueueFull)
		answered(t, first, 8)
		answered(t, heavy, 7)
	}, batching.WithWeight(identity))
}

// A caller that waits for room for a heavy request and goes away lets those behind it in.
func TestBlockedHeadLeaves(t *testing.T) {
	cfg := batching.Config{MaxSize: 8, MaxWeight: 10, MaxQueueWeight: 12}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		async(t.Context(), b.Do, 8)
		ctx, cancel := context.WithCancel(t.Context())
		heavy := async(ctx, b.Do, 7)
		async(t.Context(), b.Do, 1)
		cancel()
		require.ErrorIs(t, (<-heavy).err, context.Canceled)
		synctest.Wait()
		require.Equal(t, 2, b.Stats().Queued)
		require.Zero(t, b.Stats().Blocked)
		time.Sleep(20 * ms)
		require.Equal(t, [][]int{{0}, {8, 1}}, m.seen())
	}, batching.WithWeight(identity))
}

func TestTooLarge(t *testing.T) {
	bubble(t, batching.Config{MaxWeight: 10}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		_, err := b.Do(t.Context(), 11)
		require.ErrorIs(t, err, batching.ErrTooLarge)
		require.ErrorContains(t, err, "11")
		_, err = b.DoAll(t.Context(), []int{1, 11})
		require.ErrorIs(t, err, batching.ErrTooLarge)
		require.Empty(t, m.seen())
		_, err = b.Do(t.Context(), -1)
		require.ErrorIs(t, err, batching.ErrBadRequest)
		_, err = b.DoAll(t.Context(), []int{1, -1})
		require.ErrorIs(t, err, batching.ErrBadRequest)
		require.ErrorContains(t, err, "request 1")
		require.Zero(t, b.Stats().Accepted)
	}, batching.WithWeight(identity))
}

func TestHugeWeightsDoNotOverflow(t *testing.T) {
	bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		one := async(t.Context(), b.Do, math.MaxInt-1)
		two := async(t.Context(), b.Do, math.MaxInt)
		require.Positive(t, b.Stats().QueuedWeight)
		require.NoError(t, (<-one).err)
		require.NoError(t, (<-two).err)
		_, err := b.DoAll(t.Context(), []int{math.MaxInt, math.MaxInt, 1})
		require.NoError(t, err)
	}, batching.WithWeight(identity))
}

func TestWeightPanicGoesToTheCaller(t *testing.T) {
	weight := func(req int) int {
		if req == 13 {
			panic("unlucky")
		}
		return 1
	}
	bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		require.PanicsWithValue(t, "unlucky", func() { _, _ = b.Do(t.Context(), 13) })
		require.PanicsWithValue(t, "unlucky", func() { _, _ = b.DoAll(t.Context(), []int{1, 13}) })
		_, err := b.Do(t.Context(), 1)
		require.NoError(t, err, "no lock or place is left behind")
		require.EqualValues(t, 1, b.Stats().Accepted)
	}, batching.WithWeight(weight))
}

// With many keys the queue can be full of requests that wait for company. That must not block while a slot is free.
func TestFullOfWaitersForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reject := range []bool{false, true} {
			m := newModel(0)
			b, err := batching.NewKeyed(func(req int) int { return req }, func(ctx context.Context, _ int, reqs []int) ([]int, error) {
				return m.run(ctx, reqs)
			}, batching.Config{MaxSize: 2, MaxQueue: 3, MaxWait: time.Hour, RejectWhenFull: reject})
			require.NoError(t, err)
			outs := make([]<-chan outcome, 10)
			for i := range outs {
				outs[i] = async(t.Context(), b.Do, i)
			}
			require.GreaterOrEqual(t, len(m.seen()), 7)
			require.NoError(t, b.Shutdown(t.Context()))
			for i, out := range outs {
				answered(t, out, i)
			}
			checkBooks(t, b.Stats())
		}
	})
}

func TestSplit(t *testing.T) {
	split := func(req, most int) []int {
		var parts []int
		for ; req > most; req -= most {
			parts = append(parts, most)
		}
		return append(parts, req)
	}
	join := func(resps []int) (int, error) {
		sum := 0
		for _, resp := range resps {
			sum += resp
		}
		return sum, nil
	}
	cfg := batching.Config{MaxWeight: 10}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		resp, err := b.Do(t.Context(), 25)
		require.NoError(t, err)
		require.Equal(t, 250, resp)
		require.Equal(t, [][]int{{10}, {10}, {5}}, m.seen())
		resps, err := b.DoAll(t.Context(), []int{3, 25, 10})
		require.NoError(t, err)
		require.Equal(t, []int{30, 250, 100}, resps)

		m.err = errModel
		_, err = b.Do(t.Context(), 25)
		require.Equal(t, errModel, err, "the part's error itself")
		_, err = b.DoAll(t.Context(), []int{3, 25})
		require.Equal(t, batching.ItemErrors{errModel, errModel}, err)
	}, batching.WithWeight(identity), batching.WithSplit(split, join))

	useless := func(req, _ int) []int { return []int{req} }
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		_, err := b.Do(t.Context(), 25)
		require.ErrorIs(t, err, batching.ErrTooLarge)
	}, batching.WithWeight(identity), batching.WithSplit(useless, join))
	none := func(int, int) []int { return nil }
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		_, err := b.Do(t.Context(), 25)
		require.ErrorIs(t, err, batching.ErrTooLarge)
	}, batching.WithWeight(identity), batching.WithSplit(none, join))
}
