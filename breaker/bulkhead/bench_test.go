package bulkhead_test

import (
	"context"
	"runtime"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

// parallel calls from several goroutines for each processor, each with a context of its own that can be cancelled.
func parallel(b *testing.B, goroutines int, call func(ctx context.Context) error) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(goroutines)
	b.RunParallel(func(pb *testing.PB) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for pb.Next() {
			if err := call(ctx); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func semaphoreCall(capacity int64, work func()) func(ctx context.Context) error {
	s := semaphore.NewWeighted(capacity)
	return func(ctx context.Context) error {
		if err := s.Acquire(ctx, 1); err != nil {
			return err
		}
		work()
		s.Release(1)
		return nil
	}
}

func doCall(b *testing.B, cfg bulkhead.Config, work func()) func(ctx context.Context) error {
	b.Helper()
	g, err := bulkhead.New(func(_ context.Context, n int) (int, error) {
		work()
		return n, nil
	}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context) error {
		_, err := g.Do(ctx, 1)
		return err
	}
}

// BenchmarkUncontended is the cost of a call for which there is room.
func BenchmarkUncontended(b *testing.B) {
	cfg := bulkhead.Config{Capacity: 1000, MaxQueue: 1000}
	nothing := func() {}
	b.Run("semaphore", func(b *testing.B) {
		parallel(b, 1, semaphoreCall(int64(cfg.Capacity), nothing))
	})
	b.Run("do", func(b *testing.B) {
		parallel(b, 1, doCall(b, cfg, nothing))
	})
	b.Run("acquire", func(b *testing.B) {
		g := newGuard(b, cfg, echo)
		parallel(b, 1, func(ctx context.Context) error {
			p, err := g.Acquire(ctx, 1)
			p.Release()
			return err
		})
	})
}

// BenchmarkContended is the cost of a call when most have to wait: 32 callers for each processor, two places, and holders that let
// others run meanwhile.
func BenchmarkContended(b *testing.B) {
	cfg := bulkhead.Config{Capacity: 2, MaxQueue: 1 << 20}
	b.Run("semaphore", func(b *testing.B) {
		parallel(b, 32, semaphoreCall(int64(cfg.Capacity), runtime.Gosched))
	})
	b.Run("do", func(b *testing.B) {
		parallel(b, 32, doCall(b, cfg, runtime.Gosched))
	})
}

// BenchmarkReject is the cost of turning a caller away.
func BenchmarkReject(b *testing.B) {
	for name, cfg := range map[string]bulkhead.Config{
		"no-queue":   {Capacity: 1},
		"full-queue": {Capacity: 1, MaxQueue: 1},
	} {
		b.Run(name, func(b *testing.B) {
			g := newGuard(b, cfg, echo)
			p, err := g.TryAcquire(1)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			waiting := make(chan struct{})
			go func() {
				defer close(waiting)
				for cfg.MaxQueue > 0 && ctx.Err() == nil {
					_, _ = g.Acquire(ctx, 1)
				}
			}()
			for g.Stats().Queued < cfg.MaxQueue {
				runtime.Gosched()
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Do(ctx, 1); err == nil {
					b.Fatal("admitted")
				}
			}
			cancel()
			<-waiting
			p.Release()
		})
	}
}

// BenchmarkStripes is the cost of a call for which there is room: in the stripes, and where they are closed.
func BenchmarkStripes(b *testing.B) {
	for name, capacity := range map[string]int{"open": 1000, "too-small": 15} {
		b.Run(name, func(b *testing.B) {
			parallel(b, 1, doCall(b, bulkhead.Config{Capacity: capacity, MaxQueue: 1000}, func() {}))
		})
	}
}
