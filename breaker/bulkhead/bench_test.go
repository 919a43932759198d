package bulkhead_test

import (
	"context"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func BenchmarkUncontended(b *testing.B) {
	const capacity = 1000
	parallel := func(b *testing.B, call func(ctx context.Context)) {
		b.Helper()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			for pb.Next() {
				call(ctx)
			}
		})
	}
	b.Run("semaphore", func(b *testing.B) {
		s := semaphore.NewWeighted(capacity)
		parallel(b, func(ctx context.Context) {
			if s.Acquire(ctx, 1) == nil {
				s.Release(1)
			}
		})
	})
	bh, err := bulkhead.New(echo, bulkhead.Config{Capacity: capacity, MaxQueue: 100})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Do", func(b *testing.B) {
		parallel(b, func(ctx context.Context) { bh.Do(ctx, 1) })
	})
	b.Run("Acquire", func(b *testing.B) {
		parallel(b, func(ctx context.Context) {
			p, err := bh.Acquire(ctx, 1)
			if err == nil {
				p.Release()
			}
		})
	})
}
