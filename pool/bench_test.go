package pool_test

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"testing"

	"github.com/scalable-ai/patterns/pool"
	"golang.org/x/sync/errgroup"
)

const (
	benchCallers = 64
	benchWorkers = 64
)

var sink int

// spin is a request that costs about a tenth of a microsecond.
func spin(_ context.Context, n int) (int, error) {
	x := n
	for range 200 {
		x = x*1664525 + 1013904223
	}
	return x, nil
}

func newPool(b *testing.B) *pool.Pool[int, int] {
	b.Helper()
	p, err := pool.New(spin, pool.Config{Size: benchWorkers})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// callers runs do from benchCallers goroutines.
func callers(ctx context.Context, b *testing.B, do func(ctx context.Context, n int) (int, error)) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(max(1, benchCallers/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := do(ctx, i); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkDo: callers that wait for their answers.
func BenchmarkDo(b *testing.B) {
	b.Run("pool", func(b *testing.B) { callers(context.Background(), b, newPool(b).Do) })
	b.Run("pool-cancellable", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		callers(ctx, b, newPool(b).Do)
	})
	b.Run("channel", func(b *testing.B) {
		c := newChannelPool()
		defer c.close()
		callers(context.Background(), b, c.do)
	})
	b.Run("goroutine", func(b *testing.B) {
		callers(context.Background(), b, func(ctx context.Context, n int) (int, error) {
			answer := make(chan int, 1)
			go func() {
				x, _ := spin(ctx, n)
				answer <- x
			}()
			return <-answer, nil
		})
	})
}

// BenchmarkGo: one producer that submits many requests, and then waits for all.
func BenchmarkGo(b *testing.B) {
	const burst = 1000
	perTask := func(b *testing.B, round func()) {
		b.Helper()
		b.ReportAllocs()
		for range (b.N + burst - 1) / burst {
			round()
		}
	}
	ctx := context.Background()
	b.Run("pool-future", func(b *testing.B) {
		p := newPool(b)
		futures := make([]*pool.Future[int], burst)
		perTask(b, func() {
			for i := range futures {
				futures[i] = p.Go(ctx, i)
			}
			for _, f := range futures {
				x, _ := f.Wait(ctx)
				sink += x
			}
		})
	})
	b.Run("goroutine", func(b *testing.B) {
		perTask(b, func() {
			var wg sync.WaitGroup
			for i := range burst {
				wg.Go(func() { _, _ = spin(ctx, i) })
			}
			wg.Wait()
		})
	})
	b.Run("errgroup", func(b *testing.B) {
		perTask(b, func() {
			var g errgroup.Group
			g.SetLimit(benchWorkers)
			for i := range burst {
				g.Go(func() error {
					_, err := spin(ctx, i)
					return err
				})
			}
			_ = g.Wait()
		})
	})
	b.Run("channel", func(b *testing.B) {
		c := newChannelPool()
		defer c.close()
		perTask(b, func() {
			var wg sync.WaitGroup
			wg.Add(burst)
			for i := range burst {
				c.calls <- channelCall{req: i, wg: &wg}
			}
			wg.Wait()
		})
	})
}

// channelPool is the pool that one writes by hand: workers that range over a channel. No cancellation, no panics.
type channelPool struct {
	calls chan channelCall
	wg    sync.WaitGroup
}

type channelCall struct {
	req    int
	answer chan int
	wg     *sync.WaitGroup
}

func newChannelPool() *channelPool {
	c := &channelPool{calls: make(chan channelCall, 1024)}
	for range benchWorkers {
		c.wg.Go(func() {
			for call := range c.calls {
				x, _ := spin(context.Background(), call.req)
				if call.answer != nil {
					call.answer <- x
				} else {
					call.wg.Done()
				}
			}
		})
	}
	return c
}

func (c *channelPool) do(_ context.Context, n int) (int, error) {
	answer := make(chan int, 1)
	c.calls <- channelCall{req: n, answer: answer}
	return <-answer, nil
}

func (c *channelPool) close() {
	close(c.calls)
	c.wg.Wait()
}

// BenchmarkMap: many items that cost next to nothing. ns/op is the time per item.
func BenchmarkMap(b *testing.B) {
	ctx, workers := context.Background(), runtime.GOMAXPROCS(0)
	numbers := func(n int) iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		}
	}
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for out, err := range pool.Map(ctx, numbers(b.N), spin, pool.MapConfig{}) {
			if err != nil {
				b.Fatal(err)
			}
			sink += out
		}
	})
	b.Run("map-unordered", func(b *testing.B) {
		b.ReportAllocs()
		for out, err := range pool.MapUnordered(ctx, numbers(b.N), spin, pool.MapConfig{}) {
			if err != nil {
				b.Fatal(err)
			}
			sink += out
		}
	})
	// The loop that one writes by hand: results as they come, no errors, no way to stop.
	b.Run("channel", func(b *testing.B) {
		b.ReportAllocs()
		in, out := make(chan int, 64), make(chan int, 64)
		go func() {
			defer close(in)
			for i := range numbers(b.N) {
				in <- i
			}
		}()
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range in {
					x, _ := spin(ctx, i)
					out <- x
				}
			})
		}
		go func() {
			wg.Wait()
			close(out)
		}()
		for x := range out {
			sink += x
		}
	})
	b.Run("loop", func(b *testing.B) { // no concurrency at all
		for i := range numbers(b.N) {
			x, _ := spin(ctx, i)
			sink += x
		}
	})
}
