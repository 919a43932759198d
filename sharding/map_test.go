package sharding_test

import (
	"maps"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func newMap[K comparable, V any](t testing.TB, shards int) *sharding.Map[K, V] {
	t.Helper()
	m, err := sharding.NewMap[K, V](sharding.MapConfig{Shards: shards})
	require.NoError(t, err)
	return m
}

func TestMap(t *testing.T) {
	for _, shards := range []int{0, 1, 2, 3, 100} {
		m := newMap[string, int](t, shards)
		_, ok := m.Load("a")
		assert.False(t, ok)
		m.Store("a", 1)
		v, loaded := m.LoadOrStore("a", 2)
		assert.True(t, loaded)
		assert.Equal(t, 1, v)
		v, loaded = m.LoadOrStore("b", 2)
		assert.False(t, loaded)
		assert.Equal(t, 2, v)
		assert.Equal(t, map[string]int{"a": 1, "b": 2}, maps.Collect(m.Range))
		assert.Equal(t, 2, m.Len())
		v, loaded = m.LoadAndDelete("a")
		assert.True(t, loaded)
		assert.Equal(t, 1, v)
		m.Delete("a")
		_, loaded = m.LoadAndDelete("a")
		assert.False(t, loaded)
		m.Clear()
		assert.Zero(t, m.Len())
	}
}

func TestBadMap(t *testing.T) {
	for _, shards := range []int{-1, 1<<16 + 1, math.MaxInt} {
		_, err := sharding.NewMap[int, int](sharding.MapConfig{Shards: shards})
		require.ErrorIs(t, err, sharding.ErrSize)
	}
}

func TestMapCompute(t *testing.T) {
	m := newMap[string, int](t, 1)
	add := func(old int, _ bool) (int, bool) { return old + 1, true }
	for want := 1; want <= 3; want++ {
		v, ok := m.Compute("a", add)
		assert.True(t, ok)
		assert.Equal(t, want, v)
	}
	v, ok := m.Compute("a", func(old int, loaded bool) (int, bool) {
		assert.True(t, loaded)
		return old, false
	})
	assert.False(t, ok)
	assert.Zero(t, v)
	_, ok = m.Compute("a", func(_ int, loaded bool) (int, bool) {
		assert.False(t, loaded)
		return 0, false
	})
	assert.False(t, ok)
	assert.Zero(t, m.Len())
}

// What changes the key while f runs is not lost, not even if it is f itself.
func TestMapComputeStartsAgain(t *testing.T) {
	for name, change := range map[string]func(m *sharding.Map[string, int]){
		"stored":           func(m *sharding.Map[string, int]) { m.Store("a", 10) },
		"stored the same":  func(m *sharding.Map[string, int]) { m.Store("a", 1) },
		"deleted":          func(m *sharding.Map[string, int]) { m.Delete("a") },
		"deleted and back": func(m *sharding.Map[string, int]) { m.Delete("a"); m.Store("a", 1) },
		"cleared":          func(m *sharding.Map[string, int]) { m.Clear() },
	} {
		m := newMap[string, int](t, 1)
		m.Store("a", 1)
		calls := 0
		v, _ := m.Compute("a", func(old int, _ bool) (int, bool) {
			if calls++; calls == 1 {
				change(m)
			}
			return old + 1, true
		})
		assert.Equal(t, 2, calls, name)
		now, _ := m.Load("a")
		assert.Equal(t, v, now, name)
	}
}

func TestMapComputePanics(t *testing.T) {
	m := newMap[string, int](t, 1)
	m.Store("a", 1)
	assert.PanicsWithValue(t, "oh", func() { m.Compute("a", func(int, bool) (int, bool) { panic("oh") }) })
	v, _ := m.Load("a")
	assert.Equal(t, 1, v)
	m.Store("a", 2) // the lock is free
}

func TestMapRangeMayChangeTheMap(t *testing.T) {
	m := newMap[int, int](t, 4)
	for i := range 100 {
		m.Store(i, i)
	}
	seen := 0
	for key := range m.Range {
		m.Delete(key)
		seen++
	}
	assert.Equal(t, 100, seen)
	assert.Zero(t, m.Len())
	m.Store(1, 1)
	m.Store(2, 2)
	for range m.Range {
		break
	}
}

// No increment is lost among many goroutines.
func TestMapStress(t *testing.T) {
	m := newMap[int, int](t, 2)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 2000 {
				m.Compute(i%5, func(old int, _ bool) (int, bool) { runtime.Gosched(); return old + 1, true })
				m.Store(100+i%7, i)
				m.Delete(100 + i%3)
				for range m.Range {
					break
				}
			}
		})
	}
	callers.Wait()
	for key := range 5 {
		v, _ := m.Load(key)
		assert.Equal(t, 8*400, v)
	}
}
