package batching_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/batching"
)

func identity(n int) int { return n }

func TestNoWaitAtLowLoad(t *testing.T) {
	bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 3 * ms
		for i := range 5 {
			start := time.Now()
			resp, err := b.Do(t.Context(), i)
			require.NoError(t, err)
			require.Equal(t, i*10, resp)
			require.Equal(t, 3*ms, time.Since(start))
		}
		require.EqualValues(t, 5, b.Stats().Flushes.Slot)
	})
}

func TestSizeOneIsInstantWhateverMaxWait(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1, MaxWait: 1000 * time.Second}, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		start := time.Now()
		_, err := b.Do(t.Context(), 1)
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		require.EqualValues(t, 1, b.Stats().Flushes.Size)
	})
}

func TestMaxWaitAndSize(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 3, MaxWait: 10 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx := t.Context()
		one := async(ctx, b.Do, 1)
		time.Sleep(4 * ms)
		two := async(ctx, b.Do, 2)
		time.Sleep(5 * ms)
		pending(t, one, two)
		answered(t, one, 1)
		answered(t, two, 2)
		require.Equal(t, []time.Duration{10 * ms}, m.times(), "the wait is that of the oldest request")

		for i := 3; i <= 5; i++ {
			async(ctx, b.Do, i)
		}
		require.Equal(t, [][]int{{1, 2}, {3, 4, 5}}, m.seen(), "a full batch goes at once")
		f := b.Stats().Flushes
		require.EqualValues(t, 1, f.Wait)
		require.EqualValues(t, 1, f.Size)
	})
}

// The timer of a batch that has gone by size must not cut the wait of the next one short.
func TestStaleTimer(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxWait: 10 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx := t.Context()
		async(ctx, b.Do, 1)
		time.Sleep(8 * ms)
		async(ctx, b.Do, 2)
		async(ctx, b.Do, 3)
		time.Sleep(20 * ms)
		require.Equal(t, [][]int{{1, 2}, {3}}, m.seen())
		require.Equal(t, []time.Duration{8 * ms, 18 * ms}, m.times())
	})
}

func TestCancelledHeadDoesNotShiftTheNextWait(t *testing.T) {
	bubble(t, batching.Config{MaxWait: 10 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx, cancel := context.WithCancel(t.Context())
		head := async(ctx, b.Do, 1)
		time.Sleep(6 * ms)
		next := async(t.Context(), b.Do, 2)
		cancel()
		require.ErrorIs(t, (<-head).err, context.Canceled)
		answered(t, next, 2)
		require.Equal(t, [][]int{{2}}, m.seen())
		require.Equal(t, []time.Duration{16 * ms}, m.times())
	})
}

// While all slots are busy the batch goes on growing, past MaxWait, and goes when a slot is free.
func TestLateBinding(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 8, MaxWait: 2 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 50 * ms
		async(t.Context(), b.Do, 1)
		time.Sleep(3 * ms) // it runs from 2 until 52
		for i := 2; i <= 6; i++ {
			async(t.Context(), b.Do, i)
			time.Sleep(9 * ms)
		}
		time.Sleep(100 * ms)
		require.Equal(t, [][]int{{1}, {2, 3, 4, 5, 6}}, m.seen())
		require.Equal(t, []time.Duration{2 * ms, 52 * ms}, m.times())
		require.EqualValues(t, 1, b.Stats().Flushes.Slot)
	})
}

// What has just come goes too when a slot becomes free: the wait for company is for idle models.
func TestWorkConserving(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxWait: 40 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms
		async(t.Context(), b.Do, 1)
		async(t.Context(), b.Do, 2)
		time.Sleep(9 * ms)
		async(t.Context(), b.Do, 3)
		time.Sleep(5 * ms)
		require.Equal(t, []time.Duration{0, 10 * ms}, m.times())
	})
}

// One slot is free all along: that the other becomes free is no reason to stop waiting for company.
func TestSecondSlotDoesNotEndTheWait(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 4, MaxWait: 30 * ms, Concurrency: 2}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms
		for i := range 4 {
			async(t.Context(), b.Do, i)
		}
		time.Sleep(5 * ms)
		async(t.Context(), b.Do, 4)
		time.Sleep(50 * ms)
		require.Equal(t, []time.Duration{0, 35 * ms}, m.times())
	})
}

