package pool_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// A function may wait for something that the consumption of earlier results releases.
func TestMapWaitsForConsumer(t *testing.T) {
	for name, do := range map[string]mapFunc{"Map": pool.Map[int, int], "MapUnordered": pool.MapUnordered[int, int]} {
		for _, workers := range []int{1, 2} {
			if workers > 1 && name == "Map" {
				continue // a later item may take what an earlier one, whose result must come first, needs
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tokens := make(chan struct{}, workers)
					n := 0
					for _, err := range do(t.Context(), count(2000), func(_ context.Context, n int) (int, error) {
						tokens <- struct{}{}
						return n, nil
					}, pool.MapConfig{Workers: workers}) {
						require.NoError(t, err)
						n++
						<-tokens
					}
					assert.Equal(t, 2000, n)
				})
			})
		}
	}
}

// The last item waits until all before it are consumed, and more items come after it.
func TestMapWaitsForAllBefore(t *testing.T) {
	const n = 400
	eachMap(t, func(t *testing.T, do mapFunc) {
		fed, all := make(chan struct{}), make(chan struct{})
		in := func(yield func(int) bool) {
			for i := range n + 200 {
				if !yield(i) {
					return
				}
			}
			close(fed)
		}
		seen := 0
		for i, err := range do(t.Context(), in, func(_ context.Context, i int) (int, error) {
			<-fed
			if i == n {
				<-all
			}
			return i, nil
		}, pool.MapConfig{Workers: 2, Buffer: 1000}) {
			require.NoError(t, err)
			if i < n {
				if seen++; seen == n {
					close(all)
				}
			}
		}
	})
}

// Items that take long run side by side even if those before them took no time.
func TestMapSharesSlowItems(t *testing.T) {
	const quick, slow = 1000, 16
	eachMap(t, func(t *testing.T, do mapFunc) {
		fed := make(chan struct{})
		in := func(yield func(int) bool) {
			for i := range quick + slow + 200 {
				if !yield(i) {
					return
				}
			}
			close(fed)
		}
		started := time.Now()
		for _, err := range do(t.Context(), in, func(_ context.Context, i int) (int, error) {
			<-fed
			if i >= quick && i < quick+slow {
				time.Sleep(50 * ms)
			}
			return i, nil
		}, pool.MapConfig{Workers: slow, Buffer: 2000}) {
			require.NoError(t, err)
		}
		assert.Equal(t, 50*ms, time.Since(started))
	})
}

// The results can be ranged over by several goroutines at once, each of which gets all of them.
func TestMapTwoRanges(t *testing.T) {
	for _, ended := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if ended {
			cancel()
		}
		results := pool.Map(ctx, slices.Values([]int{1, 2, 3}), ten, pool.MapConfig{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				outs, errs := gather(results)
				if ended {
					assert.ErrorIs(t, errs[0], context.Canceled)
				} else {
					assert.Equal(t, []int{10, 20, 30}, outs)
				}
			})
		}
		wg.Wait()
	}
}
