// Package breaker_test compares what guards cost around a call that does nothing and succeeds: one guard at a time, and three around each other.
//
// What differs: failsafe-go composes policies in an executor, ours compose by calling each other's Do. Its policies can also be used without an executor, which
// its documentation calls standalone: then they are asked for a permit, and need no context. The breakers look at the last 100 calls (gobreaker: at counts
// of an interval, which is what it has); the bulkheads and limiters have room for all, so nobody waits or is rejected. gobreaker has no context. Ours and
// x/time/rate, which most limiters are built on, would wait for as long as the context allows, failsafe-go's would reject.
// Our limiter looks at the clock for one of 65 requests if its burst is 1024 or more, as here; the others, and ours with a small burst, do for each.
package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	failbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

const (
	room   = 1 << 20
	events = 1 << 30 // a second

	smallBurst = 1000 // below what our limiter needs to let requests through without looking at the clock
)

// echo is not inlined where it is called directly, as it cannot be where it is passed.
//
//go:noinline
func echo(_ context.Context, n int) (int, error) { return n, nil }

// run calls do from as many goroutines as there are processors, each with a context that can be cancelled, as a request's can.
func run(b *testing.B, do func(ctx context.Context, n int) (int, error)) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for pb.Next() {
			if got, err := do(ctx, 7); got != 7 || err != nil {
				b.Errorf("Do(7) = %d, %v", got, err)
				return
			}
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newLimiter(next limiter.Func[int, int], burst int) limiter.Func[int, int] {
	return must(limiter.New(next, limiter.Config{Requests: limiter.Limit{Events: events, Per: time.Second, Burst: burst}})).Do
}

func newBulkhead(next bulkhead.Func[int, int]) bulkhead.Func[int, int] {
	return must(bulkhead.New(next, bulkhead.Config{Capacity: room})).Do
}

func newBreaker(next breaker.Func[int, int]) breaker.Func[int, int] {
	return must(breaker.New(next, breaker.Config{})).Do
}

// failsafeDo is how failsafe-go runs a function with a context and policies.
func failsafeDo(policies ...failsafe.Policy[int]) func(ctx context.Context, n int) (int, error) {
	executor := failsafe.With(policies...)
	return func(ctx context.Context, n int) (int, error) {
		return executor.WithContext(ctx).Get(func() (int, error) { return echo(ctx, n) })
	}
}

func failsafeBreaker() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(50, 100).Build()
}

// call is a function under guards.
type call = func(ctx context.Context, n int) (int, error)

func standaloneBreaker(next call) call {
	g := failsafeBreaker()
	return func(ctx context.Context, n int) (int, error) {
		if !g.TryAcquirePermit() {
			return 0, circuitbreaker.ErrOpen
		}
		answer, err := next(ctx, n)
		if err != nil {
			g.RecordError(err)
		} else {
			g.RecordSuccess()
		}
		return answer, err
	}
}

func standaloneBulkhead(next call) call {
	g := failbulkhead.New[int](room)
	return func(ctx context.Context, n int) (int, error) {
		if !g.TryAcquirePermit() {
			return 0, failbulkhead.ErrFull
		}
		defer g.ReleasePermit()
		return next(ctx, n)
	}
}

func standaloneLimiter(next call) call {
	g := ratelimiter.NewBursty[int](events, time.Second)
	return func(ctx context.Context, n int) (int, error) {
		if !g.TryAcquirePermit() {
			return 0, ratelimiter.ErrExceeded
		}
		return next(ctx, n)
	}
}

// BenchmarkBreaker is a closed circuit breaker.
func BenchmarkBreaker(b *testing.B) {
	b.Run("patterns", func(b *testing.B) { run(b, newBreaker(echo)) })
	b.Run("gobreaker", func(b *testing.B) {
		g := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Interval: time.Minute})
		run(b, func(ctx context.Context, n int) (int, error) {
			return g.Execute(func() (int, error) { return echo(ctx, n) })
		})
	})
	b.Run("failsafe-go", func(b *testing.B) { run(b, failsafeDo(failsafeBreaker())) })
	b.Run("failsafe-go-standalone", func(b *testing.B) { run(b, standaloneBreaker(echo)) })
}

// BenchmarkBulkhead is a bound on concurrency that is not reached.
func BenchmarkBulkhead(b *testing.B) {
	b.Run("patterns", func(b *testing.B) { run(b, newBulkhead(echo)) })
	b.Run("failsafe-go", func(b *testing.B) { run(b, failsafeDo(failbulkhead.New[int](room))) })
	b.Run("failsafe-go-standalone", func(b *testing.B) { run(b, standaloneBulkhead(echo)) })
	b.Run("x-sync-semaphore", func(b *testing.B) {
		s := semaphore.NewWeighted(room)
		run(b, func(ctx context.Context, n int) (int, error) {
			if err := s.Acquire(ctx, 1); err != nil {
				return 0, err
			}
			defer s.Release(1)
			return echo(ctx, n)
		})
	})
}

// BenchmarkLimiter is a limit on the rate that is not reached.
func BenchmarkLimiter(b *testing.B) {
	b.Run("patterns", func(b *testing.B) { run(b, newLimiter(echo, events)) })
	b.Run("patterns-small-burst", func(b *testing.B) { run(b, newLimiter(echo, smallBurst)) })
	b.Run("failsafe-go", func(b *testing.B) { run(b, failsafeDo(ratelimiter.NewBursty[int](events, time.Second))) })
	b.Run("failsafe-go-standalone", func(b *testing.B) { run(b, standaloneLimiter(echo)) })
	b.Run("x-time-rate", func(b *testing.B) {
		l := rate.NewLimiter(events, events)
		run(b, func(ctx context.Context, n int) (int, error) {
			if err := l.Wait(ctx); err != nil {
				return 0, err
			}
			return echo(ctx, n)
		})
	})
}

// BenchmarkLayers is all three: limiter around bulkhead around breaker.
func BenchmarkLayers(b *testing.B) {
	b.Run("patterns", func(b *testing.B) { run(b, newLimiter(newBulkhead(newBreaker(echo)), events)) })
	b.Run("failsafe-go", func(b *testing.B) {
		run(b, failsafeDo(ratelimiter.NewBursty[int](events, time.Second), failbulkhead.New[int](room), failsafeBreaker()))
	})
	b.Run("failsafe-go-standalone", func(b *testing.B) { run(b, standaloneLimiter(standaloneBulkhead(standaloneBreaker(echo)))) })
}
