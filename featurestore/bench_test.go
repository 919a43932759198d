package featurestore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// BenchmarkMatrix reads 100 entities of 10,000 into a matrix. The baselines are what one writes by hand when features are a map of slices in
// the process: one with a loop over the features, one with copy. Neither knows of event times, TTLs, values that are missing, or writers.
func BenchmarkMatrix(b *testing.B) {
	const entities, per = 10_000, 100
	for _, features := range []int{10, 50, 250} {
		ids := make([]int64, per)
		shuffle := func() {
			for i := range ids {
				ids[i] = rand.Int64N(entities)
			}
		}
		byHand := make(map[int64][]float32, entities)
		for id := range int64(entities) {
			byHand[id] = make([]float32, features)
		}
		data := make([]float32, per*features)
		b.Run(fmt.Sprintf("features=%d/by hand, loop", features), func(b *testing.B) {
			b.ReportAllocs()
			shuffle()
			for b.Loop() {
				for i, id := range ids {
					row := data[i*features : (i+1)*features]
					if values, ok := byHand[id]; ok {
						for j := range row {
							row[j] = values[j]
						}
					}
				}
			}
		})
		b.Run(fmt.Sprintf("features=%d/by hand, copy", features), func(b *testing.B) {
			b.ReportAllocs()
			shuffle()
			for b.Loop() {
				for i, id := range ids {
					copy(data[i*features:(i+1)*features], byHand[id])
				}
			}
		})
		for _, kind := range []fs.Kind{fs.Float32, fs.Int64} {
			reader, _ := wide(b, kind, features, entities)
			req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", ids...)}}
			b.Run(fmt.Sprintf("features=%d/matrix of %v", features, kind), func(b *testing.B) {
				b.ReportAllocs()
				shuffle()
				var m fs.Matrix
				for b.Loop() {
					if err := reader.Matrix(b.Context(), req, &m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		reader, _ := wide(b, fs.Float32, features, entities)
		req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", ids...)}}
		b.Run(fmt.Sprintf("features=%d/result and each value", features), func(b *testing.B) {
			b.ReportAllocs()
			shuffle()
			var sum float64
			for b.Loop() {
				result, err := reader.Do(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				for row := range result.Rows() {
					for col := range features {
						sum += result.Value(row, col).Float()
					}
				}
			}
		})
	}
}

// BenchmarkBroadcast reads one user beside 200 items.
func BenchmarkBroadcast(b *testing.B) {
	defs := userAndItem()
	defs.Services = []fs.Service{{Name: "rank", Version: 1, Features: []string{
		"profile:age", "profile:spend", "profile:taste", "profile:vip", "stock:*",
	}}}
	online, registry := newOnline(b, nil, defs, nil)
	put(b, online, view(b, registry, "profile"), time.Now(), []any{7}, "age", int32(30), "spend", 9.5, "taste", []float32{1, 2, 3}, "vip", true)
	skus := make([]string, 200)
	for i := range skus {
		skus[i] = fmt.Sprint("item-", i)
		put(b, online, view(b, registry, "stock"), time.Now(), []any{skus[i]}, "price", float32(i), "left", i, "since", time.Now())
	}
	reader, err := online.Reader("rank", 0)
	require.NoError(b, err)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 7), fs.StringKeys("sku", skus...)}}
	b.ReportAllocs()
	var m fs.Matrix
	for b.Loop() {
		if err := reader.Matrix(b.Context(), req, &m); err != nil {
			b.Fatal(err)
		}
	}
}
