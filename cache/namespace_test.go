package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

type versioned struct {
	ns  cache.Namespace
	key int
}

func (v versioned) Namespace() cache.Namespace { return v.ns }

// rollout runs the test with a cache over two versions of a model, whose answers tell which they are from.
func rollout(t *testing.T, test func(t *testing.T, do func(version string, key int) string, c *cache.Cache[versioned, string], loads map[versioned]int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		loads := map[versioned]int{}
		c, err := cache.New(func(_ context.Context, key versioned) (string, error) {
			mu.Lock()
			loads[key]++
			n := loads[key]
			mu.Unlock()
			time.Sleep(10 * ms)
			return fmt.Sprintf("%v:%d:%d", key.ns, key.key, n), nil
		}, cache.Config{}, cache.WithNamespace(versioned.Namespace))
		require.NoError(t, err)
		test(t, func(version string, key int) string {
			value, err := c.Do(t.Context(), versioned{cache.Namespace{Model: "m", Version: version}, key})
			require.NoError(t, err)
			return value
		}, c, loads)
		require.NoError(t, c.Close())
	})
}

func TestInvalidateANamespace(t *testing.T) {
	rollout(t, func(t *testing.T, do func(string, int) string, c *cache.Cache[versioned, string], _ map[versioned]int) {
		for key := range 100 {
			do("1", key)
			do("2", key)
		}
		assert.Equal(t, "m@1:5:1", do("1", 5))
		assert.Equal(t, "m@2:5:1", do("2", 5), "side by side")
		require.NoError(t, c.Invalidate(cache.Namespace{Model: "m", Version: "1"}))
		assert.Equal(t, "m@2:5:1", do("2", 5))
		_, ok := c.Get(versioned{cache.Namespace{Model: "m", Version: "1"}, 6})
		assert.False(t, ok)
		assert.Equal(t, "m@1:5:2", do("1", 5))
		assert.Equal(t, "m@1:5:2", do("1", 5))
		synctest.Wait()
		assert.Equal(t, 101, c.Stats().Entries, "the dead are swept")
		require.NoError(t, c.Invalidate(cache.Namespace{Model: "other"}), "nothing is in it")
	})
}

// A load of the old model that ends after the invalidation.
func TestInvalidateDuringALoad(t *testing.T) {
	rollout(t, func(t *testing.T, do func(string, int) string, c *cache.Cache[versioned, string], loads map[versioned]int) {
		key := versioned{cache.Namespace{Model: "m", Version: "1"}, 5}
		answers := make(chan string, 2)
		go func() { answers <- do("1", 5) }()
		time.Sleep(5 * ms)
		require.NoError(t, c.Invalidate(key.ns))
		go func() { answers <- do("1", 5) }()
		assert.Equal(t, "m@1:5:1", <-answers, "it came before")
		_, ok := c.Get(key)
		assert.False(t, ok)
		assert.Equal(t, "m@1:5:2", <-answers)
		assert.Equal(t, "m@1:5:2", do("1", 5))
		assert.Equal(t, 2, loads[key])
	})
}

func TestInvalidateAll(t *testing.T) {
	bubble(t, cache.Config{TTL: time.Minute, StaleIfError: time.Hour}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		c.InvalidateAll()
		m.set(func(m *model) { m.err = errModel })
		_, err := c.Do(t.Context(), 1)
		assert.Equal(t, errModel, err, "what is invalid does not stand in either")
		m.set(func(m *model) { m.err = nil })
		want(t, c, 1, 1003)
		assert.Error(t, c.Invalidate(cache.Namespace{}))
	})
	rollout(t, func(t *testing.T, do func(string, int) string, c *cache.Cache[versioned, string], _ map[versioned]int) {
		do("1", 5)
		do("2", 5)
		c.InvalidateAll()
		assert.Equal(t, "m@1:5:2", do("1", 5))
		assert.Equal(t, "m@2:5:2", do("2", 5))
	})
}

// A load that fails when the namespace of the old value has been invalidated meanwhile.
func TestInvalidatedValueDoesNotRescue(t *testing.T) {
	bubble(t, cache.Config{TTL: time.Second, StaleIfError: time.Hour}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err = errModel })
		time.Sleep(2 * time.Second)
		out := async(t.Context(), c.Do, 1)
		c.InvalidateAll()
		assert.Equal(t, errModel, (<-out).err)
	})
}

func TestStaleValueOfADeadNamespace(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Hour}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(2 * time.Second)
		want(t, c, 1, 1001) // a refresh of the old begins
		synctest.Wait()
		c.InvalidateAll()
		want(t, c, 1, 1003)
		want(t, c, 1, 1003)
	})
}

// Namespaces that come and go do not pile up.
func TestNamespacesAreForgotten(t *testing.T) {
	c, err := cache.New(func(_ context.Context, key versioned) (int, error) { return key.key, nil },
		cache.Config{Size: 10}, cache.WithNamespace(versioned.Namespace))
	require.NoError(t, err)
	defer c.Close()
	for i := range 3000 {
		_, err := c.Do(t.Context(), versioned{cache.Namespace{Model: fmt.Sprint(i)}, i})
		require.NoError(t, err)
		if i%1000 == 0 {
			runtime.GC()
		}
	}
	runtime.GC()
	for i := range 100 { // prunes
		_, err := c.Do(t.Context(), versioned{cache.Namespace{Model: fmt.Sprint("last", i)}, i})
		require.NoError(t, err)
	}
	assert.Less(t, cache.NamespaceCount(c), 2000)
}
