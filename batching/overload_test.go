package batching_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// A model that has become slower and ends with its context, and callers with time-outs: runs that are cut short must teach, or all go on to be.
func TestDeadlineLearnsFromRunsCutShort(t *testing.T) {
	for _, honours := range []bool{false, true} {
		for _, factor := range []int64{1, 2, 3} {
			synctest.Test(t, func(t *testing.T) {
				var slow atomic.Int64
				slow.Store(1)
				b, err := batching.New(func(ctx context.Context, reqs []int) ([]int, error) {
					takes := time.Duration(slow.Load()) * (8*ms + time.Duration(len(reqs))*ms/2)
					if !honours {
						time.Sleep(takes)
						return reqs, nil
					}
					select {
					case <-time.After(takes):
						return reqs, nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}, batching.Config{MaxSize: 64, Policy: batching.Deadline(50 * ms)})
				require.NoError(t, err)
				var wg sync.WaitGroup
				var good, n atomic.Int64
				load := func(d time.Duration) float64 {
					good.Store(0)
					n.Store(0)
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(ms / 2) {
						wg.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
							defer cancel()
							n.Add(1)
							if _, err := b.Do(ctx, 1); err == nil {
								good.Add(1)
							}
						})
					}
					wg.Wait()
					return float64(good.Load()) / float64(n.Load())
				}
				load(5 * time.Second)
				slow.Store(factor)
				after := load(30 * time.Second)
				require.Greater(t, after, 0.13, "honours ctx: %t, %d times slower", honours, factor)
				require.NoError(t, b.Close())
			})
		}
	}
}

// A generous objective with callers' own deadlines: after a cold start the model is tried again.
func TestDeadlineProbesWithAnyObjective(t *testing.T) {
	for _, slo := range []time.Duration{time.Second, time.Hour, math.MaxInt64} {
		synctest.Test(t, func(t *testing.T) {
			var slow atomic.Bool
			b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
				if slow.Load() {
					time.Sleep(2 * time.Second)
				} else {
					time.Sleep(10 * ms)
				}
				return reqs, nil
			}, batching.Config{MaxSize: 8, Policy: batching.Deadline(slo)})
			require.NoError(t, err)
			slow.Store(true)
			_, err = b.Do(t.Context(), 1) // warm-up: a cold model
			require.NoError(t, err)
			slow.Store(false)
			ok, all := 0, 0
			start := time.Now()
			first := time.Duration(-1)
			for range 5 * 60 * 10 { // five minutes, ten a second, one at a time: a model that is idle 90% of the time
				ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
				_, err := b.Do(ctx, 1)
				cancel()
				all++
				if err == nil {
					ok++
					if first < 0 {
						first = time.Since(start)
					}
				}
				time.Sleep(90 * ms)
			}
			if ok < all/2 {
				t.Errorf("slo %v: refused for ever: %d of %d", slo, ok, all)
			}
			require.NoError(t, b.Close())
		})
	}
}

// One batch hangs, the other slots are free: they are tried.
func TestDeadlineProbesBesideAHungBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		gate := make(chan struct{})
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			if reqs[0] == -1 {
				<-gate
				return reqs, nil
			}
			if slow.Load() {
				time.Sleep(500 * ms)
			} else {
				time.Sleep(10 * ms)
			}
			return reqs, nil
		}, batching.Config{MaxSize: 8, Concurrency: 4, Policy: batching.Deadline(50 * ms)})
		require.NoError(t, err)
		hung := async(t.Context(), b.Do, -1)
		slow.Store(true)
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		slow.Store(false)
		ok := 0
		for range 6000 {
			if _, err := b.Do(t.Context(), 1); err == nil {
				ok++
			}
			time.Sleep(100 * ms)
		}
		if ok < 3000 {
			t.Errorf("refused for ever: %d", ok)
		}
		close(gate)
		<-hung
		require.NoError(t, b.Close())
	})
}

