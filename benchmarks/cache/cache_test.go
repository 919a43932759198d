// Package cache_test compares caches of 50,000 entries: hits of keys of which few are popular, reads that load what is missing, and the share of hits.
//
// What differs: ours is built on otter and adds loading with a context for each waiter, expiry and statistics, which hits pay for. ristretto decides by chance whether
// it keeps an entry, drops writes when it is busy, and may answer with a value of a colliding key; golang-lru has one lock and keeps the newest. Only ours and
// theine load once for concurrent misses of one key (otter does too); golang-lru and ristretto do not load, so the loading benchmark has only those that do.
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

// contender is a cache under comparison. load, if there is one, reads a key and loads it if it is missing.
type contender struct {
	name string
	get  func(key int) (int, bool)
	set  func(key, value int)
	load func(key int) int

	settle func() // waits for what sets have left to do, if they leave anything
}

func double(_ context.Context, key int) (int, error) { return 2 * key, nil }

func contenders(b testing.TB, size int) []contender {
	fail := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	ours, err := cache.New(double, cache.Config{Size: size})
	fail(err)
	b.Cleanup(func() { _ = ours.Close() })

	o, err := otter.New(&otter.Options[int, int]{MaximumSize: size})
	fail(err)
	loader := otter.LoaderFunc[int, int](double)

	r, err := ristretto.NewCache(&ristretto.Config[int, int]{NumCounters: int64(10 * size), MaxCost: int64(size), BufferItems: 64, IgnoreInternalCost: true})
	fail(err)
	b.Cleanup(r.Close)

	th, err := theine.NewBuilder[int, int](int64(size)).BuildWithLoader(func(ctx context.Context, key int) (theine.Loaded[int], error) {
		v, err := double(ctx, key)
		return theine.Loaded[int]{Value: v, Cost: 1}, err
	})
	fail(err)
	b.Cleanup(th.Close)
	plain, err := theine.NewBuilder[int, int](int64(size)).Build()
	fail(err)
	b.Cleanup(plain.Close)

	l, err := lru.New[int, int](size)
	fail(err)
	return []contender{
		{"patterns", ours.Get, func(k, v int) { fail(ours.Set(k, v)) }, func(k int) int { v, err := ours.Do(ctx, k); fail(err); return v }, nil},
		{"otter", o.GetIfPresent, func(k, v int) { o.Set(k, v) }, func(k int) int { v, err := o.Get(ctx, k, loader); fail(err); return v }, nil},
		{"theine", plain.Get, func(k, v int) { plain.Set(k, v, 1) }, func(k int) int { v, err := th.Get(ctx, k); fail(err); return v }, nil},
		{"ristretto", r.Get, func(k, v int) { r.Set(k, v, 1) }, nil, r.Wait},
		{"golang-lru", l.Get, func(k, v int) { l.Add(k, v) }, nil, nil},
	}
}

// parallel reads keys from as many goroutines as there are processors.
func parallel(b *testing.B, keys []int, read func(key int)) {
	b.Helper()
	b.ReportAllocs()
	var start atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := int(start.Add(7919)); pb.Next(); i++ {
			read(keys[i%len(keys)])
		}
	})
}

// BenchmarkHit reads keys that are all there (with ristretto nearly all).
func BenchmarkHit(b *testing.B) {
	keys := zipf(entries/2, 1)
	for _, c := range contenders(b, entries) {
		for k := range entries / 2 {
			c.set(k, 2*k)
			if c.settle != nil {
				c.settle()
			}
		}
		b.Run(c.name, func(b *testing.B) {
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
	for _, c := range contenders(b, entries) {
		if c.load == nil {
			continue
		}
		for k := range entries / 2 {
			c.load(k)
		}
		b.Run(c.name, func(b *testing.B) {
			parallel(b, keys, func(key int) {
				if v := c.load(key); v != 2*key {
					b.Errorf("%d is the value of %d", v, key)
				}
			})
		})
	}
}

// BenchmarkReadThrough is one pass over a million reads of keys of which not all have room, that sets those that are missing, on one goroutine. ns/read is the time
// for one; %hits the share that was there.
func BenchmarkReadThrough(b *testing.B) {
	keys := zipf(entries*20, 2)
	names := contenders(b, 1)
	for i := range names {
		b.Run(names[i].name, func(b *testing.B) {
			b.ReportAllocs()
			hits, n := 0, 0
			for b.Loop() {
				b.StopTimer()
				c := contenders(b, entries)[i]
				b.StartTimer()
				for _, key := range keys {
					n++
					if _, ok := c.get(key); ok {
						hits++
					} else {
						c.set(key, 2*key)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/read")
			b.ReportMetric(100*float64(hits)/float64(n), "%hits")
		})
	}
}
