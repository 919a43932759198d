package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// sizes are the numbers of keys in the calls.
func sizes(calls [][]int) []int {
	var sizes []int
	for _, keys := range calls {
		sizes = append(sizes, len(keys))
	}
	return sizes
}

func TestMissesGather(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		outs := []<-chan outcome{async(t.Context(), c.Do, 0)}
		for key := range 20 {
			outs = append(outs, async(t.Context(), c.Do, key)) // 0 a second time
		}
		for i, out := range outs {
			assert.Equal(t, 1000*max(i-1, 0)+1, (<-out).value)
		}
		assert.Equal(t, []int{1, 19}, sizes(m.seen()))
		s := c.Stats()
		assert.Equal(t, [4]uint64{20, 1, 20, 2}, [4]uint64{s.Misses, s.Coalesced, s.Loads, s.Calls})
		assert.Equal(t, 20*ms, s.LoadTime)
	})
}

func TestMaxBulkAndConcurrency(t *testing.T) {
	bulkBubble(t, cache.Config{MaxBulk: 4, BulkConcurrency: 2}, func(t *testing.T, c *intCache, m *model) {
		var outs []<-chan outcome
		for key := range 20 {
			outs = append(outs, async(t.Context(), c.Do, key))
		}
		for _, out := range outs {
			assert.NoError(t, (<-out).err)
		}
		assert.Equal(t, []int{1, 1, 4, 4, 4, 4, 2}, sizes(m.seen()))
		assert.Equal(t, 2, m.most)
	})
}

func TestGetAllLoadsWhatIsMissingInOneCall(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 3, 3001)
		values, err := c.GetAll(t.Context(), []int{5, 3, 1, 5, 2})
		require.NoError(t, err)
		assert.Equal(t, []int{5001, 3001, 1001, 5001, 2001}, values)
		assert.Equal(t, [][]int{{3}, {5, 1, 2}}, m.seen())
		values, err = c.GetAll(t.Context(), nil)
		require.NoError(t, err)
		assert.Empty(t, values)
	})
}

// Without a bulk loader the keys are loaded at once, side by side.
func TestGetAllOverALoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		began := time.Now()
		values, err := c.GetAll(t.Context(), []int{5, 3, 1, 5, 2})
		require.NoError(t, err)
		assert.Equal(t, []int{5001, 3001, 1001, 5001, 2001}, values)
		assert.Equal(t, 10*ms, time.Since(began))
		assert.Equal(t, 4, m.most)
	})
}

func TestGetAllJoinsLoadsUnderWay(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		out := async(t.Context(), c.Do, 1)
		values, err := c.GetAll(t.Context(), []int{1, 2})
		require.NoError(t, err)
		assert.Equal(t, []int{1001, 2001}, values)
		assert.Equal(t, 1001, (<-out).value)
		assert.Equal(t, [][]int{{1}, {2}}, m.seen())
	})
}

func TestGetAllOfEndedContext(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGaveUp)
		values, err := c.GetAll(ctx, []int{1})
		require.NoError(t, err)
		assert.Equal(t, []int{1001}, values)
		_, err = c.GetAll(ctx, []int{1, 2})
		assert.Equal(t, errGaveUp, err)
		assert.Zero(t, m.count(2))

		ctx, cancel = context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(5 * ms)
			cancel(errGaveUp)
		}()
		_, err = c.GetAll(ctx, []int{3, 4})
		assert.Equal(t, errGaveUp, err)
		synctest.Wait()
		assert.Error(t, m.context(1).Err(), "nobody wants it any more")
		want(t, c, 3, 3002)
	})
}

// otherErrors is what another package's error for each item may look like.
type otherErrors []error

func (e otherErrors) Error() string { return fmt.Sprint([]error(e)) }

func TestErrorsOfSingleKeys(t *testing.T) {
	for name, wrap := range map[string]func([]error) error{
		"own":     func(errs []error) error { return cache.ItemErrors(errs) },
		"foreign": func(errs []error) error { return otherErrors(errs) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.NewBulk(func(_ context.Context, keys []int) ([]int, error) {
				errs := make([]error, len(keys))
				for i, key := range keys {
					if key%2 > 0 {
						errs[i] = errModel
					}
				}
				return slices.Clone(keys), wrap(errs)
			}, cache.Config{})
			require.NoError(t, err)
			defer c.Close()
			values, err := c.GetAll(t.Context(), []int{1, 2, 3, 4})
			var each cache.ItemErrors
			require.ErrorAs(t, err, &each)
			assert.Equal(t, cache.ItemErrors{errModel, nil, errModel, nil}, each)
			assert.ErrorIs(t, err, errModel)
			assert.Equal(t, "cache: 2 of 4 keys failed; key 0: model: out of memory", err.Error())
			assert.Equal(t, []int{2, 4}, []int{values[1], values[3]})
			values, err = c.GetAll(t.Context(), []int{2, 4})
			require.NoError(t, err)
			assert.Equal(t, []int{2, 4}, values)
		})
	}
	assert.Equal(t, "cache: no key failed", cache.ItemErrors{nil}.Error())
}