// A run that fails single requests is a good run.
func TestDeadlineLearnsFromRunsWithItemErrors(t *testing.T) {
	for _, bad := range []int{1 << 30, 20, 5} {
		synctest.Test(t, func(t *testing.T) {
			errBad := errors.New("bad input")
			b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
				time.Sleep(10*ms + time.Duration(len(reqs))*ms/10)
				each := make(batching.ItemErrors, len(reqs))
				for i, r := range reqs {
					if r%bad == bad-1 {
						each[i] = errBad
					}
				}
				for _, e := range each {
					if e != nil {
						return reqs, each
					}
				}
				return reqs, nil
			}, batching.Config{MaxSize: 64, Policy: batching.Deadline(50 * ms)})
			require.NoError(t, err)
			// three quarters of what the model can do with batches of 64 (3900/s): 3000/s for 20 s; every bad-th request is invalid
			var wg sync.WaitGroup
			for i := range 60000 {
				wg.Go(func() { _, _ = b.Do(t.Context(), i) })
				time.Sleep(ms / 3)
			}
			wg.Wait()
			s := b.Stats()
			if want := 0.95 * (1 - 1/float64(bad)); s.Goodput() < want {
				t.Errorf("goodput %.3f with every %dth request invalid, want %.3f", s.Goodput(), bad, want)
			}
			require.NoError(t, b.Close())
		})
	}
}

func TestAIMDLearnsFromRunsWithItemErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			time.Sleep(10*ms + time.Duration(len(reqs))*ms/10)
			each := make(batching.ItemErrors, len(reqs))
			failed := false
			for i, r := range reqs {
				if r%10 == 9 {
					each[i], failed = errModel, true
				}
			}
			if failed {
				return reqs, each
			}
			return reqs, nil
		}, batching.Config{MaxSize: 64, MaxQueue: 1 << 20, Policy: batching.AIMD(30 * ms)})
		require.NoError(t, err)
		reqs := make([]int, 20000)
		for i := range reqs {
			reqs[i] = i
		}
		_, _ = b.DoAll(t.Context(), reqs)
		if n := b.Stats().SizeLimit; n < 32 {
			t.Errorf("size limit %d after 20000 requests", n)
		}
		require.NoError(t, b.Close())
	})
}

// Learnt by weight, requests that weigh nothing share batches.
func TestDeadlineOfWeightlessRequests(t *testing.T) {
	m := &linear{fixed: 5 * ms, perUnit: ms / 10, units: func(reqs []int) (sum int) {
		for _, req := range reqs {
			sum += req
		}
		return sum
	}}
	cfg := batching.Config{Policy: batching.Deadline(50 * ms), MaxSize: 8, MaxWeight: 400}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		for i := range 150 {
			reqs := []int{10 + i*7%90, 20, 30 + i*13%60, 5}
			_, err := b.DoAll(t.Context(), reqs[:1+i%4])
			require.NoError(t, err)
		}
		require.True(t, b.Stats().Latency.ByWeight)
		m.forget()
		_, err := b.DoAll(t.Context(), make([]int, 32))
		require.LessOrEqual(t, len(m.seen()), 8)
		require.NoError(t, err)
	}, batching.WithWeight(identity))
}

// Not even an objective that nothing can meet makes two batches run in one slot.
func TestDeadlineOfNanoseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var running, most atomic.Int64
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if reqs[0] == -1 {
				<-gate
			} else {
				time.Sleep(20 * time.Nanosecond)
			}
			return reqs, nil
		}, batching.Config{MaxSize: 8, Policy: batching.Deadline(63)})
		require.NoError(t, err)
		for range 3 {
			_, _ = b.Do(t.Context(), 1)
		}
		h := async(t.Context(), b.Do, -1)
		time.Sleep(time.Microsecond)
		a := async(t.Context(), b.Do, 2)
		<-a
		close(gate)
		<-h
		require.NoError(t, b.Close())
		require.EqualValues(t, 1, most.Load())
	})
}

