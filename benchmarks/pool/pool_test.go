// Package pool_test compares worker pools: 64 workers, and tasks that do two hundred multiplications, one after the other, and do not wait.
//
// What differs: ours and ants-func are made with the function and get its argument, the others get a closure for each task. Ours, ants and pond recover
// panics, and conc hands them to who waits; the others do not. conc and errgroup start anew for each burst, which is how their
// documentation uses them, and run tasks on goroutines of their own. gammazero/workerpool and pond have unbounded queues, ours has room for two bursts;
// ants, conc and errgroup make the submitter wait while all workers are busy. Only ours takes a context for each task. In FireAndForget ours is the method for
// that, Submit, and patterns-go the one that makes a future of each task, at which nobody looks. Where a pool has no results, an answer comes over a channel that is made for the task.
// A pool hands tasks from the submitter's core to another through a queue that all share; goroutines stay where they were started. What that costs is a matter of how
// near the cores are: on one machine of two cores Do took 1.2 times as long as the goroutines, on another three times. Tasks of some microseconds hide it.
package pool_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/alitto/pond/v2"
	"github.com/gammazero/workerpool"
	"github.com/panjf2000/ants/v2"
	concpool "github.com/sourcegraph/conc/pool"
	"golang.org/x/sync/errgroup"

	"github.com/scalable-ai/patterns/pool"
)

const (
	workers = 64
	burst   = 1000
	callers = 64
)

// spin is the task. It is not inlined: where nobody looks at the result, the compiler would leave the work out.
//
//go:noinline
func spin(_ context.Context, n int) (int, error) {
	x := n
	for range 200 {
		x = x*1664525 + 1013904223
	}
	return x, nil
}

var ctx = context.Background()

// bursts has round submit burst tasks and wait for them, as often as it takes; ns/op is the time for one task.
func bursts(b *testing.B, round func()) {
	b.ReportAllocs()
	b.ResetTimer()
	for range (b.N + burst - 1) / burst {
		round()
	}
}

