package session_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/scalable-ai/patterns/pool/session"
)

const benchSessions = 4

// work is what a request does: a few hundred nanoseconds, far less than any model, so that what is measured is the machinery.
func work(_ context.Context, s *int, r int) (int, error) {
	x := r
	for range 200 {
		x = x*31 + 1
	}
	*s = x
	return r, nil
}

func newSession(context.Context) (*int, error) { return new(int), nil }

// callers runs do from 64 goroutines.
func callers(b *testing.B, do session.Func[int, int]) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for i := 0; pb.Next(); i++ {
			if got, err := do(ctx, i); err != nil || got != i {
				b.Errorf("Do(%d) = %d, %v", i, got, err)
				return
			}
		}
	})
}

// BenchmarkDo compares the pool with what one would write by hand: a channel of sessions.
func BenchmarkDo(b *testing.B) {
	run := func(b *testing.B, cfg session.Config, opts ...session.Option) {
		cfg.Min = benchSessions
		p, err := session.New(newSession, func(*int) {}, work, cfg, opts...)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		if err := p.Ready(context.Background()); err != nil {
			b.Fatal(err)
		}
		callers(b, p.Do)
	}
	b.Run("pool", func(b *testing.B) { run(b, session.Config{}) })
	b.Run("pool-affinity", func(b *testing.B) {
		run(b, session.Config{}, session.WithKey(func(r int) int { return r % 256 }))
	})
	b.Run("pool-thread", func(b *testing.B) { run(b, session.Config{LockThread: true}) })
	b.Run("naive-channel", func(b *testing.B) {
		idle := make(chan *int, benchSessions)
		for range benchSessions {
			idle <- new(int)
		}
		callers(b, func(ctx context.Context, r int) (int, error) {
			select {
			case s := <-idle:
				defer func() { idle <- s }()
				return work(ctx, s, r)
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		})
	})
}

// BenchmarkIdle is a single caller, who never waits.
func BenchmarkIdle(b *testing.B) {
	p, err := session.New(newSession, func(*int) {}, work, session.Config{Min: benchSessions})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	if err := p.Ready(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Do(context.Background(), 1)
	}
}
