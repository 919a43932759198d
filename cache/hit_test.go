package cache_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestHitsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	for name, cfg := range map[string]cache.Config{
		"for ever": {},
		"with TTL": {TTL: time.Hour, Jitter: 0.1, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cache.New(double, cfg)
			require.NoError(t, err)
			defer c.Close()
			keyed, err := cache.NewKeyed(cache.HashFloats[float32], func(context.Context, []float32) (string, error) { return "a digit", nil }, cfg)
			require.NoError(t, err)
			defer keyed.Close()
			image := make([]float32, 784)
			assert.Zero(t, testing.AllocsPerRun(1000, func() {
				_, _ = c.Do(ctx, 1)
				_, _ = c.Get(1)
				_, _ = keyed.Do(ctx, image)
			}))
		})
	}
}

func TestOldValuesAndErrorsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	cfg := cache.Config{NegativeTTL: time.Hour, StaleWhileRevalidate: time.Hour, MaxRefreshes: 1}
	release := make(chan struct{})
	c, err := cache.New(func(_ context.Context, key int) (int, error) {
		switch key {
		case 0:
			<-release
		case 2:
			return 0, errAbsent
		}
		return key, nil
	}, cfg, cache.WithNegative(func(error) bool { return true }), cache.WithTTL(func(int, int) time.Duration { return 1 }))
	require.NoError(t, err)
	ctx := context.Background()
	for key := range 3 {
		require.NoError(t, c.Set(key, key))
	}
	c.Delete(2)
	_, _ = c.Do(ctx, 0) // its refresh keeps the others from theirs
	_, _ = c.Do(ctx, 2)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = c.Do(ctx, 0)
		_, _ = c.Do(ctx, 1)
		_, _ = c.Do(ctx, 2)
	}))
	s := c.Stats()
	assert.Equal(t, [2]uint64{2003, 1001}, [2]uint64{s.Stale, s.Negative})
	close(release)
	require.NoError(t, c.Close())
}

// The counters of hits are exact, also where what is packed is moved to the sums, and while they are read.
func TestHitsAreCounted(t *testing.T) {
	const readers, each = 2, 200_000
	c, err := cache.New(func(context.Context, int) (int, error) { time.Sleep(0); return 1, nil }, cache.Config{})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Do(t.Context(), 1)
	require.NoError(t, err)
	took := c.Stats().LoadTime.Truncate(time.Microsecond)
	ctx := context.Background()
	const alone = 1_200_000 // more than can be packed
	for range alone {
		_, _ = c.Do(ctx, 1)
	}
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for range each {
				_, _ = c.Do(ctx, 1)
			}
		})
	}
	var last cache.Stats
	for last.Hits < alone+readers*each {
		s := c.Stats()
		if s.Hits < last.Hits || s.Saved < last.Saved {
			t.Errorf("counters went back: %+v, %+v", last, s)
			break
		}
		last = s
	}
	wg.Wait()
	s := c.Stats()
	assert.Equal(t, uint64(alone+readers*each), s.Hits)
	assert.Equal(t, took*(alone+readers*each), s.Saved)
	assert.InDelta(t, 1, s.HitRate(), 1e-3)
	assert.Zero(t, cache.Stats{}.HitRate())
	assert.Zero(t, cache.Stats{}.MeanCallTime())
}

// The sum of what hits have saved is moved before it overflows its part of a word, if loads took so long that few hits are enough for that.
func TestLongLoadsAreCounted(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.takes = time.Hour
		want(t, c, 1, 1001)
		for range 10_000 {
			want(t, c, 1, 1001)
		}
		assert.Equal(t, 10_000*time.Hour, c.Stats().Saved)
	})
}

// The cache hits as often as its eviction can: a scan does not wash out what is asked for often.
func TestScanResistance(t *testing.T) {
	c, err := cache.New(double, cache.Config{Size: 100})
	require.NoError(t, err)
	defer c.Close()
	random := rand.New(rand.NewPCG(1, 2))
	hot := 0
	for i := range 10_000 {
		before := c.Stats().Misses
		_, err := c.Do(t.Context(), random.IntN(50))
		require.NoError(t, err)
		if c.Stats().Misses == before {
			hot++
		}
		_, err = c.Do(t.Context(), 1000+i) // never again
		require.NoError(t, err)
	}
	assert.Greater(t, hot, 9_000)
}

// A miss costs the flight and, in the store, a node and a task; if it is loaded on a goroutine of its own, that and a channel; and two objects if the load function
// looks at its context.
func TestMissesAllocateLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	looks := func(ctx context.Context, key int) (int, error) { return key, ctx.Err() }
	ending, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, test := range []struct {
		name   string
		load   cache.Func[int, int]
		inline bool
		ctx    context.Context
		most   float64
	}{
		{"goroutine", double, false, context.Background(), 5},
		{"goroutine, looks at its context", looks, false, context.Background(), 7},
		{"caller that may leave", double, false, ending, 5},
		{"inline", double, true, context.Background(), 3},
		{"inline, looks at its context", looks, true, context.Background(), 5},
		{"inline, caller that may leave", double, true, ending, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := cache.New(test.load, cache.Config{Size: 100, LoadInline: test.inline})
			require.NoError(t, err)
			defer c.Close()
			key := 0
			assert.LessOrEqual(t, testing.AllocsPerRun(5000, func() {
				key++
				_, _ = c.Do(test.ctx, key)
			}), test.most)
		})
	}
}

// Who writes makes the room for it, and starts no goroutine that would come to it later.
func TestWritesEvict(t *testing.T) {
	c, err := cache.New(double, cache.Config{Size: 100})
	require.NoError(t, err)
	defer c.Close()
	most := 0
	for key := range 5000 {
		require.NoError(t, c.Set(key, key))
		most = max(most, cache.Unsettled(c))
	}
	assert.LessOrEqual(t, most, 101)
}
