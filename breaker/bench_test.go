package breaker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/scalable-ai/patterns/breaker"
)

// echo is a back-end that costs nothing, so that what is measured is the machinery.
func echo(_ context.Context, req int) (int, error) { return req, nil }

// callers runs do on all processors.
func callers(b *testing.B, do breaker.Func[int, int]) {
	b.Helper()
	b.ReportAllocs()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if got, err := do(ctx, i); err != nil || got != i {
				b.Errorf("Do(%d) = %d, %v", i, got, err)
				return
			}
		}
	})
}

// BenchmarkDo compares closed breakers, in parallel.
func BenchmarkDo(b *testing.B) {
	run := func(name string, cfg breaker.Config, next breaker.Func[int, int]) {
		b.Run(name, func(b *testing.B) {
			brk, err := breaker.New(next, cfg)
			if err != nil {
				b.Fatal(err)
			}
			callers(b, brk.Do)
		})
	}
	run("breaker", breaker.Config{}, echo)
	run("breaker-slow", breaker.Config{SlowAfter: time.Second}, echo)
	run("breaker-time", breaker.Config{WindowTime: 10 * time.Second}, echo)
	run("breaker-time-slow", breaker.Config{WindowTime: 10 * time.Second, SlowAfter: time.Second}, echo)
	b.Run("keyed", func(b *testing.B) {
		keyed, err := breaker.NewKeyed(func(req int) int { return req % 16 }, echo, breaker.Config{})
		if err != nil {
			b.Fatal(err)
		}
		callers(b, keyed.Do)
	})
	b.Run("gobreaker", func(b *testing.B) {
		gb := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{})
		callers(b, func(ctx context.Context, req int) (int, error) {
			return gb.Execute(func() (int, error) { return echo(ctx, req) })
		})
	})
	b.Run("bare", func(b *testing.B) { callers(b, echo) })
}

// BenchmarkRejected compares open breakers, in parallel.
func BenchmarkRejected(b *testing.B) {
	errDown := errors.New("down")
	fail := func(context.Context, int) (int, error) { return 0, errDown }
	rejected := func(b *testing.B, do breaker.Func[int, int]) {
		for range 100 {
			_, _ = do(context.Background(), 0)
		}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := do(context.Background(), 0); err == nil || errors.Is(err, errDown) {
					b.Errorf("%v", err)
					return
				}
			}
		})
	}
	b.Run("breaker", func(b *testing.B) {
		brk, err := breaker.New(fail, breaker.Config{OpenFor: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		rejected(b, brk.Do)
	})
	b.Run("gobreaker", func(b *testing.B) {
		gb := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Timeout: time.Hour})
		rejected(b, func(ctx context.Context, req int) (int, error) {
			return gb.Execute(func() (int, error) { return fail(ctx, req) })
		})
	})
}

// BenchmarkKeyedAllOpen is what a call costs in an outage, when no breaker can be evicted: for a key that has one, and for a new key,
// which looks for room in vain.
func BenchmarkKeyedAllOpen(b *testing.B) {
	errDown := errors.New("down")
	keyed, err := breaker.NewKeyed(func(key int) int { return key }, func(context.Context, int) (int, error) { return 0, errDown },
		breaker.Config{Window: 1, OpenFor: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	for key := range breaker.DefaultMaxKeys {
		_, _ = keyed.Do(context.Background(), key)
	}
	for name, key := range map[string]int{"kept": 5, "new": breaker.DefaultMaxKeys} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = keyed.Do(context.Background(), key)
			}
		})
	}
}
