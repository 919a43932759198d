package cache_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// A load that a Set makes needless before it began is over, and was no call.
func TestLoadThatNeverBeganIsNoCall(t *testing.T) {
	var c *intCache
	namespace := func(key int) cache.Namespace {
		if key == 2 { // key 1 has its flight, which is started when all keys have been looked up
			assert.NoError(t, c.Set(1, 5))
		}
		return cache.Namespace{}
	}
	events := 0
	bubble(t, cache.Config{OnLoad: func(cache.LoadEvent) { events++ }}, func(t *testing.T, made *intCache, m *model) {
		c = made
		values, err := c.GetAll(t.Context(), []int{1, 2})
		require.NoError(t, err)
		assert.Equal(t, []int{5, 2001}, values)
		synctest.Wait()
		assert.Equal(t, [][]int{{2}}, m.seen())
		s := c.Stats()
		assert.Equal(t, [3]uint64{2, 1, 1}, [3]uint64{s.Loads, s.LoadsFailed, s.Calls})
		assert.Equal(t, 1, events)
	}, cache.WithNamespace(namespace))
}

// Every miss and refresh is a load once it is over, also if it was dropped in the queue.
func TestDroppedLoadsAreCounted(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Minute}
	bulkBubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 3, 3001)
		time.Sleep(2 * time.Second)
		blocker := async(t.Context(), c.Do, 1)
		ctx, cancel := context.WithCancel(t.Context())
		gone := async(ctx, c.Do, 2)
		want(t, c, 3, 3001) // its refresh gathers
		cancel()
		<-gone
		c.Delete(3)
		synctest.Wait()
		assert.Equal(t, 1, c.Stats().Loading, "but for the blocker all are over")
		assert.Zero(t, c.Stats().Refreshing)
		assert.NoError(t, (<-blocker).err)
		synctest.Wait()
		s := c.Stats()
		assert.Equal(t, [2]uint64{3, 1}, [2]uint64{s.Misses, s.Refreshes})
		assert.Equal(t, [4]uint64{4, 2, 1, 2}, [4]uint64{s.Loads, s.LoadsFailed, s.RefreshesFailed, s.Calls})
		assert.Equal(t, [][]int{{3}, {1}}, m.seen())
	})
}

// What a Delete makes needless ends at once, and does not keep the place of another refresh.
func TestDeleteCancelsWhatNobodyWaitsFor(t *testing.T) {
	t.Run("refresh", func(t *testing.T) {
		cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second}
		bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
			want(t, c, 1, 1001)
			time.Sleep(1500 * ms)
			want(t, c, 1, 1001)
			synctest.Wait()
			c.Delete(1)
			synctest.Wait()
			assert.Error(t, m.context(1).Err())
			assert.Zero(t, c.Stats().Refreshing)
			_, ok := c.Get(1)
			assert.False(t, ok)
		})
	})
	t.Run("refresh that is waited for", func(t *testing.T) {
		cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second}
		bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
			want(t, c, 1, 1001)
			m.set(func(m *model) { m.takes = time.Minute })
			time.Sleep(1500 * ms)
			want(t, c, 1, 1001)
			time.Sleep(time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			out := async(ctx, c.Do, 1)
			c.Delete(1)
			synctest.Wait()
			assert.NoError(t, m.context(1).Err(), "it is waited for")
			cancel()
			<-out
			synctest.Wait()
			assert.Error(t, m.context(1).Err())
		})
	})
	t.Run("load that was to be finished", func(t *testing.T) {
		bubble(t, cache.Config{FinishLoads: true}, func(t *testing.T, c *intCache, m *model) {
			ctx, cancel := context.WithCancel(t.Context())
			out := async(ctx, c.Do, 1)
			cancel()
			<-out
			assert.NoError(t, m.context(0).Err())
			c.Delete(1)
			synctest.Wait()
			assert.Error(t, m.context(0).Err())
		})
	})
}

// That the cache is closed is one more reason why a load fails.
func TestStaleIfErrorAfterClose(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleIfError: time.Minute}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		want(t, c, 2, 2001)
		time.Sleep(2 * time.Second)
		_, ok := c.Get(2)
		assert.False(t, ok)
		waits := async(t.Context(), c.Do, 1)
		require.NoError(t, c.Close())
		o := <-waits
		require.NoError(t, o.err)
		assert.Equal(t, 1001, o.value)
		want(t, c, 2, 2001)
		value, ok := c.Get(2)
		assert.True(t, ok)
		assert.Equal(t, 2001, value)
		s := c.Stats()
		assert.Equal(t, [2]uint64{1, 1}, [2]uint64{s.Rescued, s.Stale})
		time.Sleep(time.Minute)
		_, err := c.Do(t.Context(), 2)
		assert.Equal(t, cache.ErrClosed, err)
		_, ok = c.Get(2)
		assert.False(t, ok)
	})
}

// A caller whose callback ends it waits for nothing any more.
func TestCallbackThatDoesNotReturn(t *testing.T) {
	ends := map[string]func(){"panic": func() { panic("no answer") }, "Goexit": runtime.Goexit}
	for name, end := range ends {
		t.Run("WithEqual/"+name, func(t *testing.T) {
			asked := 0
			equal := func(a, b int) bool {
				if asked++; asked > 1 {
					end()
				}
				return a == b
			}
			bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
				ctx, cancel := context.WithCancel(t.Context())
				first := async(ctx, c.Do, 1)
				go func() {
					defer func() { _ = recover() }()
					_, _ = c.Do(context.Background(), 1)
				}()
				synctest.Wait()
				assert.NoError(t, m.context(0).Err())
				cancel()
				<-first
				synctest.Wait()
				assert.Error(t, m.context(0).Err(), "it goes on for one who has gone")
			}, cache.WithEqual(equal))
		})
		for kind, run := range map[string]func(*testing.T, cache.Config, func(*testing.T, *intCache, *model), ...cache.Option){
			"load": bubble, "bulk": bulkBubble,
		} {
			t.Run("WithNamespace/"+kind+"/"+name, func(t *testing.T) {
				namespace := func(key int) cache.Namespace {
					if key == 2 {
						end()
					}
					return cache.Namespace{}
				}
				run(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
					go func() {
						defer func() { _ = recover() }()
						_, _ = c.GetAll(context.Background(), []int{1, 2})
					}()
					synctest.Wait()
					assert.Zero(t, c.Stats().Loading, "it goes on for one who has gone")
					want(t, c, 3, 3001)
				}, cache.WithNamespace(namespace))
			})
		}
	}
}

// However a callback ends the goroutine of a load, those who wait are told.
func TestGoexitInACallback(t *testing.T) {
	for kind, run := range map[string]func(*testing.T, cache.Config, func(*testing.T, *intCache, *model), ...cache.Option){
		"load": bubble, "bulk": bulkBubble,
	} {
		for name, opt := range map[string]cache.Option{
			"WithTTL":       cache.WithTTL(func(int, int) time.Duration { runtime.Goexit(); return 0 }),
			"WithWeight":    cache.WithWeight(func(int, int) int { runtime.Goexit(); return 0 }),
			"WithAdmission": cache.WithAdmission(func(int, int, cache.Cost) bool { runtime.Goexit(); return true }),
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				cfg := cache.Config{}
				if name == "WithWeight" {
					cfg.MaxWeight = 100
				}
				run(t, cfg, func(t *testing.T, c *intCache, m *model) {
					for range 2 {
						_, err := c.Do(t.Context(), 1)
						assert.ErrorIs(t, err, cache.ErrGoexit)
					}
				}, opt)
			})
		}
	}
}
