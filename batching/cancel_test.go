package batching_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

var errCause = errors.New("the user closed the tab")

func TestDeadOnArrival(t *testing.T) {
	bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCause)
		_, err := b.Do(ctx, 1)
		require.Equal(t, errCause, err)
		_, err = b.DoAll(ctx, []int{1})
		require.Equal(t, errCause, err)
		past, cancelPast := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancelPast()
		_, err = b.Do(past, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, m.seen())
		require.Zero(t, b.Stats().Accepted)
	})
}

func TestCancelWhileQueued(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 2}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 100*ms)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := async(ctx, b.Do, 1)
		stays := async(t.Context(), b.Do, 2)
		blocked := async(t.Context(), b.Do, 3)
		time.Sleep(ms)
		cancel(errCause)
		synctest.Wait()
		o := <-gone
		require.Equal(t, errCause, o.err)
		require.Equal(t, ms, o.at.Sub(m.start), "at once, though the model is busy")
		require.Equal(t, 2, b.Stats().Queued, "its place is free again")
		require.Zero(t, b.Stats().Blocked)
		answered(t, stays, 2)
		answered(t, blocked, 3)
		require.Equal(t, [][]int{{0}, {2, 3}}, m.seen(), "never executed")
		require.EqualValues(t, 1, b.Stats().Drops.Cancelled)
	})
}

func TestExpireWhileQueuedAndBlocked(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1, MaxQueue: 1}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 100*ms)
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		queued, blocked := async(ctx, b.Do, 1), async(ctx, b.Do, 2)
		for _, out := range []<-chan outcome{queued, blocked} {
			o := <-out
			require.ErrorIs(t, o.err, context.DeadlineExceeded)
			require.Equal(t, 10*ms, o.at.Sub(m.start))
		}
		require.EqualValues(t, 2, b.Stats().Drops.Expired)
		time.Sleep(200 * ms)
		require.Equal(t, [][]int{{0}}, m.seen())
	})
}

func TestCancelInFlight(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxWait: ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 20 * ms
		ctx, cancel := context.WithCancelCause(t.Context())
		gone, stays := async(ctx, b.Do, 1), async(t.Context(), b.Do, 2)
		cancel(errCause)
		o := <-gone
		require.Equal(t, errCause, o.err)
		require.Zero(t, o.at.Sub(m.start))
		require.NoError(t, m.ctxs[0].Err(), "a member is left")
		require.Equal(t, 1, b.Stats().Running)
		answered(t, stays, 2)
		s := b.Stats()
		require.EqualValues(t, 1, s.Abandoned)
		require.EqualValues(t, 1, s.Answered)
		require.EqualValues(t, 2, s.Items)
	})
}

func TestRunIsCancelledWhenAllMembersHaveGone(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxWait: ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		one, two := async(ctx, b.Do, 1), async(ctx, b.Do, 2)
		time.Sleep(5 * ms)
		require.NoError(t, m.ctxs[0].Err())
		cancel()
		require.Error(t, (<-one).err)
		require.Error(t, (<-two).err)
		synctest.Wait()
		require.ErrorIs(t, m.ctxs[0].Err(), context.Canceled)
		require.Zero(t, b.Stats().InFlight)
		require.EqualValues(t, 2, b.Stats().Abandoned)
	})
}

func TestBatchContextCarriesTheLatestDeadline(t *testing.T) {
	type key struct{}
	bubble(t, batching.Config{MaxSize: 2, MaxWait: ms}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		ctx := context.WithValue(t.Context(), key{}, "a member's own")
		early, cancel := context.WithTimeout(ctx, 20*ms)
		defer cancel()
		late, cancel := context.WithTimeout(ctx, 30*ms)
		defer cancel()
		async(early, b.Do, 1)
		async(late, b.Do, 2)
		deadline, ok := m.ctxs[0].Deadline()
		require.True(t, ok)
		require.Equal(t, 30*ms, deadline.Sub(m.start))
		require.Nil(t, m.ctxs[0].Value(key{}))

		async(early, b.Do, 3)
		async(ctx, b.Do, 4)
		_, ok = m.ctxs[1].Deadline()
		require.False(t, ok, "a member has none")
	})
}

// Between the end of a context and the moment its goroutine runs, a batch may be dispatched. The request is not
// executed all the same.
func TestNotExecutedThoughTheCallerHasNotWokenYet(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 4}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		slow := &sleepyContext{Context: t.Context(), done: make(chan struct{})}
		gone := async(slow, b.Do, 1)
		stays := async(t.Context(), b.Do, 2)
		slow.ended.Store(true) // Err says so, but Done does not yet
		answered(t, stays, 2)
		require.Equal(t, [][]int{{0}, {2}}, m.seen())
		pending(t, gone)
		close(slow.done)
		require.ErrorIs(t, (<-gone).err, context.Canceled)
		require.EqualValues(t, 1, b.Stats().Drops.Cancelled)
	})
}

func TestAllMembersGoneBeforeTheRun(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 4}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		slow := &sleepyContext{Context: t.Context(), done: make(chan struct{})}
		gone := async(slow, b.Do, 1)
		slow.ended.Store(true)
		time.Sleep(20 * ms)
		require.Equal(t, [][]int{{0}}, m.seen(), "nothing to run")
		require.EqualValues(t, 1, b.Stats().Batches)
		require.Zero(t, b.Stats().InFlight)
		_, err := b.Do(t.Context(), 2)
		require.NoError(t, err, "the slot is free again")
		close(slow.done)
		require.Error(t, (<-gone).err)
	})
}

func TestDoAllCancelled(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 4}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms
		ctx, cancel := context.WithTimeout(t.Context(), 15*ms)
		defer cancel()
		// Two are answered by then, two run, four are queued, two wait for room.
		resps, err := b.DoAll(ctx, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Nil(t, resps)
		require.Equal(t, 15*ms, time.Since(m.start))
		time.Sleep(20 * ms)
		require.Equal(t, [][]int{{1, 2}, {3, 4}}, m.seen())
		s := b.Stats()
		require.EqualValues(t, 2, s.Answered)
		require.EqualValues(t, 2, s.Abandoned)
		require.EqualValues(t, 6, s.Drops.Expired)
	})
}

// The result and the end of the context at the same moment: the result wins if it was there, and in any case
// there is exactly one outcome.
func TestCancelConcurrentWithTheResult(t *testing.T) {
	for range 200 {
		bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
			m.takes = 10 * ms
			ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
			defer cancel()
			resp, err := b.Do(ctx, 1)
			s := b.Stats()
			if err == nil {
				require.Equal(t, 10, resp)
				require.EqualValues(t, 1, s.Answered)
			} else {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.EqualValues(t, 1, s.Abandoned)
			}
		})
	}
}
