package cache_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/scalable-ai/patterns/cache"
)

const (
	benchChunk = 256 // reads between two looks at the clock
)

// zipfKeys are keys of which few are asked for often.
func zipfKeys(n int, space uint64) []int {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, space-1)
	keys := make([]int, n)
	for i := range keys {
		keys[i] = int(zipf.Uint64())
	}
	return keys
}

// way is one of the things that are compared.
type way struct {
	name string
	read func(key int) bool
}

// compare runs all ways by turns, a chunk of reads each, from as many goroutines as there are processors, and reports the median time of each as a
// ratio to that of the first. Turns that short put whatever else the machine does on all of them.
// None may share what it reads with another, or the second finds it in the processor's cache.
func compare(b *testing.B, n int, ways ...way) {
	b.Helper()
	keys := zipfKeys(1<<18, uint64(n))
	var mu sync.Mutex
	times := make([][]time.Duration, len(ways))
	var at atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		mine := make([][]time.Duration, len(ways))
		var turn int
		for pb.Next() {
			start := int(at.Add(1)) * benchChunk % len(keys)
			chunk := keys[start : start+benchChunk]
			for i := range ways {
				w := (i + turn) % len(ways)
				began := time.Now()
				for _, key := range chunk {
					if !ways[w].read(key) {
						b.Errorf("%s: key %d is not there", ways[w].name, key)
						return
					}
				}
				mine[w] = append(mine[w], time.Since(began))
			}
			turn++
		}
		mu.Lock()
		defer mu.Unlock()
		for w := range ways {
			times[w] = append(times[w], mine[w]...)
		}
	})
	var first float64
	for w, all := range times {
		slices.Sort(all)
		median := float64(all[len(all)/2])
		if w == 0 {
			first = median
			b.ReportMetric(median/benchChunk, "ns/"+ways[0].name)
			continue
		}
		b.ReportMetric(median/first, ways[w].name+"/"+ways[0].name)
	}
	b.ReportMetric(0, "ns/op") // an op is a chunk of each: no figure of use
}

// BenchmarkHit compares a hit with otter's own, without its loading and with it. The figures are ratios of one run.
func BenchmarkHit(b *testing.B) {
	for _, bench := range []struct {
		name string
		ttl  time.Duration
		keys int // all of which fit
	}{
		{"keys=1k", 0, 1 << 10},
		{"keys=64k", 0, 1 << 16},
		{"keys=1k/ttl", time.Hour, 1 << 10},
		{"keys=64k/ttl", time.Hour, 1 << 16},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bare, loading := newOtter(b, bench.keys, bench.ttl), newOtter(b, bench.keys, bench.ttl)
			c, forGet := newFilled(b, bench.keys, bench.ttl), newFilled(b, bench.keys, bench.ttl)
			ctx := context.Background()
			loader := otter.LoaderFunc[int, int](double)
			compare(b, bench.keys,
				way{"otter", func(key int) bool { _, ok := bare.GetIfPresent(key); return ok }},
				way{"cache", func(key int) bool { _, err := c.Do(ctx, key); return err == nil }},
				way{"cache-get", func(key int) bool { _, ok := forGet.Get(key); return ok }},
				way{"otter-loading", func(key int) bool { _, err := loading.Get(ctx, key, loader); return err == nil }},
			)
		})
	}
}

// newFilled makes a cache with so many keys.
func newFilled(b *testing.B, keys int, ttl time.Duration) *cache.Cache[int, int] {
	c, err := cache.New(double, cache.Config{Size: 2 * keys, TTL: ttl})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for key := range keys {
		if err := c.Set(key, key); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// newOtter makes a store of otter's with so many keys.
func newOtter(b *testing.B, keys int, ttl time.Duration) *otter.Cache[int, int] {
	options := &otter.Options[int, int]{MaximumSize: 2 * keys}
	if ttl > 0 {
		options.ExpiryCalculator = otter.ExpiryWriting[int, int](ttl)
	}
	store := otter.Must(options)
	b.Cleanup(func() { store.StopAllGoroutines() })
	for key := range keys {
		store.Set(key, key)
	}
	return store
}

// BenchmarkMiss compares a load with otter's own: a goroutine of its own is what it costs that a load outlives its first caller.
func BenchmarkMiss(b *testing.B) {
	for _, bench := range []struct {
		name   string
		inline bool
	}{{"cache", false}, {"cache-inline", true}} {
		b.Run(bench.name, func(b *testing.B) {
			c, err := cache.New(double, cache.Config{Size: 1000, LoadInline: bench.inline})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			b.ReportAllocs()
			for key := 0; b.Loop(); key++ {
				if _, err := c.Do(context.Background(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("otter", func(b *testing.B) {
		store := otter.Must(&otter.Options[int, int]{MaximumSize: 1000})
		loader := otter.LoaderFunc[int, int](double)
		b.ReportAllocs()
		for key := 0; b.Loop(); key++ {
			if _, err := store.Get(context.Background(), key, loader); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func double(_ context.Context, key int) (int, error) { return 2 * key, nil }
