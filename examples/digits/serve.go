package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/progress"
)

// way is one way of serving, and what was measured of it.
type way struct {
	name    string
	predict batching.Func[mnist.Image, int]

	elapsed   time.Duration
	latencies []time.Duration // of the answered requests
	correct   int             // how many of these were right
}

// oneByOne is what a service does without a batcher: each caller runs the model for its own request.
func oneByOne(run batching.RunFunc[mnist.Image, int]) batching.Func[mnist.Image, int] {
	return func(ctx context.Context, image mnist.Image) (int, error) {
		digits, err := run(ctx, []mnist.Image{image})
		if err != nil {
			return 0, err
		}
		return digits[0], nil
	}
}

// serve has all ways answer the images, in turn, so that whatever else the machine does meanwhile hits all of them.
func serve(ctx context.Context, ways []*way, o options, set *mnist.Set, w io.Writer) error {
	bar := progress.New(w, "serving ", o.rounds*len(ways))
	defer bar.End()
	for round := range o.rounds {
		for i, way := range ways {
			if err := way.round(ctx, set, o.n, o.callers); err != nil {
				return err
			}
			bar.Set(round*len(ways)+i+1, rates(ways))
		}
	}
	return nil
}

func rates(ways []*way) string {
	var parts []string
	for _, way := range ways {
		parts = append(parts, fmt.Sprintf("%s %.0f/s", way.name, way.throughput()))
	}
	return strings.Join(parts, ", ")
}

// round has the first n images answered for the given number of callers, each of which sends its next request when it has
// the answer to the last. When ctx ends it counts what is answered and returns context.Cause(ctx).
func (w *way) round(ctx context.Context, set *mnist.Set, n, callers int) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var (
		wg        sync.WaitGroup
		next      atomic.Int64
		digits    = make([]int, n)
		latencies = make([]time.Duration, n) // 0: not answered
		start     = time.Now()
	)
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				asked := time.Now()
				digit, err := w.predict(ctx, set.Images[i])
				if err != nil {
					fail(err) // stops the others; the first error stays
					return
				}
				digits[i], latencies[i] = digit, max(time.Since(asked), 1)
			}
		})
	}
	wg.Wait()
	w.elapsed += time.Since(start)
	for i, latency := range latencies {
		if latency == 0 {
			continue
		}
		w.latencies = append(w.latencies, latency)
		if digits[i] == set.Class(i) {
			w.correct++
		}
	}
	return context.Cause(ctx)
}

// throughput is in requests per second.
func (w *way) throughput() float64 {
	if w.elapsed == 0 {
		return 0
	}
	return float64(len(w.latencies)) / w.elapsed.Seconds()
}