func newPool(b *testing.B) *pool.Pool[int, int] {
	p, err := pool.New(spin, pool.Config{Size: workers, MaxQueue: 2 * burst})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return p
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkFireAndForget submits tasks without looking at their results, and waits until all are done.
func BenchmarkFireAndForget(b *testing.B) {
	ours := func(submit func(b *testing.B, p *pool.Pool[int, int], n int)) func(b *testing.B) {
		return func(b *testing.B) {
			var wg sync.WaitGroup
			p, err := pool.New(func(ctx context.Context, n int) (int, error) {
				defer wg.Done()
				return spin(ctx, n)
			}, pool.Config{Size: workers, MaxQueue: 2 * burst})
			check(b, err)
			defer p.Close()
			bursts(b, func() {
				wg.Add(burst)
				for i := range burst {
					submit(b, p, i)
				}
				wg.Wait()
			})
		}
	}
	b.Run("patterns", ours(func(b *testing.B, p *pool.Pool[int, int], n int) { check(b, p.Submit(ctx, n)) }))
	b.Run("patterns-go", ours(func(_ *testing.B, p *pool.Pool[int, int], n int) { p.Go(ctx, n) }))
	b.Run("ants", func(b *testing.B) {
		p, err := ants.NewPool(workers)
		check(b, err)
		defer p.Release()
		bursts(b, func() {
			var wg sync.WaitGroup
			wg.Add(burst)
			for i := range burst {
				check(b, p.Submit(func() {
					defer wg.Done()
					_, _ = spin(ctx, i)
				}))
			}
			wg.Wait()
		})
	})
	b.Run("ants-func", func(b *testing.B) {
		var wg sync.WaitGroup
		p, err := ants.NewPoolWithFuncGeneric(workers, func(n int) {
			defer wg.Done()
			_, _ = spin(ctx, n)
		})
		check(b, err)
		defer p.Release()
		bursts(b, func() {
			wg.Add(burst)
			for i := range burst {
				check(b, p.Invoke(i))
			}
			wg.Wait()
		})
	})
	b.Run("pond", func(b *testing.B) {
		p := pond.NewPool(workers)
		defer p.StopAndWait()
		bursts(b, func() {
			var wg sync.WaitGroup
			wg.Add(burst)
			for i := range burst {
				check(b, p.Go(func() {
					defer wg.Done()
					_, _ = spin(ctx, i)
				}))
			}
			wg.Wait()
		})
	})
	b.Run("gammazero-workerpool", func(b *testing.B) {
		p := workerpool.New(workers)
		defer p.StopWait()
		bursts(b, func() {
			var wg sync.WaitGroup
			wg.Add(burst)
			for i := range burst {
				p.Submit(func() {
					defer wg.Done()
					_, _ = spin(ctx, i)
				})
			}
			wg.Wait()
		})
	})
	b.Run("conc", func(b *testing.B) {
		bursts(b, func() {
			p := concpool.New().WithMaxGoroutines(workers)
			for i := range burst {
				p.Go(func() { _, _ = spin(ctx, i) })
			}
			p.Wait()
		})
	})
	b.Run("errgroup", func(b *testing.B) {
		bursts(b, func() {
			var g errgroup.Group
			g.SetLimit(workers)
			for i := range burst {
				g.Go(func() error {
					_, err := spin(ctx, i)
					return err
				})
			}
			check(b, g.Wait())
		})
	})
	b.Run("goroutines", func(b *testing.B) { // no bound at all
		bursts(b, func() {
			var wg sync.WaitGroup
			for i := range burst {
				wg.Go(func() { _, _ = spin(ctx, i) })
			}
			wg.Wait()
		})
	})
}

// BenchmarkResult submits tasks and then fetches the result and the error of each.
func BenchmarkResult(b *testing.B) {
	b.Run("patterns", func(b *testing.B) {
		p, futures := newPool(b), make([]*pool.Future[int], burst)
		bursts(b, func() {
			for i := range burst {
				futures[i] = p.Go(ctx, i)
			}
			for _, f := range futures {
				_, err := f.Wait(ctx)
				check(b, err)
			}
		})
	})
	b.Run("pond", func(b *testing.B) {
		p, tasks := pond.NewResultPool[int](workers), make([]pond.ResultTask[int], burst)
		defer p.StopAndWait()
		bursts(b, func() {
			for i := range burst {
				tasks[i] = p.SubmitErr(func() (int, error) { return spin(ctx, i) })
			}
			for _, t := range tasks {
				_, err := t.Wait()
				check(b, err)
			}
		})
	})
	b.Run("pond-group", func(b *testing.B) {
		p := pond.NewResultPool[int](workers)
		defer p.StopAndWait()
		bursts(b, func() {
			group := p.NewGroup()
			for i := range burst {
				group.SubmitErr(func() (int, error) { return spin(ctx, i) })
			}
			_, err := group.Wait()
			check(b, err)
		})
	})
	b.Run("conc", func(b *testing.B) {
		bursts(b, func() {
			p := concpool.NewWithResults[int]().WithMaxGoroutines(workers).WithErrors()
			for i := range burst {
				p.Go(func() (int, error) { return spin(ctx, i) })
			}
			_, err := p.Wait()
			check(b, err)
		})
	})
	b.Run("errgroup", func(b *testing.B) {
		results := make([]int, burst)
		bursts(b, func() {
			var g errgroup.Group
			g.SetLimit(workers)
			for i := range burst {
				g.Go(func() (err error) {
					results[i], err = spin(ctx, i)
					return err
				})
			}
			check(b, g.Wait())
		})
	})
}

// BenchmarkDo has callers that wait each for the answer to its task before they go on.
func BenchmarkDo(b *testing.B) {
	do := func(b *testing.B, do func(n int) int) {
		b.ReportAllocs()
		b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				do(i)
			}
		})
	}
	b.Run("patterns", func(b *testing.B) {
		p := newPool(b)
		do(b, func(n int) int {
			x, err := p.Do(ctx, n)
			check(b, err)
			return x
		})
	})
	b.Run("ants-func", func(b *testing.B) {
		type task struct {
			n      int
			answer chan int
		}
		p, err := ants.NewPoolWithFuncGeneric(workers, func(t task) {
			x, _ := spin(ctx, t.n)
			t.answer <- x
		})
		check(b, err)
		defer p.Release()
		do(b, func(n int) int {
			answer := make(chan int, 1)
			check(b, p.Invoke(task{n, answer}))
			return <-answer
		})
	})
	b.Run("ants", func(b *testing.B) {
		p, err := ants.NewPool(workers)
		check(b, err)
		defer p.Release()
		do(b, func(n int) int {
			answer := make(chan int, 1)
			check(b, p.Submit(func() {
				x, _ := spin(ctx, n)
				answer <- x
			}))
			return <-answer
		})
	})
	b.Run("pond", func(b *testing.B) {
		p := pond.NewResultPool[int](workers)
		defer p.StopAndWait()
		do(b, func(n int) int {
			x, err := p.SubmitErr(func() (int, error) { return spin(ctx, n) }).Wait()
			check(b, err)
			return x
		})
	})
	b.Run("gammazero-workerpool", func(b *testing.B) {
		p := workerpool.New(workers)
		defer p.StopWait()
		do(b, func(n int) int {
			answer := make(chan int, 1)
			p.Submit(func() {
				x, _ := spin(ctx, n)
				answer <- x
			})
			return <-answer
		})
	})
	b.Run("goroutines", func(b *testing.B) { // no bound at all
		do(b, func(n int) int {
			answer := make(chan int, 1)
			go func() {
				x, _ := spin(ctx, n)
				answer <- x
			}()
			return <-answer
		})
	})
}
