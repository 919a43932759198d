// Package batching_test compares batchers: 256 callers that wait each for its answer, batches of up to 64, at most a millisecond's wait, and a model
// that costs nothing, so that what is measured is the machinery.
//
// What differs: the two data loaders are made for one request of a web server each, with a cache of all its answers; here they live long and their caches are
// off, or they would grow without end and answer without the model. The channel that graph-gophers' makes for each batch has room for a batch instead of
// the default of 1000. They start a batch when it is full or the time is over, any number at once; ours runs one
// at a time and sends what waits when it is over. The naive loop knows no cancellation, no errors and no statistics.
package batching_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/graph-gophers/dataloader/v7"
	"github.com/vikstrous/dataloadgen"

	"github.com/scalable-ai/patterns/batching"
)

const (
	callers = 256
	size    = 64
	wait    = time.Millisecond
)

// run has callers ask do for n requests together; ns/op is the time for one.
func run(b *testing.B, do func(ctx context.Context, n int) (int, error)) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if got, err := do(context.Background(), i); err != nil || got != i {
				b.Errorf("Do(%d) = %d, %v", i, got, err)
				return
			}
		}
	})
}

// BenchmarkDo is one request after the other from each caller.
func BenchmarkDo(b *testing.B) {
	b.Run("patterns", func(b *testing.B) {
		batcher, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }, batching.Config{MaxSize: size, MaxWait: wait})
		if err != nil {
			b.Fatal(err)
		}
		defer batcher.Close()
		run(b, batcher.Do)
	})
	b.Run("dataloadgen", func(b *testing.B) {
		loader := dataloadgen.NewLoader(func(_ context.Context, keys []int) ([]int, []error) { return keys, nil },
			dataloadgen.WithBatchCapacity(size), dataloadgen.WithWait(wait), dataloadgen.WithoutCache())
		run(b, loader.Load)
	})
	b.Run("graph-gophers-dataloader", func(b *testing.B) {
		loader := dataloader.NewBatchedLoader(func(_ context.Context, keys []int) []*dataloader.Result[int] {
			results, all := make([]*dataloader.Result[int], len(keys)), make([]dataloader.Result[int], len(keys))
			for i, key := range keys {
				all[i].Data = key
				results[i] = &all[i]
			}
			return results
		}, dataloader.WithBatchCapacity[int, int](size), dataloader.WithInputCapacity[int, int](size), dataloader.WithWait[int, int](wait),
			dataloader.WithCache[int, int](&dataloader.NoCache[int, int]{}))
		run(b, func(ctx context.Context, n int) (int, error) { return loader.Load(ctx, n)() })
	})
	b.Run("naive-channel", func(b *testing.B) {
		calls := make(chan call)
		go collect(calls)
		defer close(calls)
		run(b, func(_ context.Context, n int) (int, error) {
			c := call{n, make(chan int, 1)}
			calls <- c
			return <-c.resp, nil
		})
	})
}

type call struct {
	req  int
	resp chan int
}

// collect is the loop that one writes by hand.
func collect(calls chan call) {
	timer := time.NewTimer(wait)
	batch := make([]call, 0, size)
	for c := range calls {
		batch = append(batch[:0], c)
		timer.Reset(wait)
	more:
		for len(batch) < size {
			select {
			case c, ok := <-calls:
				if !ok {
					break more
				}
				batch = append(batch, c)
			case <-timer.C:
				break more
			}
		}
		for _, c := range batch {
			c.resp <- c.req
		}
	}
}
