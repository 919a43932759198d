package batching_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/internal/callers"
)

const (
	benchCallers = 256
	benchSize    = 64
)

// free is a model that costs nothing, so that what is measured is the machinery.
func free(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }

// BenchmarkDo compares the batcher with what one would write by hand. ns/op is the time per item.
func BenchmarkDo(b *testing.B) {
	cfg := batching.Config{MaxSize: benchSize, MaxWait: time.Millisecond}
	run := func(b *testing.B, newContext func() (context.Context, context.CancelFunc)) {
		batcher, err := batching.New(free, cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer batcher.Close()
		callers.Run(b, benchCallers, newContext, batcher.Do)
		b.ReportMetric(batcher.Stats().MeanBatchSize(), "items/batch")
	}
	b.Run("batcher", func(b *testing.B) { run(b, callers.Background) })
	b.Run("batcher-cancellable", func(b *testing.B) { run(b, callers.Cancellable) })
	b.Run("naive-channel", func(b *testing.B) {
		naive := newNaive(cfg.MaxSize, cfg.MaxWait)
		callers.Run(b, benchCallers, callers.Background, naive.do)
		naive.close()
		b.ReportMetric(float64(naive.items)/float64(naive.batches), "items/batch")
	})
	b.Run("naive-channel-cancellable", func(b *testing.B) {
		naive := newNaive(cfg.MaxSize, cfg.MaxWait)
		callers.Run(b, benchCallers, callers.Cancellable, naive.doCancellable)
		naive.close()
		b.ReportMetric(float64(naive.items)/float64(naive.batches), "items/batch")
	})
}

// BenchmarkShortModel has models that compute on each processor for a short time. How many items share a batch is up to the
// scheduler: it must not go on with the caller that was woken last, alone.
func BenchmarkShortModel(b *testing.B) {
	for _, each := range []time.Duration{5 * time.Microsecond, 50 * time.Microsecond} {
		b.Run(each.String(), func(b *testing.B) {
			compute := func(_ context.Context, reqs []int) ([]int, error) {
				takes := each + time.Duration(len(reqs))*each/2
				for began := time.Now(); time.Since(began) < takes; {
				}
				return reqs, nil
			}
			batcher, err := batching.New(compute, batching.Config{MaxSize: benchSize, Concurrency: runtime.GOMAXPROCS(0)})
			if err != nil {
				b.Fatal(err)
			}
			defer batcher.Close()
			callers.Run(b, benchCallers, callers.Background, batcher.Do)
			b.ReportMetric(batcher.Stats().MeanBatchSize(), "items/batch")
		})
	}
}

// BenchmarkDepth shows what a request costs with few and with many others waiting before it. All of them are parked callers, so part
// of what many cost more is memory that no cache holds.
func BenchmarkDepth(b *testing.B) {
	for _, policy := range []batching.Policy{batching.Window(), batching.Deadline(time.Hour)} {
		for _, depth := range []int{100, 10_000} {
			name, _, _ := strings.Cut(policy.String(), "(")
			b.Run(fmt.Sprintf("%s-%d", name, depth), func(b *testing.B) {
				batcher, err := batching.New(free, batching.Config{MaxSize: benchSize, MaxQueue: 1 << 20, Policy: policy})
				if err != nil {
					b.Fatal(err)
				}
				defer batcher.Close()
				callers.Run(b, depth+benchSize, callers.Background, batcher.Do)
			})
		}
	}
}

// naive is the batcher that one writes by hand: a goroutine that collects from a channel with a timer and answers over
// a channel per request. No errors per item, no stats, and no cancellation but for that in doCancellable.
type naive struct {
	calls          chan naiveCall
	stopped        chan struct{}
	items, batches int
}

type naiveCall struct {
	req  int
	resp chan int
}

func newNaive(size int, wait time.Duration) *naive {
	n := &naive{calls: make(chan naiveCall), stopped: make(chan struct{})}
	go n.loop(size, wait)
	return n
}

func (n *naive) do(_ context.Context, req int) (int, error) {
	call := naiveCall{req, make(chan int, 1)}
	n.calls <- call
	return <-call.resp, nil
}

// doCancellable is do for a caller that may leave. What it leaves is executed all the same.
func (n *naive) doCancellable(ctx context.Context, req int) (int, error) {
	call := naiveCall{req, make(chan int, 1)}
	select {
	case n.calls <- call:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case resp := <-call.resp:
		return resp, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (n *naive) loop(size int, wait time.Duration) {
	defer close(n.stopped)
	timer := time.NewTimer(wait)
	batch := make([]naiveCall, 0, size)
	reqs := make([]int, 0, size)
	for call := range n.calls {
		batch, reqs = append(batch[:0], call), append(reqs[:0], call.req)
		timer.Reset(wait)
	collect:
		for len(batch) < size {
			select {
			case call, ok := <-n.calls:
				if !ok {
					break collect
				}
				batch, reqs = append(batch, call), append(reqs, call.req)
			case <-timer.C:
				break collect
			}
		}
		resps, _ := free(context.Background(), reqs)
		for i, call := range batch {
			call.resp <- resps[i]
		}
		n.items += len(batch)
		n.batches++
	}
}

func (n *naive) close() {
	close(n.calls)
	<-n.stopped
}
