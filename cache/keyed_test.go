package cache_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// sum is the answer to a tensor, and its length the key: a hash that collides easily.
func sum(calls *atomic.Int64) cache.Func[[]float32, float32] {
	return func(_ context.Context, tensor []float32) (total float32, err error) {
		calls.Add(1)
		time.Sleep(10 * ms)
		for _, v := range tensor {
			total += v
		}
		return total, nil
	}
}

func length(tensor []float32) int { return len(tensor) }

func TestKeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c, err := cache.NewKeyed(cache.HashFloats[float32], sum(&calls), cache.Config{})
		require.NoError(t, err)
		for range 2 {
			values, err := c.GetAll(t.Context(), [][]float32{{1, 2}, {3}, {1, 2}})
			require.NoError(t, err)
			assert.Equal(t, []float32{3, 3, 3}, values)
			value, err := c.Do(t.Context(), []float32{1, 2})
			require.NoError(t, err)
			assert.InDelta(t, 3, value, 0)
		}
		assert.Equal(t, int64(2), calls.Load())
		require.NoError(t, c.Set([]float32{3}, 7))
		value, ok := c.Get([]float32{3})
		assert.True(t, ok)
		assert.InDelta(t, 7, value, 0)
		c.Delete([]float32{3})
		_, ok = c.Get([]float32{3})
		assert.False(t, ok)
		c.DeleteKey(cache.HashFloats([]float32{1, 2}))
		_, ok = c.Get([]float32{1, 2})
		assert.False(t, ok)
		require.NoError(t, c.Set(nil, 1))
		c.InvalidateAll()
		_, ok = c.Get(nil)
		assert.False(t, ok)
		assert.Error(t, c.Invalidate(cache.Namespace{}))
		assert.NoError(t, c.Shutdown(t.Context()))
		assert.NoError(t, c.Close())
	})
}

func TestKeyedBulk(t *testing.T) {
	var sizes []int
	c, err := cache.NewKeyedBulk(cache.HashFloats[float32], func(_ context.Context, tensors [][]float32) ([]float32, error) {
		sizes = append(sizes, len(tensors))
		answers := make([]float32, len(tensors))
		for i, tensor := range tensors {
			answers[i] = tensor[0]
		}
		return answers, nil
	}, cache.Config{})
	require.NoError(t, err)
	values, err := c.GetAll(t.Context(), [][]float32{{1}, {2}, {1}})
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 2, 1}, values)
	assert.Equal(t, []int{2}, sizes)
	require.NoError(t, c.Close())
}

// Without a check, what has the same key has the same answer; with one it has not.
func TestCollisions(t *testing.T) {
	a, b := []float32{1, 2}, []float32{3, 4}
	for _, checked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			var opts []cache.Option
			if checked {
				opts = append(opts, cache.WithEqual(slices.Equal[[]float32]))
			}
			cfg := cache.Config{TTL: time.Second, StaleIfError: time.Hour}
			c, err := cache.NewKeyed(length, sum(&calls), cfg, opts...)
			require.NoError(t, err)
			answer := func(tensor []float32) float32 {
				value, err := c.Do(t.Context(), tensor)
				require.NoError(t, err)
				return value
			}
			assert.InDelta(t, 3, answer(a), 0)
			if !checked {
				assert.InDelta(t, 3, answer(b), 0, "the risk")
				require.NoError(t, c.Close())
				return
			}
			assert.InDelta(t, 7, answer(b), 0)
			assert.InDelta(t, 7, answer(b), 0)
			assert.InDelta(t, 3, answer(a), 0)
			assert.Equal(t, int64(3), calls.Load())
			_, ok := c.Get(b)
			assert.False(t, ok)
			assert.Equal(t, uint64(2), c.Stats().Collisions)

			// While one is loaded the other does not wait for it.
			c.Delete(a)
			answers := make(chan float32)
			go func() { answers <- answer(a) }()
			synctest.Wait()
			assert.InDelta(t, 7, answer(b), 0)
			assert.InDelta(t, 3, <-answers, 0)

			// Nor is it given what is set for the other.
			c.Delete(a)
			go func() { answers <- answer(a) }()
			synctest.Wait()
			require.NoError(t, c.Set(b, 70))
			assert.InDelta(t, 3, <-answers, 0)
			assert.InDelta(t, 70, answer(b), 0)

			// What has expired makes room for the other, and does not stand in for it.
			time.Sleep(2 * time.Second)
			assert.InDelta(t, 3, answer(a), 0)
			calls.Store(0)
			assert.InDelta(t, 3, answer(a), 0)
			assert.Zero(t, calls.Load())
			require.NoError(t, c.Close())
		})
	}
}

func TestCollisionWithAnExpiredValueWhileTheModelFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := false
		c, err := cache.NewKeyed(length, func(_ context.Context, tensor []float32) (float32, error) {
			if fails {
				return 0, errModel
			}
			return tensor[0], nil
		}, cache.Config{TTL: time.Second, StaleIfError: time.Hour}, cache.WithEqual(slices.Equal[[]float32]))
		require.NoError(t, err)
		_, err = c.Do(t.Context(), []float32{1})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		fails = true
		_, err = c.Do(t.Context(), []float32{2})
		assert.Equal(t, errModel, err)
		value, err := c.Do(t.Context(), []float32{1})
		require.NoError(t, err)
		assert.InDelta(t, 1, value, 0)
		require.NoError(t, c.Close())
	})
}

func TestCollisionChecksTheContext(t *testing.T) {
	c, err := cache.NewKeyed(length, func(_ context.Context, tensor []float32) (float32, error) { return tensor[0], nil },
		cache.Config{}, cache.WithEqual(slices.Equal[[]float32]))
	require.NoError(t, err)
	require.NoError(t, c.Set([]float32{1}, 1))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGaveUp)
	_, err = c.Do(ctx, []float32{2})
	assert.Equal(t, errGaveUp, err)
	require.NoError(t, c.Close())
	_, err = c.Do(t.Context(), []float32{2})
	assert.Equal(t, cache.ErrClosed, err)
}
