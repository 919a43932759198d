package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// errEnough ends a spread without an error.
var errEnough = errors.New("enough")

// spread has callers do the work for the numbers from 0 to n-1, each for the next when it is done. It ends early with the first error, or the end of ctx.
func spread(ctx context.Context, callers, n int, work func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var enough atomic.Bool
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil && !enough.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(ctx, i); errors.Is(err, errEnough) {
					enough.Store(true) // what the others do is done to its end
				} else if err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// counted has callers ask for the digits of all images, and returns how many are right.
func counted(ctx context.Context, callers int, set *mnist.Set, ask func(ctx context.Context, image mnist.Image) (int, error)) (right int64, err error) {
	var count atomic.Int64
	err = spread(ctx, callers, set.Len(), func(ctx context.Context, i int) error {
		d, err := ask(ctx, set.Images[i])
		if err == nil && d == set.Class(i) {
			count.Add(1)
		}
		return err
	})
	return count.Load(), err
}

// outputs are what a model says to all images.
func outputs(ctx context.Context, callers int, m model, set *mnist.Set) ([][]float64, error) {
	all := make([][]float64, set.Len())
	return all, spread(ctx, callers, len(all), func(_ context.Context, i int) error {
		all[i] = m.probabilities(set.Images[i])
		return nil
	})
}
