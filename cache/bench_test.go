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
	benchKeys  = 1 << 17 // all of which fit
	benchChunk = 256     // reads between two looks at the clock
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
func compare(b *testing.B, ways ...way) { compareN(b, benchKeys, ways...) }

func compareN(b *testing.B, n int, ways ...way) {
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

// BenchmarkHit compares a hit with otter's own, without loading and with. The figures are ratios of one run.
func BenchmarkHit(b *testing.B) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		name := "forever"
		if ttl > 0 {
			name = "ttl"
		}
		b.Run(name, func(b *testing.B) {
			options := &otter.Options[int, int]{MaximumSize: 2 * benchKeys}
			if ttl > 0 {
				options.ExpiryCalculator = otter.ExpiryWriting[int, int](ttl)
			}
			bare := otter.Must(options)
			defer bare.StopAllGoroutines()
			c, err := cache.New(double, cache.Config{Size: 2 * benchKeys, TTL: ttl})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for key := range benchKeys {
				bare.Set(key, key)
				if err := c.Set(key, key); err != nil {
					b.Fatal(err)
				}
			}
			ctx := context.Background()
			loader := otter.LoaderFunc[int, int](double)
			compare(b,
				way{"otter", func(key int) bool { _, ok := bare.GetIfPresent(key); return ok }},
				way{"cache", func(key int) bool { _, err := c.Do(ctx, key); return err == nil }},
				way{"otter-loading", func(key int) bool { _, err := bare.Get(ctx, key, loader); return err == nil }},
			)
		})
	}
}

func double(_ context.Context, key int) (int, error) { return 2 * key, nil }
