// Package cache_test compares caches of 50,000 entries: hits of keys of which few are popular, reads that set or load what is missing, and the share
// of hits.
//
// What differs: ours is built on otter and adds loading with a context for each waiter, expiry and statistics, which hits pay for. ristretto and theine apply writes
// later; ristretto drops some when it is busy, decides by chance whether it keeps an entry, and may answer with a value of a colliding key. The cache to hit
// is filled before, and is waited for. golang-lru has one lock and keeps the newest. Ours, otter and theine load once for concurrent misses of one
// key; golang-lru and ristretto do not load, so the loading benchmarks have only those that do. In ReadThrough nobody loads: the
// caller looks a key up and sets it, and two callers would do so at once; ours pays there for otter's write and for a lock that orders writes and loads. In
// LoadingReadThrough otter and theine run the load on the goroutine of the caller that misses, with that caller's context, so that its end is the end of the load
// for all who wait, and that caller returns no sooner than the load. Ours runs it on a goroutine of its own, with a context that ends with the last of them; a caller whose time is over returns at
// once, and so do all when the value is set meanwhile or the cache is closed. patterns-inline is ours with LoadInline, by which a caller whose context can never end runs its load itself and
// does without the last. That is so in LoadingReadThrough, and not in LoadingReadThroughCancellable, where the context is one that can be cancelled, as that of an HTTP request is: there
// every load of ours has its goroutine. To otter and theine the two are the same work. Ours does the bookkeeping of otter's eviction on the goroutine that writes, which
// otter by default starts another for: where a processor is idle that other takes some of the time, and ours does not.
package cache_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"

	"github.com/scalable-ai/patterns/cache"
)

const (
	entries = 50_000
	reads   = 1 << 20
)

var ctx = context.Background()

// zipf are reads of keys below n, of which few are popular.
func zipf(n uint64, seed uint64) []int {
	random := rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.01, 1, n-1)
	keys := make([]int, reads)
	for i := range keys {
		keys[i] = int(random.Uint64())
	}
	return keys
}

// contender is a cache under comparison.
type contender struct {
	get    func(key int) (int, bool)
	set    func(key, value int)
	settle func() // waits for what sets have left to do; nil if they leave nothing
}

func double(_ context.Context, key int) (int, error) { return 2 * key, nil }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// contenders make the caches, each with what closes it.
var contenders = []struct {
	name string
	make func(size int) (c contender, closeIt func())
}{
	{"patterns", func(size int) (contender, func()) {
		c := must(cache.New(double, cache.Config{Size: size}))
		return contender{c.Get, func(k, v int) { must(0, c.Set(k, v)) }, nil}, func() { _ = c.Close() }
	}},
	{"otter", func(size int) (contender, func()) {
		c := must(otter.New(&otter.Options[int, int]{MaximumSize: size}))
		return contender{c.GetIfPresent, func(k, v int) { c.Set(k, v) }, nil}, func() { c.StopAllGoroutines() }
	}},
	{"theine", func(size int) (contender, func()) {
		c := must(theine.NewBuilder[int, int](int64(size)).Build())
		return contender{c.Get, func(k, v int) { c.Set(k, v, 1) }, c.Wait}, c.Close
	}},
	{"ristretto", func(size int) (contender, func()) {
		c := must(ristretto.NewCache(&ristretto.Config[int, int]{
			NumCounters: int64(10 * size), MaxCost: int64(size), BufferItems: 64, IgnoreInternalCost: true,
		}))
		return contender{c.Get, func(k, v int) { c.Set(k, v, 1) }, c.Wait}, c.Close
	}},
	{"golang-lru", func(size int) (contender, func()) {
		c := must(lru.New[int, int](size))
		return contender{c.Get, func(k, v int) { c.Add(k, v) }, nil}, func() {}
	}},
}

// loader is a cache that loads what is missing.
type loader struct {
	name string
	make func(size int) (load func(ctx context.Context, key int) (int, error), closeIt func())
}

// inline is ours where it runs loads on the goroutine of the caller. Hits, and callers whose context can end, are served as without.
var inline = loader{"patterns-inline", func(size int) (func(context.Context, int) (int, error), func()) {
	c := must(cache.New(double, cache.Config{Size: size, LoadInline: true}))
	return c.Do, func() { _ = c.Close() }
}}

