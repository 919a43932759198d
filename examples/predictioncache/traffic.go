package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/stats"
)

// traffic is what callers ask for: which image, by its number.
type traffic []int

// zipfTraffic asks for a few images often and for many seldom. Which images are popular depends on the seed.
func zipfTraffic(o options, images int) traffic {
	random := rand.New(rand.NewPCG(o.seed, 2))
	rank := random.Perm(images)
	zipf := rand.NewZipf(random, o.zipf, 1, uint64(images-1))
	t := make(traffic, o.requests)
	for i := range t {
		t[i] = rank[zipf.Uint64()]
	}
	return t
}

// measured is how a run went.
type measured struct {
	latencies []time.Duration // ascending
	elapsed   time.Duration
	correct   int
}

func (m *measured) median() time.Duration { return stats.Percentile(m.latencies, 50) }

func (m *measured) p99() time.Duration { return stats.Percentile(m.latencies, 99) }

func (m *measured) worst() time.Duration { return stats.Percentile(m.latencies, 100) }

// serve has callers ask do for the images, each for the next when it has its answer. version says which model request i is for.
func (t traffic) serve(
	ctx context.Context, callers int, set *mnist.Set, version func(i int) string, do func(context.Context, request) (int, error),
) (*measured, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	m := &measured{latencies: make([]time.Duration, len(t))}
	var next, correct atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(t) {
					return
				}
				// A copy: requests come over a network, so that the same image is never the same memory.
				r := request{version(i), slices.Clone(set.Images[t[i]])}
				asked := time.Now()
				digit, err := do(ctx, r)
				if err != nil {
					fail(err) // stops the others; the first error stays
					return
				}
				m.latencies[i] = time.Since(asked)
				if digit == set.Class(t[i]) {
					correct.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.elapsed, m.correct = time.Since(start), int(correct.Load())
	slices.Sort(m.latencies)
	return m, nil
}