func TestWrongNumberOfResults(t *testing.T) {
	for name, load := range map[string]cache.BulkFunc[int, int]{
		"few values":  func(context.Context, []int) ([]int, error) { return []int{1}, nil },
		"many values": func(context.Context, []int) ([]int, error) { return []int{1, 2, 3}, nil },
		"few errors":  func(context.Context, []int) ([]int, error) { return []int{1, 2}, cache.ItemErrors{errModel} },
		"no values":   func(context.Context, []int) ([]int, error) { return nil, otherErrors{errModel, nil} },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.NewBulk(load, cache.Config{})
			require.NoError(t, err)
			defer c.Close()
			_, err = c.GetAll(t.Context(), []int{1, 2})
			var each cache.ItemErrors
			require.ErrorAs(t, err, &each)
			assert.ErrorIs(t, each[0], cache.ErrResultCount)
			assert.ErrorIs(t, each[1], cache.ErrResultCount)
		})
	}
}

func TestBulkLoaderPanicsOrExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.NewBulk(func(_ context.Context, keys []int) ([]int, error) {
			switch keys[0] {
			case 1:
				panic("broken")
			case 2:
				runtime.Goexit()
			}
			return keys, nil
		}, cache.Config{})
		require.NoError(t, err)
		_, err = c.Do(t.Context(), 1)
		var p *cache.PanicError
		assert.ErrorAs(t, err, &p)
		a, b := async(t.Context(), c.Do, 2), async(t.Context(), c.Do, 3)
		assert.ErrorIs(t, (<-a).err, cache.ErrGoexit)
		assert.NoError(t, (<-b).err)
		want(t, c, 4, 4)
		finish(t, c)
	})
}

// A panic in a callback fails the keys that it comes to, and no others.
func TestPanicInACallbackOfABulkLoad(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		_, err := c.GetAll(t.Context(), []int{1, 2, 3})
		var each cache.ItemErrors
		require.ErrorAs(t, err, &each)
		assert.NoError(t, each[0])
		assert.Error(t, each[1])
		assert.NoError(t, each[2])
		want(t, c, 1, 1001)
		want(t, c, 3, 3001)
	}, cache.WithTTL(func(key, _ int) time.Duration {
		if key == 2 {
			panic("no lifetime")
		}
		return time.Hour
	}))
}

func TestGatheredMissIsNotLoadedWhenNobodyWaits(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		first := async(t.Context(), c.Do, 1)
		ctx, cancel := context.WithCancel(t.Context())
		second, third := async(ctx, c.Do, 2), async(t.Context(), c.Do, 3)
		cancel()
		assert.ErrorIs(t, (<-second).err, context.Canceled)
		fourth := async(t.Context(), c.Do, 4)
		require.NoError(t, c.Set(4, 5))
		assert.Equal(t, 5, (<-fourth).value)
		<-first
		<-third
		assert.Equal(t, [][]int{{1}, {3}}, m.seen())
		want(t, c, 2, 2001)
	})
}

func TestBulkCallIsCancelledWithItsLastWaiter(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		blocker := async(t.Context(), c.Do, 0)
		ctx, cancel := context.WithCancel(t.Context())
		a, b := async(ctx, c.Do, 1), async(t.Context(), c.Do, 2)
		<-blocker
		synctest.Wait()
		cancel()
		<-a
		synctest.Wait()
		assert.NoError(t, m.context(1).Err())
		assert.NoError(t, (<-b).err)
		want(t, c, 1, 1002) // what was loaded for nobody is not kept

		ctx, cancel = context.WithCancel(t.Context())
		d := async(ctx, c.Do, 7)
		cancel()
		<-d
		synctest.Wait()
		assert.Error(t, m.context(3).Err())
	})
}

func TestRefreshesGoInCallsOfTheirOwn(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour, RefreshTimeout: time.Minute}
	bulkBubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		_, err := c.GetAll(t.Context(), []int{1, 2, 3})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		blocker := async(t.Context(), c.Do, 7)
		values, err := c.GetAll(t.Context(), []int{1, 2, 3})
		require.NoError(t, err)
		assert.Equal(t, []int{1001, 2001, 3001}, values)
		late := async(t.Context(), c.Do, 8)
		require.NoError(t, c.Set(3, 5)) // its refresh is needless now
		assert.NoError(t, (<-blocker).err)
		assert.NoError(t, (<-late).err)
		time.Sleep(100 * ms)
		assert.Equal(t, [][]int{{1, 2, 3}, {7}, {8}, {1, 2}}, m.seen(), "who waits goes first")
		_, bounded := m.context(2).Deadline()
		assert.False(t, bounded)
		_, bounded = m.context(3).Deadline()
		assert.True(t, bounded)
		want(t, c, 1, 1002)
		want(t, c, 3, 5)
		assert.Zero(t, c.Stats().Refreshing)
	})
}

func TestReentrantBulkLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *intCache
		var kept context.Context
		c, err := cache.NewBulk(func(ctx context.Context, keys []int) ([]int, error) {
			if keys[0] == 1 {
				kept = ctx
				_, err := c.Do(ctx, 2) // would wait for the slot that this call has
				return nil, err
			}
			return keys, nil
		}, cache.Config{})
		require.NoError(t, err)
		_, err = c.Do(t.Context(), 1)
		assert.ErrorIs(t, err, cache.ErrReentrant)
		_, err = c.Do(context.WithoutCancel(kept), 2)
		assert.NoError(t, err, "the call is over")
		finish(t, c)
	})
}

func TestCloseWithABulkLoader(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		outs := []<-chan outcome{async(t.Context(), c.Do, 1), async(t.Context(), c.Do, 2)}
		require.NoError(t, c.Close())
		for _, out := range outs {
			assert.ErrorIs(t, (<-out).err, cache.ErrClosed)
		}
		assert.Zero(t, m.count(2))
		_, err := c.GetAll(t.Context(), []int{4, 5})
		assert.ErrorIs(t, err, cache.ErrClosed)
	})
}
