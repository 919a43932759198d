// Package batching_test compares batchers: 256 callers that wait each for its answer, batches of up to 64, at most a millisecond's wait, and a model
// that costs nothing, so that what is measured is the machinery. Do is with a context that never ends, DoCancellable with one of its own for each caller,
// as that of an HTTP request is.
//
// What differs: the two data loaders are made for one request of a web server each, with a cache of all its answers; here they live long and their caches are
// off, or they would grow without end and answer without the model. The channel that graph-gophers' makes for each batch has room for a batch instead of
// the default of 1000. They start a batch when it is full or the time is over, any number at once; ours runs one
// at a time and sends what waits when it is over. The naive loop knows no errors and no statistics. In DoCancellable a caller's wait ends with
// its context. The data loaders keep a caller waiting whose context has ended, so there their answer is fetched by a goroutine, as one would have to; without
// it theirs is the same work as in Do. What a caller of the loaders or of the naive loop leaves is still executed; ours takes it out of the queue.
package batching_test

import (
	"context"
	"testing"
	"time"

	"github.com/graph-gophers/dataloader/v7"
	"github.com/vikstrous/dataloadgen"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/internal/callers"
)

const (
	clients = 256
	size    = 64
	wait    = time.Millisecond
)

// BenchmarkDo is one request after the other from each caller, with a context that never ends.
func BenchmarkDo(b *testing.B) {
	contenders(b, callers.Background, func(l load) load { return l })
	b.Run("naive-channel", func(b *testing.B) {
		calls := make(chan call)
		go collect(calls)
		defer close(calls)
		callers.Run(b, clients, callers.Background, func(_ context.Context, n int) (int, error) {
			c := call{n, make(chan int, 1)}
			calls <- c
			return <-c.resp, nil
		})
	})
}

// BenchmarkDoCancellable is BenchmarkDo with contexts that can be cancelled.
func BenchmarkDoCancellable(b *testing.B) {
	contenders(b, callers.Cancellable, leaving)
	b.Run("naive-channel-cancellable", func(b *testing.B) {
		calls := make(chan call)
		go collect(calls)
		defer close(calls)
		callers.Run(b, clients, callers.Cancellable, func(ctx context.Context, n int) (int, error) {
			c := call{n, make(chan int, 1)}
			select {
			case calls <- c:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			select {
			case resp := <-c.resp:
				return resp, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
	})
}

// contenders are those that are the same for both. wrap is for those that do not heed the context.
func contenders(b *testing.B, newContext func() (context.Context, context.CancelFunc), wrap func(load) load) {
	b.Run("patterns", func(b *testing.B) {
		batcher, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }, batching.Config{MaxSize: size, MaxWait: wait})
		if err != nil {
			b.Fatal(err)
		}
		defer batcher.Close()
		callers.Run(b, clients, newContext, batcher.Do)
	})
	b.Run("dataloadgen", func(b *testing.B) {
		loader := dataloadgen.NewLoader(func(_ context.Context, keys []int) ([]int, []error) { return keys, nil },
			dataloadgen.WithBatchCapacity(size), dataloadgen.WithWait(wait), dataloadgen.WithoutCache())
		callers.Run(b, clients, newContext, wrap(loader.Load))
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
		callers.Run(b, clients, newContext, wrap(func(ctx context.Context, n int) (int, error) { return loader.Load(ctx, n)() }))
	})
}

type load = func(ctx context.Context, n int) (int, error)

// leaving lets a caller get away from a load that does not heed its context.
func leaving(l load) load {
	type result struct {
		n   int
		err error
	}
	return func(ctx context.Context, n int) (int, error) {
		done := make(chan result, 1)
		go func() {
			n, err := l(ctx, n)
			done <- result{n, err}
		}()
		select {
		case r := <-done:
			return r.n, r.err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
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
