package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestShutdownWaitsForLoads(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 2, 2001)
		out := async(t.Context(), c.Do, 1)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*ms, errGaveUp)
		defer cancel()
		assert.Equal(t, errGaveUp, c.Shutdown(ctx))
		_, err := c.Do(t.Context(), 3)
		assert.Equal(t, cache.ErrClosed, err)
		pending(t, out)
		require.NoError(t, c.Shutdown(t.Context()))
		assert.Equal(t, 1001, (<-out).value)
		require.NoError(t, c.Shutdown(t.Context()))
		want(t, c, 1, 1001) // what is there is served
		want(t, c, 2, 2001)
		require.NoError(t, c.Set(3, 5))
		want(t, c, 3, 5)
	})
}

func TestCloseCancelsLoads(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		out := async(t.Context(), c.Do, 1)
		deleted := async(t.Context(), c.Do, 2)
		c.Delete(2) // its load is nobody's to join any more
		began := time.Now()
		require.NoError(t, c.Close())
		assert.Zero(t, time.Since(began))
		assert.Equal(t, cache.ErrClosed, (<-out).err)
		assert.Equal(t, cache.ErrClosed, (<-deleted).err)
		assert.Equal(t, cache.ErrClosed, context.Cause(m.context(0)))
		require.NoError(t, c.Close())
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, cache.ErrClosed, err)
	})
}

// Close waits for the load function, and the callers do not.
func TestCloseWaitsForADeafLoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		out := async(t.Context(), c.Do, 1)
		began := time.Now()
		closed := make(chan time.Time, 2)
		for range 2 {
			go func() {
				assert.NoError(t, c.Close())
				closed <- time.Now()
			}()
		}
		o := <-out
		assert.Equal(t, cache.ErrClosed, o.err)
		assert.Equal(t, began, o.at)
		assert.Equal(t, 10*ms, (<-closed).Sub(began))
		assert.Equal(t, 10*ms, (<-closed).Sub(began))
		_, ok := c.Get(1)
		assert.False(t, ok)
	})
}

func TestCloseEndsRefreshes(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		want(t, c, 2, 2001)
		time.Sleep(2 * time.Second)
		want(t, c, 1, 1001)
		require.NoError(t, c.Close())
		assert.Zero(t, c.Stats().Refreshing)
		want(t, c, 2, 2001) // stale, and not refreshed
		assert.Zero(t, c.Stats().Refreshing)
		assert.Equal(t, 1, m.count(2))
	})
}

func TestCloseWaitsForTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooked := false
		c, err := cache.New(newModel(ms).load, cache.Config{OnLoad: func(cache.LoadEvent) {
			time.Sleep(time.Second)
			hooked = true
		}})
		require.NoError(t, err)
		want(t, c, 1, 1001)
		require.NoError(t, c.Close())
		assert.True(t, hooked)
	})
}

func TestInvalidateAfterClose(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		require.NoError(t, c.Close())
		c.InvalidateAll()
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, cache.ErrClosed, err)
	})
}
