package featurestore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// The same keys from one store and from four.
func BenchmarkSharded(b *testing.B) {
	view, _ := streamViews(b)
	owner := func(hash uint64) int { return int(hash % 4) }
	owners := fs.WithOwners(func(dst []int, hash uint64, k int) []int {
		for i := range k {
			dst = append(dst, int((hash+uint64(i))%4))
		}
		return dst
	})
	for _, kind := range []string{"memory", "costly"} {
		var stores []fs.Store
		for range 4 {
			s := fs.Store(streamMem(b))
			if kind == "costly" {
				s = costly{s}
			}
			stores = append(stores, s)
		}
		plain, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
		require.NoError(b, err)
		hedged, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2, HedgeQuantile: 0.95}, owners)
		require.NoError(b, err)
		writeAll(b, hedged, view, 1000)
		single := fs.Store(streamMem(b))
		if kind == "costly" {
			single = costly{single}
		}
		writeAll(b, single, view, 1000)
		for _, keys := range []int{1, 100} {
			for _, c := range []struct {
				name  string
				store fs.Store
			}{{"single", single}, {"sharded", plain}, {"hedged", hedged}} {
				b.Run(fmt.Sprintf("%s/%d keys/%s", kind, keys, c.name), func(b *testing.B) {
					b.ReportAllocs()
					rnd := rand.New(rand.NewPCG(1, 1))
					ids := make([]int64, keys)
					for i := range ids {
						ids[i] = rnd.Int64N(1000)
					}
					l := lookup(view, ids...)
					ctx := context.Background()
					for b.Loop() {
						clear(l[0].Rows)
						if err := c.store.Read(ctx, l); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