func TestConcurrency(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, Concurrency: 3}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms
		_, err := b.DoAll(t.Context(), make([]int, 20))
		require.NoError(t, err)
		require.Equal(t, 3, m.most)
		require.Len(t, m.seen(), 10)
		require.Equal(t, 40*ms, time.Since(m.start))
	})
}

func TestWeight(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 8, MaxWeight: 10, MaxWait: 10 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		for _, weight := range []int{4, 5} {
			async(t.Context(), b.Do, weight)
		}
		require.Empty(t, m.seen())
		require.EqualValues(t, 9, b.Stats().QueuedWeight)
		async(t.Context(), b.Do, 2) // does not fit any more
		require.Equal(t, [][]int{{4, 5}, {2}}, m.seen(), "the last waited for the slot, and goes with it")
		async(t.Context(), b.Do, 3)
		async(t.Context(), b.Do, 7) // fits exactly
		require.Equal(t, [][]int{{4, 5}, {2}, {3, 7}}, m.seen())
		async(t.Context(), b.Do, 10) // alone
		require.Len(t, m.seen(), 4)
		async(t.Context(), b.Do, 0) // weighs nothing, and waits
		time.Sleep(11 * ms)
		require.Len(t, m.seen(), 5)
		f := b.Stats().Flushes
		require.EqualValues(t, 3, f.Weight)
		require.EqualValues(t, 1, f.Wait)
	}, batching.WithWeight(identity))
}

// A request whose deadline is shorter than MaxWait must not expire while the model is idle.
func TestDeadlineShortensTheWait(t *testing.T) {
	bubble(t, batching.Config{MaxWait: 100 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		none := async(t.Context(), b.Do, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 40*ms)
		defer cancel()
		short := async(ctx, b.Do, 2)
		answered(t, none, 1)
		answered(t, short, 2)
		require.Equal(t, []time.Duration{20 * ms}, m.times())
		require.EqualValues(t, 1, b.Stats().Flushes.Deadline)

		// If it goes away the others wait on as if it had never been there.
		none = async(t.Context(), b.Do, 3)
		ctx, cancel = context.WithTimeout(t.Context(), 40*ms)
		short = async(ctx, b.Do, 4)
		time.Sleep(10 * ms)
		cancel()
		require.Error(t, (<-short).err)
		answered(t, none, 3)
		require.Equal(t, 120*ms, m.times()[1])
	})
}

func TestTwentyIdenticalDeadlines(t *testing.T) {
	bubble(t, batching.Config{MaxWait: 100 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		var outs []<-chan outcome
		for i := range 20 {
			outs = append(outs, async(ctx, b.Do, i))
		}
		for i, out := range outs {
			answered(t, out, i)
		}
		require.Len(t, m.seen(), 1)
		require.Equal(t, []time.Duration{25 * ms}, m.times())
	})
}

func TestFlush(t *testing.T) {
	bubble(t, batching.Config{MaxWait: time.Hour}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		b.Flush() // of nothing
		m.takes = ms
		one, two := async(t.Context(), b.Do, 1), async(t.Context(), b.Do, 2)
		b.Flush()
		answered(t, one, 1)
		answered(t, two, 2)
		require.Equal(t, [][]int{{1, 2}}, m.seen())
		require.EqualValues(t, 1, b.Stats().Flushes.Flush)
	})
}

func TestNothingRunsWhileIdle(t *testing.T) {
	b, err := batching.New(free, batching.Config{MaxSize: 4, Concurrency: 4})
	require.NoError(t, err)
	defer b.Close()
	_, err = b.DoAll(t.Context(), make([]int, 200))
	require.NoError(t, err)
	goleak.VerifyNone(t) // though it is open
}

func TestDoAll(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 4}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		resps, err := b.DoAll(t.Context(), []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0})
		require.NoError(t, err)
		require.Equal(t, []int{90, 80, 70, 60, 50, 40, 30, 20, 10, 0}, resps)
		require.Equal(t, [][]int{{9, 8, 7, 6}, {5, 4, 3, 2}, {1, 0}}, m.seen(), "queued together, though the slot was free")

		resps, err = b.DoAll(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, resps)
		require.NotNil(t, resps)
	})
}

func TestDoAllSharesBatches(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 4, MaxWait: 10 * ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		one := async(t.Context(), b.Do, 1)
		_, err := b.DoAll(t.Context(), []int{2, 3, 4, 5})
		require.NoError(t, err)
		answered(t, one, 1)
		require.Equal(t, [][]int{{1, 2, 3, 4}, {5}}, m.seen())
	})
}
