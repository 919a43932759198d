package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestTTL(t *testing.T) {
	bubble(t, cache.Config{TTL: time.Second}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(time.Second - 1)
		want(t, c, 1, 1001)
		time.Sleep(time.Nanosecond)
		_, ok := c.Get(1)
		assert.False(t, ok)
		want(t, c, 1, 1002)
	})
}

func TestWithoutTTLNothingExpires(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(100 * 365 * 24 * time.Hour)
		want(t, c, 1, 1001)
	})
}

// What expires leaves room, without a goroutine that looks for it.
func TestExpiredEntriesAreCollected(t *testing.T) {
	bubble(t, cache.Config{TTL: time.Second, StaleIfError: time.Minute, Size: 1000}, func(t *testing.T, c *intCache, m *model) {
		for key := range 500 {
			require.NoError(t, c.Set(key, key))
		}
		assert.Equal(t, 500, c.Stats().Entries)
		time.Sleep(2 * time.Minute)
		require.NoError(t, c.Set(1000, 1))
		synctest.Wait()
		assert.Equal(t, 1, c.Stats().Entries)
	})
}

func TestTTLOfEachEntry(t *testing.T) {
	ttl := func(key, value int) time.Duration { return time.Duration(key-2) * time.Second }
	bubble(t, cache.Config{TTL: time.Hour}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001) // -1 s: not stored
		want(t, c, 1, 1002)
		want(t, c, 2, 2001) // 0
		want(t, c, 2, 2002)
		want(t, c, 4, 4001)
		time.Sleep(2*time.Second - 1)
		want(t, c, 4, 4001)
		time.Sleep(time.Nanosecond)
		want(t, c, 4, 4002)
		require.NoError(t, c.Set(2, 1))
		_, ok := c.Get(2)
		assert.False(t, ok)
		assert.Equal(t, uint64(5), c.Stats().Unstored)
	}, cache.WithTTL(ttl))
}

func TestJitterShortensLifetimes(t *testing.T) {
	bubble(t, cache.Config{TTL: 100 * time.Second, Jitter: 0.2, Size: 10_000}, func(t *testing.T, c *intCache, m *model) {
		const n = 2000
		for key := range n {
			require.NoError(t, c.Set(key, key))
		}
		alive := func() (alive int) {
			for key := range n {
				if _, ok := c.Get(key); ok {
					alive++
				}
			}
			return alive
		}
		time.Sleep(80*time.Second - 1)
		assert.Equal(t, n, alive(), "none is shortened by more")
		time.Sleep(10 * time.Second)
		assert.InDelta(t, n/2, alive(), n/10)
		time.Sleep(10*time.Second + 1)
		assert.Zero(t, alive(), "none is made longer")
	})
}

func TestNegativeEntries(t *testing.T) {
	cfg := cache.Config{TTL: time.Minute, NegativeTTL: time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		m.fail[1], m.fail[2] = errAbsent, errModel
		for range 3 {
			_, err := c.Do(t.Context(), 1)
			assert.Equal(t, errAbsent, err, "untouched")
			_, err = c.Do(t.Context(), 2)
			assert.Equal(t, errModel, err)
		}
		assert.Equal(t, 1, m.count(1))
		assert.Equal(t, 3, m.count(2), "not an answer")
		_, ok := c.Get(1)
		assert.False(t, ok)
		s := c.Stats()
		assert.Equal(t, [3]uint64{2, 3, 4}, [3]uint64{s.Negative, s.LoadsFailed, s.Misses})
		time.Sleep(time.Second)
		delete(m.fail, 1)
		want(t, c, 1, 1002)
		time.Sleep(30 * time.Second)
		want(t, c, 1, 1002)
		m.fail[3] = errAbsent
		_, err := c.Do(t.Context(), 3)
		assert.Equal(t, errAbsent, err)
		require.NoError(t, c.Set(3, 5)) // now it exists
		want(t, c, 3, 5)
	}, cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }))
}

func TestNegativeEntriesWithoutATTL(t *testing.T) {
	bubble(t, cache.Config{NegativeTTL: time.Second, Jitter: 1}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.fail[2] = errAbsent
		_, err := c.Do(t.Context(), 2)
		assert.Equal(t, errAbsent, err)
		time.Sleep(time.Hour)
		_, err = c.Do(t.Context(), 2)
		assert.Equal(t, errAbsent, err)
		assert.Equal(t, 2, m.count(2))
		want(t, c, 1, 1001)
	}, cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }))
}

func TestStaleWhileRevalidate(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(1500 * ms)
		for range 20 { // at once, and one refresh for all
			began := time.Now()
			want(t, c, 1, 1001)
			assert.Zero(t, time.Since(began))
		}
		assert.Equal(t, 1, c.Stats().Refreshing)
		time.Sleep(11 * ms)
		want(t, c, 1, 1002)
		s := c.Stats()
		assert.Equal(t, [4]uint64{1, 20, 1, 1}, [4]uint64{s.Hits, s.Stale, s.Refreshes, s.Misses})
		assert.Equal(t, 2, m.count(1))
		time.Sleep(2 * time.Second) // past both: nothing to serve
		began := time.Now()
		want(t, c, 1, 1003)
		assert.Equal(t, 10*ms, time.Since(began))
	})
}

func TestRefreshAhead(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, RefreshAhead: 200 * ms}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(700 * ms)
		want(t, c, 1, 1001)
		assert.Zero(t, c.Stats().Refreshes)
		time.Sleep(200 * ms)
		want(t, c, 1, 1001)
		time.Sleep(500 * ms)
		want(t, c, 1, 1002)
		s := c.Stats()
		assert.Equal(t, [4]uint64{3, 0, 1, 1}, [4]uint64{s.Hits, s.Stale, s.Refreshes, s.Misses})
	})
}

