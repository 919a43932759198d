// Package pool_test compares worker pools: 64 workers, and tasks that do two hundred multiplications, one after the other, and do not wait.
//
// What differs: ours and ants-func are made with the function and get its argument, the others get a closure for each task. Ours, ants and pond recover
// panics, and conc hands them to who waits; the others do not. conc and errgroup start anew for each burst, which is how their
// documentation uses them, and run tasks on goroutines of their own. gammazero/workerpool and pond have unbounded queues, ours has room for two bursts;
// ants, conc and errgroup make the submitter wait while all workers are busy. Only ours takes a context for each task. In FireAndForget ours is the method for
// that, Submit, and patterns-go the one that makes a future of each task, at which nobody looks. Where a pool has no results, an answer comes over a channel that is made for the task.
// In Do ours runs a task on the goroutine of its caller, who has a context that never ends and so could not leave before the answer; in DoCancellable it starts
// a goroutine for it, so that the caller can. The others hand each task to a worker in both, through a queue that all share; what that costs is a matter of how near to each other
// the processor's cores are. goroutines have no bound.
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

// BenchmarkDo has callers that wait each for the answer to its task before they go on, with a context that never ends.
func BenchmarkDo(b *testing.B) { benchmarkDo(b, false) }

// BenchmarkDoCancellable is the same for callers that wait until their context ends, of which each has its own, as an HTTP request does.
func BenchmarkDoCancellable(b *testing.B) { benchmarkDo(b, true) }

func benchmarkDo(b *testing.B, cancellable bool) {
	run := func(name string, pool func(b *testing.B) func(ctx context.Context, n int) (int, error)) {
		b.Run(name, func(b *testing.B) {
			do := pool(b)
			b.ReportAllocs()
			b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				ctx := ctx
				if cancellable {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
				}
				for i := 0; pb.Next(); i++ {
					_, err := do(ctx, i)
					check(b, err)
				}
			})
		})
	}
	// await is how a caller of a pool without results gets its answer.
	await := func(ctx context.Context, answer <-chan int) (int, error) {
		if !cancellable {
			return <-answer, nil
		}
		select {
		case x := <-answer:
			return x, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	// submitter makes such a pool of one that takes closures.
	submitter := func(submit func(task func()) error) func(ctx context.Context, n int) (int, error) {
		return func(ctx context.Context, n int) (int, error) {
			answer := make(chan int, 1)
			err := submit(func() {
				x, _ := spin(ctx, n)
				answer <- x
			})
			if err != nil {
				return 0, err
			}
			return await(ctx, answer)
		}
	}
	run("patterns", func(b *testing.B) func(context.Context, int) (int, error) { return newPool(b).Do })
	run("ants-func", func(b *testing.B) func(context.Context, int) (int, error) {
		type task struct {
			ctx    context.Context
			n      int
			answer chan int
		}
		p, err := ants.NewPoolWithFuncGeneric(workers, func(t task) {
			x, _ := spin(t.ctx, t.n)
			t.answer <- x
		})
		check(b, err)
		b.Cleanup(p.Release)
		return func(ctx context.Context, n int) (int, error) {
			answer := make(chan int, 1)
			if err := p.Invoke(task{ctx, n, answer}); err != nil {
				return 0, err
			}
			return await(ctx, answer)
		}
	})
	run("ants", func(b *testing.B) func(context.Context, int) (int, error) {
		p, err := ants.NewPool(workers)
		check(b, err)
		b.Cleanup(p.Release)
		return submitter(p.Submit)
	})
	run("pond", func(b *testing.B) func(context.Context, int) (int, error) {
		p := pond.NewResultPool[int](workers)
		b.Cleanup(p.StopAndWait)
		return func(ctx context.Context, n int) (int, error) {
			t := p.SubmitErr(func() (int, error) { return spin(ctx, n) })
			if cancellable {
				select {
				case <-t.Done():
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
			return t.Wait()
		}
	})
	run("gammazero-workerpool", func(b *testing.B) func(context.Context, int) (int, error) {
		p := workerpool.New(workers)
		b.Cleanup(p.StopWait)
		return submitter(func(task func()) error {
			p.Submit(task)
			return nil
		})
	})
	run("goroutines", func(*testing.B) func(context.Context, int) (int, error) { // no bound at all
		return submitter(func(task func()) error {
			go task()
			return nil
		})
	})
}
