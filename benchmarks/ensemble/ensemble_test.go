// Package ensemble_test compares how five models are asked in parallel and their answers averaged. The models cost nothing, so that what is measured is the
// machinery: all members must answer, each on a goroutine of its own.
//
// What differs: errgroup cancels the other models when one fails, as ours does, and waits for all of them, however long they take; with the WaitGroup they are
// not even cancelled. Ours gives a panic of a model as an error, does not wait for a model that ignores its context, knows who is missing, and keeps
// statistics. The more the models do, the less all this matters. Both by hand allocate for each call what they need; ours uses it again.
package ensemble_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/scalable-ai/patterns/ensemble"
)

const members = 5

type model = func(ctx context.Context, x float64) (float64, error)

// free is a model. It is not inlined where it is called directly, as it cannot be where it is passed.
//
//go:noinline
func free(_ context.Context, x float64) (float64, error) { return x + 1, nil }

func models() []model {
	all := make([]model, members)
	for i := range all {
		all[i] = free
	}
	return all
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// withErrgroup is the fan-out that one writes with errgroup.
func withErrgroup(models []model) model {
	return func(ctx context.Context, x float64) (float64, error) {
		group, ctx := errgroup.WithContext(ctx)
		results := make([]float64, len(models))
		for i, m := range models {
			group.Go(func() (err error) {
				results[i], err = m(ctx, x)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return 0, err
		}
		return mean(results), nil
	}
}

// withWaitGroup is the fan-out that one writes with the standard library only.
func withWaitGroup(models []model) model {
	return func(ctx context.Context, x float64) (float64, error) {
		var wg sync.WaitGroup
		results, errs := make([]float64, len(models)), make([]error, len(models))
		for i, m := range models {
			wg.Go(func() { results[i], errs[i] = m(ctx, x) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return 0, err
		}
		return mean(results), nil
	}
}

func withOurs(b *testing.B, models []model) model {
	list := make([]ensemble.Member[float64, float64], len(models))
	for i, m := range models {
		list[i] = ensemble.Member[float64, float64]{Name: fmt.Sprint("m", i), Do: m}
	}
	e, err := ensemble.New(list, ensemble.Mean[float64](), ensemble.Config{})
	if err != nil {
		b.Fatal(err)
	}
	return e.Do
}

// contenders runs a benchmark of each with a context that can be cancelled, as that of a request can.
func contenders(b *testing.B, run func(b *testing.B, ask func())) {
	for _, c := range []struct {
		name string
		do   model
	}{
		{"patterns", withOurs(b, models())},
		{"errgroup", withErrgroup(models())},
		{"waitgroup", withWaitGroup(models())},
	} {
		b.Run(c.name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.ReportAllocs()
			run(b, func() {
				if got, err := c.do(ctx, 1); got != 2 || err != nil {
					b.Errorf("Do(1) = %v, %v", got, err)
				}
			})
		})
	}
}

// BenchmarkDo is one caller.
func BenchmarkDo(b *testing.B) {
	contenders(b, func(b *testing.B, ask func()) {
		for b.Loop() {
			ask()
		}
	})
}

// BenchmarkParallel has as many callers as there are processors.
func BenchmarkParallel(b *testing.B) {
	contenders(b, func(b *testing.B, ask func()) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask()
			}
		})
	})
}