// loaders make the caches that load what is missing.
var loaders = []loader{
	{"patterns", func(size int) (func(context.Context, int) (int, error), func()) {
		c := must(cache.New(double, cache.Config{Size: size}))
		return c.Do, func() { _ = c.Close() }
	}},
	{"otter", func(size int) (func(context.Context, int) (int, error), func()) {
		c := must(otter.New(&otter.Options[int, int]{MaximumSize: size}))
		load := otter.LoaderFunc[int, int](double)
		return func(ctx context.Context, key int) (int, error) { return c.Get(ctx, key, load) }, func() { c.StopAllGoroutines() }
	}},
	{"theine", func(size int) (func(context.Context, int) (int, error), func()) {
		c := must(theine.NewBuilder[int, int](int64(size)).BuildWithLoader(func(ctx context.Context, key int) (theine.Loaded[int], error) {
			v, err := double(ctx, key)
			return theine.Loaded[int]{Value: v, Cost: 1}, err
		}))
		return c.Get, c.Close
	}},
}

// parallel reads keys from as many goroutines as there are processors.
func parallel(b *testing.B, keys []int, read func(key int)) {
	b.Helper()
	b.ReportAllocs()
	var start atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(start.Add(7919)); pb.Next(); i++ {
			read(keys[i%len(keys)])
		}
	})
}

// BenchmarkHit reads keys that are there.
func BenchmarkHit(b *testing.B) {
	keys := zipf(entries/2, 1)
	for _, maker := range contenders {
		b.Run(maker.name, func(b *testing.B) {
			c, closeIt := maker.make(entries)
			defer closeIt()
			for k := range entries / 2 {
				c.set(k, 2*k)
				if c.settle != nil {
					c.settle()
				}
			}
			missing := 0
			for k := range entries / 2 {
				if _, ok := c.get(k); !ok {
					missing++
				}
			}
			if missing > entries/2/1000 { // a few collide in ristretto
				b.Fatalf("%d of %d keys are missing: it is not hits that would be measured", missing, entries/2)
			}
			parallel(b, keys, func(key int) {
				if v, ok := c.get(key); ok && v != 2*key {
					b.Errorf("%d is the value of %d", v, key)
				}
			})
		})
	}
}

// BenchmarkLoadingHit is a read that would load, but finds the key there.
func BenchmarkLoadingHit(b *testing.B) {
	keys := zipf(entries/2, 1)
	for _, maker := range loaders {
		b.Run(maker.name, func(b *testing.B) {
			load, closeIt := maker.make(entries)
			defer closeIt()
			read := func(key int) {
				if v, err := load(ctx, key); v != 2*key || err != nil {
					b.Errorf("%d, %v is the answer for %d", v, err, key)
				}
			}
			for k := range entries / 2 {
				read(k)
			}
			parallel(b, keys, read)
		})
	}
}

// BenchmarkLoadingReadThrough is BenchmarkReadThrough with caches that load what is missing.
func BenchmarkLoadingReadThrough(b *testing.B) {
	loadingReadThrough(context.Background(), b, append([]loader{inline}, loaders...))
}

// BenchmarkLoadingReadThroughCancellable is BenchmarkLoadingReadThrough with a context that can be cancelled.
func BenchmarkLoadingReadThroughCancellable(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	loadingReadThrough(ctx, b, loaders)
}

func loadingReadThrough(ctx context.Context, b *testing.B, makers []loader) {
	b.Helper()
	keys := zipf(entries*20, 2)
	for _, maker := range makers {
		b.Run(maker.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				load, closeIt := maker.make(entries)
				b.StartTimer()
				for _, key := range keys {
					n++
					if v, err := load(ctx, key); v != 2*key || err != nil {
						b.Fatalf("%d, %v is the answer for %d", v, err, key)
					}
				}
				b.StopTimer()
				closeIt()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/read")
		})
	}
}

// BenchmarkReadThrough is one pass over a million reads of keys of which not all have room, that sets those that are missing, on one goroutine, in a cache that
// is empty at first. ns/read is the time for one; %hits the share that was there.
func BenchmarkReadThrough(b *testing.B) {
	keys := zipf(entries*20, 2)
	for _, maker := range contenders {
		b.Run(maker.name, func(b *testing.B) {
			hits, n := 0, 0
			for b.Loop() {
				b.StopTimer()
				c, closeIt := maker.make(entries)
				b.StartTimer()
				for _, key := range keys {
					n++
					if _, ok := c.get(key); ok {
						hits++
					} else {
						c.set(key, 2*key)
					}
				}
				b.StopTimer()
				closeIt()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/read")
			b.ReportMetric(100*float64(hits)/float64(n), "%hits")
		})
	}
}