// What lives shorter than the time for refreshing ahead is not refreshed all the time.
func TestRefreshAheadOfAShortLife(t *testing.T) {
	cfg := cache.Config{RefreshAhead: time.Minute}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		for range 9 {
			time.Sleep(100 * ms)
			want(t, c, 1, 1001)
		}
		time.Sleep(100 * ms)
		want(t, c, 1, 1002)
	}, cache.WithTTL(func(int, int) time.Duration { return time.Second }))
}

func TestRefreshesAreBounded(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Minute, MaxRefreshes: 3}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		for key := range 10 {
			require.NoError(t, c.Set(key, key))
		}
		time.Sleep(2 * time.Second)
		for key := range 10 {
			want(t, c, key, key)
		}
		assert.Equal(t, 3, c.Stats().Refreshing)
		time.Sleep(11 * ms)
		assert.Zero(t, c.Stats().Refreshing)
		for key := range 10 {
			_, _ = c.Do(t.Context(), key)
		}
		assert.Equal(t, 3, c.Stats().Refreshing)
		time.Sleep(11 * ms)
		assert.Equal(t, uint64(6), c.Stats().Refreshes)
		assert.Equal(t, 3, m.most)
	})
}

func TestRefreshHasATimeout(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour, RefreshTimeout: 5 * time.Second, RetryAfter: time.Minute}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.takes = time.Hour
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := c.Do(ctx, 1)
		require.NoError(t, err)
		cancel() // the request that started the refresh is over
		time.Sleep(5*time.Second - 1)
		assert.Equal(t, 1, c.Stats().Refreshing)
		time.Sleep(2 * time.Nanosecond)
		s := c.Stats()
		assert.Zero(t, s.Refreshing)
		assert.Equal(t, uint64(1), s.RefreshesFailed)
	})
}

func TestFailedRefreshIsRetriedLater(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour, RetryAfter: 10 * time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errModel })
		for range 25 { // one second each
			time.Sleep(time.Second)
			want(t, c, 1, 1001)
		}
		assert.Equal(t, 1+3, m.count(1))
		m.set(func(m *model) { m.err = nil })
		time.Sleep(10 * time.Second)
		want(t, c, 1, 1001)
		time.Sleep(time.Second / 2)
		want(t, c, 1, 1005)
		s := c.Stats()
		assert.Equal(t, [2]uint64{4, 3}, [2]uint64{s.Refreshes, s.RefreshesFailed})
	})
}

// A refresh may find that what was there is no more.
func TestRefreshBringsAnAnswer(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour, NegativeTTL: time.Minute}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errAbsent })
		time.Sleep(2 * time.Second)
		want(t, c, 1, 1001)
		time.Sleep(time.Second)
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errAbsent, err)
	}, cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }))
}

func TestStaleIfError(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleIfError: time.Minute, RetryAfter: 10 * time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errModel })
		time.Sleep(2 * time.Second)
		began := time.Now()
		a, b := async(t.Context(), c.Do, 1), async(t.Context(), c.Do, 1)
		assert.Equal(t, 1001, (<-a).value)
		assert.Equal(t, 1001, (<-b).value)
		assert.Equal(t, 10*ms, time.Since(began), "they have waited for the load")
		want(t, c, 1, 1001)
		assert.Equal(t, 10*ms, time.Since(began), "nobody waits for a model that has just failed")
		s := c.Stats()
		assert.Equal(t, [3]uint64{2, 1, 1}, [3]uint64{s.Rescued, s.Stale, s.LoadsFailed})
		time.Sleep(15 * time.Second)
		want(t, c, 1, 1001)
		assert.Equal(t, 3, m.count(1))
		time.Sleep(50 * time.Second) // the bound
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errModel, err)
		m.set(func(m *model) { m.err = nil })
		want(t, c, 1, 1005)
	})
}

// A newer value that is not to be stored still ends the older one.
func TestUnstoredValueEndsTheOldOne(t *testing.T) {
	ttl := time.Second
	bubble(t, cache.Config{StaleIfError: time.Hour}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(2 * time.Second)
		ttl = 0
		want(t, c, 1, 1002)
		m.set(func(m *model) { m.err = errModel })
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errModel, err)
	}, cache.WithTTL(func(int, int) time.Duration { return ttl }))
}

func TestStaleIfErrorDoesNotHideAnswers(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleIfError: time.Minute, NegativeTTL: time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.fail[1] = errAbsent
		time.Sleep(2 * time.Second)
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errAbsent, err)
	}, cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }))
}

func TestRetryDoesNotOutliveTheBounds(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleIfError: 5 * time.Second, RetryAfter: time.Hour}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errModel })
		time.Sleep(2 * time.Second)
		want(t, c, 1, 1001)
		time.Sleep(4 * time.Second)
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errModel, err)
	})
}

func TestStampede(t *testing.T) {
	for _, swr := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(10 * ms)
			c, err := cache.New(m.load, cache.Config{TTL: time.Second, StaleWhileRevalidate: swr})
			require.NoError(t, err)
			want(t, c, 1, 1001)
			time.Sleep(time.Second)
			began := time.Now()
			var outs []<-chan outcome
			for range 100 {
				outs = append(outs, async(t.Context(), c.Do, 1))
			}
			for _, out := range outs {
				waited := 10 * ms
				if swr > 0 {
					waited = 0
				}
				assert.Equal(t, waited, (<-out).at.Sub(began))
			}
			synctest.Wait()
			time.Sleep(time.Second / 2)
			assert.Equal(t, 2, m.count(1))
			finish(t, c)
		})
	}
}