// A low request does not join if that would pad the batch to the next size.
func TestDeadlineLowerClassDoesNotGrowThePadding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			sizes = append(sizes, len(reqs))
			time.Sleep(2*ms + time.Duration(len(reqs))*ms/2)
			return reqs, nil
		}, batching.Config{AllowedSizes: []int{8, 64}, Policy: batching.Deadline(200 * ms)}, batching.WithPad(func(r int) int { return r }))
		require.NoError(t, err)
		for _, n := range []int{1, 8, 30, 64, 8, 64, 8, 64, 8} {
			_, err := b.DoAll(t.Context(), make([]int, n))
			require.NoError(t, err)
		}
		go func() { _, _ = b.Do(t.Context(), 1) }()
		synctest.Wait()
		sizes = nil
		start := time.Now()
		var high time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = b.DoAll(batching.WithPriority(t.Context(), 1), make([]int, 8))
			high = time.Since(start)
		})
		synctest.Wait()
		wg.Go(func() { _, _ = b.DoAll(t.Context(), make([]int, 1)) })
		wg.Wait()
		require.Equal(t, []int{8, 8}, sizes)
		require.LessOrEqual(t, high, 12*ms)
		require.NoError(t, b.Close())
	})
}

// What is full by a lowered limit goes.
func TestAIMDShrinksBelowTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var takes atomic.Int64
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			time.Sleep(time.Duration(takes.Load()))
			return reqs, nil
		}, batching.Config{MaxSize: 8, MaxWait: time.Minute, Concurrency: 2, Policy: batching.AIMD(30 * ms)})
		require.NoError(t, err)
		takes.Store(int64(ms))
		for b.Stats().SizeLimit < 8 {
			_, err := b.DoAll(t.Context(), make([]int, b.Stats().SizeLimit))
			require.NoError(t, err)
		}
		takes.Store(int64(100 * ms))
		go func() { _, _ = b.DoAll(t.Context(), make([]int, 8)) }() // slow: limit goes to 7
		synctest.Wait()
		go func() { _, _ = b.DoAll(t.Context(), make([]int, 7)) }() // 7 of 8: wait for company
		synctest.Wait()
		time.Sleep(time.Second)
		s := b.Stats()
		if s.Queued >= s.SizeLimit && s.InFlight < 2 {
			t.Error("a full batch waits though two slots are free")
		}
		require.NoError(t, b.Close())
	})
}

// For ever is a wait, too.
func TestHugeMaxWait(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxWait: math.MaxInt64}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		time.Sleep(ms)
		one := async(t.Context(), b.Do, 1)
		time.Sleep(time.Hour)
		require.Empty(t, m.seen(), "waits for company for ever")
		two := async(t.Context(), b.Do, 2)
		answered(t, one, 1)
		answered(t, two, 2)
	})
}

// After Shutdown or Close nothing holds the run function, even if a timer was set.
func TestTheTimerKeepsNothingAlive(t *testing.T) {
	for _, how := range []string{"shutdown", "close"} {
		var freed atomic.Bool
		func() {
			weights := new([1 << 20]int)
			runtime.AddCleanup(weights, func(int) { freed.Store(true) }, 0)
			b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
				_ = weights[0]
				return reqs, nil
			}, batching.Config{MaxWait: time.Hour})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); _, _ = b.Do(ctx, 1) }()
			for b.Stats().Queued == 0 {
				runtime.Gosched()
			}
			cancel()
			<-done
			if how == "shutdown" {
				require.NoError(t, b.Shutdown(t.Context()))
			} else {
				require.NoError(t, b.Close())
			}
		}()
		for range 200 {
			runtime.GC()
			runtime.Gosched()
			if freed.Load() {
				break
			}
		}
		if !freed.Load() {
			t.Errorf("after %s the model is still reachable", how)
		}
	}
}
