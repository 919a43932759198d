package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

const (
	champion   = "champion"
	challenger = "challenger"

	swaps       = 10 // hot swaps, to and fro
	streamEvery = 50 // requests, one of which begins a stream
	streamSize  = 5  // images in a stream
)

var versions = [2]string{"1", "2"} // the softmax regression and the small network

// swapped is what was counted while an alias moved.
type swapped struct {
	errors         atomic.Int64
	byVersion      [2]atomic.Int64
	streams, mixed atomic.Int64
	latencies      []time.Duration // of single requests, with those of a stream as 0; ascending in the end

	mu    sync.Mutex
	tooks []time.Duration // of swaps
}

// showSwap moves an alias to and fro between two versions, each time with a new load, while all callers ask.
func showSwap(ctx context.Context, o options, s *sets, m *models, w io.Writer) (err error) {
	f, err := newFleet(s)
	if err != nil {
		return err
	}
	r := &swapped{}
	if err = r.run(ctx, o, s, m, f); err != nil {
		err = fmt.Errorf("hot swaps: %w", err)
	}
	f.close(ctx, &err)
	r.report(f, w)
	return err
}

func (r *swapped) run(ctx context.Context, o options, s *sets, m *models, f *fleet) error {
	for i, m := range []model{m.softmax, m.small} {
		if err := f.register(versions[i], m, "trained at the start"); err != nil {
			return err
		}
	}
	if _, err := f.registry.Deploy(ctx, champion, id(versions[0]), "the first"); err != nil {
		return err
	}
	alias := f.registry.Alias(champion)
	t := traffic{o, s.test, 1}
	n := o.n / 2
	latencies := make([]time.Duration, n)
	count := func(a answer, err error) {
		switch {
		case err != nil:
			r.errors.Add(1)
		case a.version == versions[0]:
			r.byVersion[0].Add(1)
		default:
			r.byVersion[1].Add(1)
		}
	}
	err := spread(ctx, o.callers, n, func(ctx context.Context, i int) error {
		if k := n / (swaps + 1); i%k == 0 && i > 0 && i/k <= swaps {
			if err := r.swap(ctx, f, alias); err != nil {
				return err
			}
		}
		if i%streamEvery == 0 {
			return r.stream(ctx, f, t, i, count)
		}
		began := time.Now()
		a, err := alias.Do(ctx, t.request(i))
		latencies[i] = time.Since(began)
		if ctx.Err() != nil {
			return context.Cause(ctx) // and err is not the registry's
		}
		count(a, err)
		return nil
	})
	for _, l := range latencies {
		if l > 0 {
			r.latencies = append(r.latencies, l)
		}
	}
	slices.Sort(r.latencies)
	slices.Sort(r.tooks)
	return err
}

// swap deploys the version that the alias does not point at, and returns when the other has been unloaded. One at a time: a version cannot be
// loaded while it is unloaded.
func (r *swapped) swap(ctx context.Context, f *fleet, alias *rollout.Alias[request, answer]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := id(versions[0])
	if alias.ID() == next {
		next = id(versions[1])
	}
	began := time.Now()
	if _, err := f.registry.Deploy(ctx, champion, next, "hot swap"); err != nil {
		return err
	}
	r.tooks = append(r.tooks, time.Since(began))
	return nil
}

// stream asks for several images by one lease: all of them must be answered by the same version, wherever the alias points by then.
func (r *swapped) stream(ctx context.Context, f *fleet, t traffic, i int, count func(answer, error)) error {
	lease, err := f.registry.Acquire(champion)
	if err != nil {
		r.errors.Add(1)
		return nil
	}
	defer lease.Release()
	r.streams.Add(1)
	mixed := false
	for range streamSize {
		a, err := lease.Do(ctx, t.request(i))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		count(a, err)
		mixed = mixed || err == nil && a.version != lease.ID().Version
	}
	if mixed {
		r.mixed.Add(1)
	}
	return nil
}

func (r *swapped) report(f *fleet, w io.Writer) {
	answered := r.byVersion[0].Load() + r.byVersion[1].Load()
	heading(w, "Hot swaps under load")
	_, _ = fmt.Fprint(w, term.Table([][]string{
		{"swaps", fmt.Sprint(len(r.tooks))},
		{"requests answered", fmt.Sprint(answered)},
		{"  by version 1, softmax regression", fmt.Sprint(r.byVersion[0].Load())},
		{"  by version 2, small network", fmt.Sprint(r.byVersion[1].Load())},
		{"errors", fmt.Sprint(r.errors.Load())},
		{"requests on a closed model", fmt.Sprint(f.tooLate.Load())},
		{"streams of 5 images by a lease", fmt.Sprint(r.streams.Load())},
		{"  that saw two versions", fmt.Sprint(r.mixed.Load())},
		{"models loaded", fmt.Sprint(f.loaded.Load())},
		{"  closed", fmt.Sprint(f.closed.Load())},
		{"a swap, median: load, warm, move, drain, close", millis(stats.Percentile(r.tooks, 50))},
		{"  the longest", millis(stats.Percentile(r.tooks, 100))},
		{"a request, median", micros(stats.Percentile(r.latencies, 50))},
		{"  99th percentile", micros(stats.Percentile(r.latencies, 99))},
	}))
}
