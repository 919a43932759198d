package featurestore_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// BenchmarkMemory reads entities of the process's own memory into a matrix.
func BenchmarkMemory(b *testing.B) {
	ids := make([]int64, perCall)
	for i := range ids {
		ids[i] = rand.Int64N(entities)
	}
	b.Run("patterns", func(b *testing.B) {
		registry, schema := define(b)
		store := must(memstore.New(memstore.Config{}))
		online := must(fs.New(store, registry, fs.Config{}))
		_ = must(online.Write(b.Context(), view, rows(schema)))
		reader := must(online.Reader(service, 1))
		req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys(joinKey, ids...)}}
		var m fs.Matrix
		b.ReportAllocs()
		for b.Loop() {
			if err := reader.Matrix(context.Background(), req, &m); err != nil {
				b.Fatal(err)
			}
			check(b, ids, m.Data)
		}
	})
	byHand := map[int64][]float32{}
	for id := range int64(entities) {
		for j := range features {
			byHand[id] = append(byHand[id], value(id, j))
		}
	}
	data := make([]float32, perCall*features)
	b.Run("map-loop", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i, id := range ids {
				row := data[i*features : (i+1)*features]
				if values, ok := byHand[id]; ok {
					for j := range row {
						row[j] = values[j]
					}
				}
			}
			check(b, ids, data)
		}
	})
	b.Run("map-checked", func(b *testing.B) {
		type row struct {
			event   int64 // nanoseconds since 1970
			values  []float32
			present []bool
		}
		var mu sync.RWMutex // there are writers
		rows := map[int64]*row{}
		for id, values := range byHand {
			rows[id] = &row{time.Now().UnixNano(), values, slices.Repeat([]bool{true}, features)}
		}
		present := make([]bool, len(data))
		b.ReportAllocs()
		for b.Loop() {
			mu.RLock()
			oldest := time.Now().Add(-time.Hour).UnixNano()
			for i, id := range ids {
				from, to := i*features, (i+1)*features
				if r := rows[id]; r != nil && r.event >= oldest {
					copy(data[from:to], r.values)
					copy(present[from:to], r.present)
				} else {
					clear(data[from:to])
					clear(present[from:to])
				}
			}
			mu.RUnlock()
			check(b, ids, data)
		}
	})
	b.Run("map-copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i, id := range ids {
				copy(data[i*features:(i+1)*features], byHand[id])
			}
			check(b, ids, data)
		}
	})
}
