package boltstore_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

// BenchmarkWrite writes rows, one per call, by so many goroutines at once. The baseline is a transaction of bbolt for each row.
func BenchmarkWrite(b *testing.B) {
	view := counts(b)
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d/by hand", writers), func(b *testing.B) {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "f"), 0o600, nil)
			require.NoError(b, err)
			defer db.Close()
			parallel(b, writers, func(n int64) error {
				return db.Update(func(tx *bbolt.Tx) error {
					bucket, err := tx.CreateBucketIfNotExists([]byte("rows"))
					if err != nil {
						return err
					}
					r := row(view, n%1000, n+1)
					return bucket.Put(r.Key.AppendKey(nil), view.AppendRecord(nil, r.Record))
				})
			})
		})
		b.Run(fmt.Sprintf("writers=%d/boltstore", writers), func(b *testing.B) {
			s := open(b, file(b), boltstore.Config{}, view)
			parallel(b, writers, func(n int64) error {
				return s.Write(b.Context(), view, []fs.Row{row(view, n%1000, n+1)}, make([]fs.Outcome, 1))
			})
			b.ReportMetric(float64(s.Stats().Puts)/float64(max(s.Stats().Commits, 1)), "rows/commit")
			require.NoError(b, s.Close())
		})
	}
}

func parallel(b *testing.B, goroutines int, f func(n int64) error) {
	var n atomic.Int64
	if goroutines == 1 {
		for b.Loop() {
			require.NoError(b, f(n.Add(1)))
		}
		return
	}
	b.SetParallelism(goroutines / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(n.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
