package cache_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// The write that a load must not undo: otter#203, #240.
func TestSetWinsOverALoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		out := async(t.Context(), c.Do, 1)
		require.NoError(t, c.Set(1, 5))
		assert.Equal(t, 5, (<-out).value, "who waits gets what was set")
		synctest.Wait()
		assert.Error(t, m.context(0).Err(), "the load is needless")
		want(t, c, 1, 5)
		time.Sleep(time.Second) // the load is over
		want(t, c, 1, 5)
		assert.Equal(t, 1, m.count(1))
	})
}

func TestDeleteWinsOverALoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		first := async(t.Context(), c.Do, 1)
		time.Sleep(5 * ms)
		c.Delete(1)
		second := async(t.Context(), c.Do, 1)
		pending(t, first, second)
		assert.Equal(t, 1001, (<-first).value, "it came before the Delete")
		pending(t, second)
		_, ok := c.Get(1)
		assert.False(t, ok, "what was loaded before the Delete is in the cache")
		assert.Equal(t, 1002, (<-second).value)
		want(t, c, 1, 1002)
	})
}

// A refresh that overwrites a newer Set.
func TestSetWinsOverARefresh(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		want(t, c, 1, 1001)
		time.Sleep(1500 * ms)
		want(t, c, 1, 1001) // starts the refresh
		time.Sleep(5 * ms)
		require.NoError(t, c.Set(1, 5))
		want(t, c, 1, 5)
		time.Sleep(500 * ms)
		assert.Equal(t, 2, m.count(1))
		want(t, c, 1, 5)
	})
}

func TestDeleteWinsOverARefresh(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		time.Sleep(1500 * ms)
		m.set(func(m *model) { m.deaf = true })
		want(t, c, 1, 1001)
		synctest.Wait() // the refresh is under way, and does not hear that it is cancelled
		c.Delete(1)
		time.Sleep(100 * ms)
		_, ok := c.Get(1)
		assert.False(t, ok)
		want(t, c, 1, 1003)
	})
}

func TestSetAndDelete(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		require.NoError(t, c.Set(1, 5))
		require.NoError(t, c.Set(1, 6))
		want(t, c, 1, 6)
		c.Delete(1)
		c.Delete(1)
		want(t, c, 1, 1001)
	})
}

func TestSizeIsBounded(t *testing.T) {
	bubble(t, cache.Config{Size: 10}, func(t *testing.T, c *intCache, m *model) {
		for key := range 1000 {
			require.NoError(t, c.Set(key, key))
		}
		synctest.Wait()
		assert.LessOrEqual(t, c.Stats().Entries, 10)
	})
}

func TestWeightIsBounded(t *testing.T) {
	bubble(t, cache.Config{MaxWeight: 100}, func(t *testing.T, c *intCache, m *model) {
		for key := range 1000 {
			require.NoError(t, c.Set(key, 1+key%20))
		}
		synctest.Wait()
		s := c.Stats()
		assert.LessOrEqual(t, s.Weight, int64(100))
		assert.Positive(t, s.Entries)
		before := s.Unstored
		for _, weight := range []int{101, -1, math.MaxInt} {
			require.NoError(t, c.Set(7, 3))
			require.NoError(t, c.Set(7, weight))
			_, ok := c.Get(7)
			assert.False(t, ok, "neither what does not fit nor what it replaces")
		}
		assert.Equal(t, before+3, c.Stats().Unstored)
		for key := range 1000 { // what weighs nothing is bounded too
			require.NoError(t, c.Set(key, 0))
		}
		synctest.Wait()
		assert.LessOrEqual(t, c.Stats().Entries, 100)
	}, cache.WithWeight(func(_, value int) int { return value }))
}

func TestAdmission(t *testing.T) {
	costs := map[int]cache.Cost{}
	admit := func(key, value int, cost cache.Cost) bool {
		costs[key] = cost
		return cost.PerWeight() >= float64(2*ms)
	}
	bubble(t, cache.Config{MaxWeight: 100}, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 3, 3001)
		want(t, c, 3, 3001)
		want(t, c, 7, 7001) // 10 ms for a weight of 7
		want(t, c, 7, 7002)
		assert.Equal(t, map[int]cache.Cost{3: {Time: 10 * ms, Weight: 3}, 7: {Time: 10 * ms, Weight: 7}}, costs)
		require.NoError(t, c.Set(7, 5))
		want(t, c, 7, 5) // a Set is always let in
		assert.Equal(t, uint64(2), c.Stats().Unstored)
	}, cache.WithWeight(func(key, _ int) int { return key }), cache.WithAdmission(admit))
	assert.InDelta(t, 5, cache.Cost{Time: 5}.PerWeight(), 0)
}

func TestBadKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		numbers, err := cache.New(func(_ context.Context, key float64) (float64, error) { calls++; return key, nil }, cache.Config{})
		require.NoError(t, err)
		anything, err := cache.New(func(_ context.Context, key any) (int, error) { calls++; return 1, nil }, cache.Config{})
		require.NoError(t, err)
		type pair struct {
			_ int
			b [1]any
		}
		pairs, err := cache.New(func(_ context.Context, key pair) (int, error) { calls++; return 1, nil }, cache.Config{})
		require.NoError(t, err)

		_, err = numbers.Do(t.Context(), math.NaN())
		assert.ErrorIs(t, err, cache.ErrBadKey)
		for _, key := range []any{[]int{1}, map[int]int{}, math.NaN(), func() {}} {
			_, err = anything.Do(t.Context(), key)
			assert.ErrorIs(t, err, cache.ErrBadKey)
			assert.ErrorIs(t, anything.Set(key, 1), cache.ErrBadKey)
			anything.Delete(key)
			_, ok := anything.Get(key)
			assert.False(t, ok)
			_, err = pairs.Do(t.Context(), pair{b: [1]any{key}})
			assert.ErrorIs(t, err, cache.ErrBadKey)
			values, err := anything.GetAll(t.Context(), []any{"good", key})
			var each cache.ItemErrors
			require.ErrorAs(t, err, &each)
			assert.NoError(t, each[0])
			assert.ErrorIs(t, each[1], cache.ErrBadKey)
			assert.Equal(t, []int{1, 0}, values)
		}
		assert.Equal(t, 1, calls)
		for _, key := range []any{1, "one", nil, struct{}{}, 1.5} {
			_, err = anything.Do(t.Context(), key)
			assert.NoError(t, err)
		}
		synctest.Wait()
		assert.Zero(t, numbers.Stats().Loading+anything.Stats().Loading+pairs.Stats().Loading)
		require.NoError(t, errors.Join(numbers.Close(), anything.Close(), pairs.Close()))
	})
}
