package batching_test

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// keyedBatch is what a keyed run was given.
type keyedBatch struct {
	key  int
	reqs []int
}

// keyedModel takes requests whose key is their number of hundreds.
type keyedModel struct {
	mu      sync.Mutex
	batches []keyedBatch
	takes   time.Duration
}

func hundreds(req int) int { return req / 100 }

func (m *keyedModel) run(_ context.Context, key int, reqs []int) ([]int, error) {
	m.mu.Lock()
	m.batches = append(m.batches, keyedBatch{key, slices.Clone(reqs)})
	m.mu.Unlock()
	time.Sleep(m.takes)
	return reqs, nil
}

func keyedBubble(t *testing.T, cfg batching.Config, test func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel), opts ...batching.Option[int]) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &keyedModel{takes: ms}
		b, err := batching.NewKeyed(hundreds, m.run, cfg, opts...)
		require.NoError(t, err)
		test(t, b, m)
		require.NoError(t, b.Close())
		checkBooks(t, b.Stats())
	})
}

func TestKeyedNeverMixes(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 4}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		reqs := []int{101, 201, 102, 301, 202, 103, 104, 105}
		resps, err := b.DoAll(t.Context(), reqs)
		require.NoError(t, err)
		require.Equal(t, reqs, resps)
		require.ElementsMatch(t, []keyedBatch{{1, []int{101, 102, 103, 104}}, {2, []int{201, 202}}, {3, []int{301}}, {1, []int{105}}}, m.batches)
	})
}

func TestKeyedWaitsPerKey(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 2, MaxWait: 10 * ms, Concurrency: 4}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		start := time.Now()
		one := async(t.Context(), b.Do, 101)
		time.Sleep(3 * ms)
		two := async(t.Context(), b.Do, 201)
		three := async(t.Context(), b.Do, 301)
		require.Equal(t, 3, b.Stats().Keys)
		async(t.Context(), b.Do, 302)
		require.Equal(t, 4*ms, (<-three).at.Sub(start), "full")
		require.Equal(t, 11*ms, (<-one).at.Sub(start))
		require.Equal(t, 14*ms, (<-two).at.Sub(start))
	})
}

// A key with a long queue must not keep the others waiting.
func TestKeyedIsFair(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 4, MaxQueue: 500}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		greedy := make([]int, 0, 99)
		for i := range 99 {
			greedy = append(greedy, 100+i)
		}
		go func() { _, _ = b.DoAll(t.Context(), greedy) }()
		synctest.Wait()
		start := time.Now()
		modest := async(t.Context(), b.Do, 201)
		require.LessOrEqual(t, (<-modest).at.Sub(start), 3*ms)
		time.Sleep(time.Second)
	})
}

// Deficit round robin: keys that send heavy requests and keys that send light ones get the same weight served.
func TestKeyedFairByWeight(t *testing.T) {
	weight := func(req int) int {
		if req/100 == 1 {
			return 10
		}
		return 1
	}
	cfg := batching.Config{MaxSize: 4, MaxWeight: 40, MaxQueue: 500}
	keyedBubble(t, cfg, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		reqs := []int{900}
		for i := range 80 {
			reqs = append(reqs, 100+i, 200+i)
		}
		_, err := b.DoAll(t.Context(), reqs)
		require.NoError(t, err)
		served := map[int]int{}
		for _, batch := range m.batches[:20] {
			for _, req := range batch.reqs {
				served[batch.key] += weight(req)
			}
		}
		require.InDelta(t, served[1], served[2], 40, "%v", served)
	}, batching.WithWeight(weight))
}

func TestKeyedOrderInsideAKey(t *testing.T) {
	keyedBubble(t, batching.Config{MaxSize: 3}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		var reqs []int
		for i := range 90 {
			reqs = append(reqs, 100*(1+i%3)+i)
		}
		_, err := b.DoAll(t.Context(), reqs)
		require.NoError(t, err)
		last := map[int]int{}
		for _, batch := range m.batches {
			for _, req := range batch.reqs {
				require.Greater(t, req, last[batch.key])
				last[batch.key] = req
			}
		}
	})
}

func TestKeyedSplit(t *testing.T) {
	// 150 is key 1 with weight 50.
	weight := func(req int) int { return req % 100 }
	split := func(req, most int) []int { return []int{req - most, most} } // the second part has no key of its own
	join := func(resps []int) (int, error) { return resps[0] + resps[1], nil }
	keyedBubble(t, batching.Config{MaxWeight: 30}, func(t *testing.T, b *batching.Keyed[int, int, int], m *keyedModel) {
		resps, err := b.DoAll(t.Context(), []int{110, 150})
		require.NoError(t, err)
		require.Equal(t, []int{110, 150}, resps)
		for _, batch := range m.batches {
			require.Equal(t, 1, batch.key, "the parts keep the key of the whole")
		}
	}, batching.WithWeight(weight), batching.WithSplit(split, join))
}

func TestKeyedBadKeys(t *testing.T) {
	nan, err := batching.NewKeyed(func(req float64) float64 { return req },
		func(_ context.Context, _ float64, reqs []float64) ([]float64, error) { return reqs, nil }, batching.Config{})
	require.NoError(t, err)
	defer nan.Close()
	_, err = nan.Do(t.Context(), math.NaN())
	require.ErrorIs(t, err, batching.ErrBadRequest)
	_, err = nan.DoAll(t.Context(), []float64{1, math.NaN()})
	require.ErrorIs(t, err, batching.ErrBadRequest)
	_, err = nan.Do(t.Context(), 1)
	require.NoError(t, err)

	dynamic, err := batching.NewKeyed(func(req any) any { return req },
		func(_ context.Context, _ any, reqs []any) ([]any, error) { return reqs, nil }, batching.Config{})
	require.NoError(t, err)
	defer dynamic.Close()
	_, err = dynamic.Do(t.Context(), []int{1})
	require.ErrorIs(t, err, batching.ErrBadRequest)
	_, err = dynamic.Do(t.Context(), "fine")
	require.NoError(t, err)
	require.Zero(t, dynamic.Stats().Keys)
}

func TestKeyedKeyReachesTheHook(t *testing.T) {
	var keys []any
	cfg := batching.Config{OnBatch: func(e batching.BatchEvent) { keys = append(keys, e.Key) }}
	keyedBubble(t, cfg, func(t *testing.T, b *batching.Keyed[int, int, int], _ *keyedModel) {
		_, err := b.Do(t.Context(), 700)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []any{7}, keys)
	})
}

// heap is the live heap after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMillionKeysLeakNothing(t *testing.T) {
	b, err := batching.NewKeyed(func(req int) int { return req },
		func(_ context.Context, _ int, reqs []int) ([]int, error) { return reqs, nil },
		batching.Config{MaxQueue: 1 << 20, MaxSize: 1, Concurrency: 2})
	require.NoError(t, err)
	defer b.Close()
	before := heap()
	keys := 1_000_000
	if raceEnabled {
		keys = 200_000
	}
	for start := 0; start < keys; start += 100_000 { // many at the same time too, which grows the map
		reqs := make([]int, 100_000)
		for i := range reqs {
			reqs[i] = start + i
		}
		_, err := b.DoAll(t.Context(), reqs)
		require.NoError(t, err)
	}
	require.Zero(t, b.Stats().Keys)
	require.Less(t, heap(), before+1<<20, "less than a megabyte more")
}
