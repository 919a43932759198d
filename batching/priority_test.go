package batching_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

func class(t *testing.T, n int) context.Context { return batching.WithPriority(t.Context(), n) }

func TestHigherClassesGoFirst(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		for i, level := range []int{0, -1, 2, 1, 0, 2} {
			outs = append(outs, async(class(t, level), b.Do, i+1))
		}
		for i, out := range outs {
			answered(t, out, i+1)
		}
		require.Equal(t, [][]int{{0}, {3, 6}, {4, 1}, {5, 2}}, m.seen())
	})
}

func TestKeyedClassesGoFirstInsideTheirKey(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 1}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		for _, req := range []int{100, 101, 200} {
			async(t.Context(), b.Do, req)
		}
		async(class(t, 1), b.Do, 102)
		time.Sleep(10 * ms)
		m.mu.Lock()
		defer m.mu.Unlock()
		require.Equal(t, []keyedBatch{{1, []int{100}}, {1, []int{102}}, {2, []int{200}}, {1, []int{101}}}, m.batches)
	})
}

// With a stream of high requests that takes all there is, now and then a batch begins with the oldest request.
func TestAgeing(t *testing.T) {
	for _, policy := range []batching.Policy{batching.Window(), batching.Deadline(time.Minute)} {
		for _, turn := range []int{1, 5, 0} {
			cfg := batching.Config{MaxSize: 1, ClassTurn: turn, Policy: policy}
			bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
				if turn == 0 {
					turn = batching.DefaultClassTurn
				}
				m.takes = ms
				for range 3 { // one in service, two waiting
					go func() {
						for err := error(nil); err == nil; {
							_, err = b.Do(class(t, 2), 1)
						}
					}()
				}
				synctest.Wait()
				start := time.Now()
				middle, low := async(class(t, 1), b.Do, 2), async(t.Context(), b.Do, 3)
				first, second := answered(t, middle, 2).at.Sub(start), answered(t, low, 3).at.Sub(start)
				require.InDelta(t, time.Duration(turn+2)*ms, first, float64(2*ms))
				require.InDelta(t, time.Duration(turn+1)*ms, second-first, float64(2*ms))
			})
		}
	}
}

func TestEvictsTheNewestOfTheLowest(t *testing.T) {
	cfg := batching.Config{MaxSize: 2, MaxQueue: 4, RejectWhenFull: true}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		for i, level := range []int{0, 1, 0, 1} {
			outs = append(outs, async(class(t, level), b.Do, i+1))
		}
		_, err := b.Do(t.Context(), 5)
		require.ErrorIs(t, err, batching.ErrQueueFull, "its own class is the lowest")
		require.NotErrorIs(t, err, batching.ErrEvicted)
		high := async(class(t, 1), b.Do, 6)
		o := <-outs[2]
		require.ErrorIs(t, o.err, batching.ErrEvicted)
		require.ErrorIs(t, o.err, batching.ErrQueueFull)
		_, err = b.DoAll(class(t, 1), []int{7, 8})
		require.ErrorIs(t, err, batching.ErrQueueFull, "one place is not enough for two")
		for i, out := range []<-chan outcome{outs[1], outs[3], high, outs[0]} {
			answered(t, out, []int{2, 4, 6, 1}[i])
		}
		s := b.Stats()
		require.EqualValues(t, 1, s.Drops.Evicted)
		require.EqualValues(t, 3, s.Drops.Rejected)
		require.Equal(t, [][]int{{0}, {2, 4}, {6, 1}}, m.seen())
	})
}

func TestEvictsByWeight(t *testing.T) {
	cfg := batching.Config{MaxSize: 4, MaxWeight: 10, MaxQueueWeight: 12, RejectWhenFull: true}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		five, six := async(t.Context(), b.Do, 5), async(t.Context(), b.Do, 6)
		nine := async(class(t, 1), b.Do, 9)
		require.ErrorIs(t, (<-five).err, batching.ErrEvicted)
		require.ErrorIs(t, (<-six).err, batching.ErrEvicted)
		answered(t, nine, 9)
	}, batching.WithWeight(identity))
}

// Where callers wait for room nobody fails: who loses the place waits for room again, before the others of the class.
func TestEvictedWaitsAgain(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 2}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		for i, level := range []int{0, 0, 0, 1} {
			outs = append(outs, async(class(t, level), b.Do, i+1))
		}
		require.Equal(t, 2, b.Stats().Blocked)
		for i, out := range outs {
			answered(t, out, i+1)
		}
		require.Equal(t, [][]int{{0}, {4, 1}, {2, 3}}, m.seen())
		require.Zero(t, b.Stats().Drops)
	})
}

// The higher class comes first where callers wait for room, too.
func TestHigherClassesGetRoomFirst(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1, MaxQueue: 1}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		for i, level := range []int{1, 1, 0, 1} {
			outs = append(outs, async(class(t, level), b.Do, i+1))
		}
		for i, out := range outs {
			answered(t, out, i+1)
		}
		require.Equal(t, [][]int{{0}, {1}, {2}, {4}, {3}}, m.seen())
	})
}

// What waits for company before an idle model makes room by going.
func TestDispatchesBeforeItEvicts(t *testing.T) {
	cfg := batching.Config{MaxSize: 8, MaxQueue: 8, MaxWait: time.Hour, RejectWhenFull: true}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		var outs []<-chan outcome
		for i := range 6 {
			outs = append(outs, async(t.Context(), b.Do, i))
		}
		go func() { _, _ = b.DoAll(class(t, 1), []int{10, 11, 12, 13}) }()
		synctest.Wait()
		b.Flush()
		for i, out := range outs {
			if o := <-out; o.err != nil {
				t.Errorf("request %d: %v, though no batch ran when it was evicted", i, o.err)
			}
		}
	})
}

// A middle class that is never empty does not keep the turn from the lowest.
func TestAgeingOfThreeClasses(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 1 << 20}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = ms
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		start := time.Now()
		var low atomic.Int64
		for i := range 10_000 {
			wg.Go(func() { _, _ = b.Do(batching.WithPriority(ctx, 2), 2) })
			for range 3 {
				wg.Go(func() { _, _ = b.Do(batching.WithPriority(ctx, 1), 1) })
			}
			if i == 10 {
				wg.Go(func() {
					if _, err := b.Do(ctx, 0); err == nil {
						low.Store(int64(time.Since(start)))
					}
				})
			}
			time.Sleep(ms)
		}
		if low.Load() == 0 {
			t.Error("starves")
		}
		stop()
		wg.Wait()
	})
}

// Each key counts its own turns.
func TestAgeingOfEachKey(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 2}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		ctx, stop := context.WithCancel(t.Context())
		var low atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = b.Do(batching.WithPriority(ctx, 1), 100)
				}
			})
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := b.Do(ctx, 101); err == nil {
					low.Add(1)
				}
			}
		})
		wg.Go(func() { // one high
			for ctx.Err() == nil {
				_, _ = b.Do(batching.WithPriority(ctx, 1), 200)
			}
		})
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = b.Do(ctx, 201)
				}
			})
		}
		time.Sleep(60 * time.Second)
		stop()
		wg.Wait()
		if low.Load() == 0 {
			t.Error("starves")
		}
	})
}
