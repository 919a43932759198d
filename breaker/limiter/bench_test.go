package limiter_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// echo is a function that costs nothing, so that what is measured is the limiter.
func echo(_ context.Context, req int) (int, error) { return req, nil }

func one(int) int { return 1 }

// plenty is a limit that is never reached.
var plenty = limiter.Limit{Events: 1 << 30, Per: time.Microsecond, Burst: 1 << 30}

// naive is the bucket that one writes by hand: a mutex, two levels, no waiting, no settling, no stats.
type naive struct {
	mu             sync.Mutex
	last           time.Time
	requests, cost float64
	perSecond      float64
	burst          float64
}

func newNaive(l limiter.Limit) *naive {
	return &naive{last: time.Now(), requests: float64(l.Burst), cost: float64(l.Burst), perSecond: float64(l.Events) / l.Per.Seconds(), burst: float64(l.Burst)}
}

func (n *naive) allow(cost float64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now() // under the lock, or it goes back
	refill := now.Sub(n.last).Seconds() * n.perSecond
	n.last = now
	n.requests, n.cost = min(n.requests+refill, n.burst), min(n.cost+refill, n.burst)
	if n.requests < 1 || n.cost < cost {
		return false
	}
	n.requests, n.cost = n.requests-1, n.cost-cost
	return true
}

// parallel runs do from as many goroutines as there are processors.
func parallel(b *testing.B, do func(i int) bool) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if !do(i) {
				b.Error("rejected")
				return
			}
		}
	})
}

// BenchmarkDo compares the limiter, far from its limits, with what it is made of and with what one would write by hand.
func BenchmarkDo(b *testing.B) {
	ctx := context.Background()
	do := func(b *testing.B, cfg limiter.Config, opts ...limiter.Option[int]) {
		l, err := limiter.New(echo, cfg, opts...)
		if err != nil {
			b.Fatal(err)
		}
		parallel(b, func(i int) bool { _, err := l.Do(ctx, i); return err == nil })
	}
	both := limiter.Config{Requests: plenty, Cost: plenty}
	b.Run("limiter-requests", func(b *testing.B) { do(b, limiter.Config{Requests: plenty}) })
	b.Run("limiter-small-burst", func(b *testing.B) { // too small for leases
		do(b, limiter.Config{Requests: limiter.Limit{Events: plenty.Events, Per: plenty.Per, Burst: 1000}})
	})
	b.Run("limiter-both", func(b *testing.B) { do(b, both, limiter.WithCost(one)) })
	b.Run("limiter-both-settled", func(b *testing.B) {
		do(b, both, limiter.WithCost(func(int) int { return 100 }), limiter.WithActual(func(int, int, error) int { return 70 }))
	})
	b.Run("keyed-both", func(b *testing.B) {
		l, err := limiter.NewKeyed(func(i int) int { return i % 64 }, echo, limiter.KeyedConfig{Each: both}, limiter.WithCost(one))
		if err != nil {
			b.Fatal(err)
		}
		parallel(b, func(i int) bool { _, err := l.Do(ctx, i); return err == nil })
	})
	b.Run("rate-allow", func(b *testing.B) {
		l := rate.NewLimiter(rate.Limit(1<<50), 1<<30)
		parallel(b, func(int) bool { return l.Allow() })
	})
	b.Run("rate-allow-twice", func(b *testing.B) {
		requests, cost := rate.NewLimiter(rate.Limit(1<<50), 1<<30), rate.NewLimiter(rate.Limit(1<<50), 1<<30)
		parallel(b, func(int) bool { return requests.Allow() && cost.AllowN(time.Now(), 1) })
	})
	b.Run("naive-both", func(b *testing.B) {
		n := newNaive(plenty)
		parallel(b, func(int) bool { return n.allow(1) })
	})
}

// BenchmarkWait has 64 callers wait at a limit with a burst of 1, where each timer that is late could cost a token. What counts is of-limit:
// the rate that they got, as a part of the limit.
func BenchmarkWait(b *testing.B) {
	const perSecond = 10_000
	ctx := context.Background()
	wait := func(b *testing.B, do func(i int) bool) {
		b.SetParallelism(32)
		parallel(b, do)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/perSecond, "of-limit")
	}
	b.Run("limiter", func(b *testing.B) {
		l, err := limiter.New(echo, limiter.Config{Requests: limiter.Limit{Events: perSecond, Per: time.Second, Burst: 1}})
		if err != nil {
			b.Fatal(err)
		}
		wait(b, func(i int) bool { _, err := l.Do(ctx, i); return err == nil })
	})
	b.Run("rate-wait", func(b *testing.B) {
		l := rate.NewLimiter(perSecond, 1)
		wait(b, func(int) bool { return l.Wait(ctx) == nil })
	})
}
