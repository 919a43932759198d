package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

// trial is one run of the plan through a chain, and what was measured of it.
type trial struct {
	variant
	plan  plan
	start time.Time
	made  atomic.Int64
	calls []call
	live  tally

	mu       sync.Mutex
	columns  []column
	mostOpen int           // requests in flight
	swapped  time.Duration // when the new version had taken over; 0: it has not

	outageRuns int64 // batches that the device began while it failed
}

func newTrial(v variant, p plan) *trial { return &trial{variant: v, plan: p} }

// run makes the requests on a device of its own. show is called, by one goroutine at a time, after each column of time.
func (t *trial) run(ctx context.Context, w *world, show func(*trial)) (err error) {
	s := everything()
	t.change(&s)
	versions, err := rollout.NewRegistry[[]request, []answer](rollout.RegistryConfig{})
	if err != nil {
		return err
	}
	c, err := compose(s, versions, w.reviews)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if s.unguarded {
		c.breaker.ForceClosed()
	}
	d := &device{}
	if err := c.deploy(ctx, &model{"1", w.old, d}); err != nil {
		return err
	}

	t.start = time.Now()
	var wg sync.WaitGroup
	var swapErr error
	wg.Go(func() { swapErr = t.swap(ctx, c, &model{"2", w.new, d}) })
	wg.Go(func() { t.breakDevice(ctx, d) })
	wg.Go(func() { t.sample(ctx, c, show) })
	t.drive(ctx, w, c)
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("%s, %d of %d requests made: %w", t.name, len(t.calls), len(t.plan.arrivals), context.Cause(ctx))
	}
	return swapErr
}

// swap deploys the new version at its time.
func (t *trial) swap(ctx context.Context, c *chain, m *model) error {
	if !wait.Until(ctx, t.start.Add(t.plan.start(swap))) {
		return nil
	}
	if err := c.deploy(context.WithoutCancel(ctx), m); err != nil {
		return fmt.Errorf("%s: the new version: %w", t.name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swapped = time.Since(t.start)
	return nil
}

// breakDevice has the device become slow, fail and recover.
func (t *trial) breakDevice(ctx context.Context, d *device) {
	wait.Until(ctx, t.start.Add(t.plan.start(slow)))
	d.slow.Store(true)
	wait.Until(ctx, t.start.Add(t.plan.start(outage)))
	before := d.batches.Load()
	d.fails.Store(true)
	wait.Until(ctx, t.start.Add(t.plan.start(recovery)))
	d.slow.Store(false)
	d.fails.Store(false)
	t.outageRuns = d.batches.Load() - before
}

// drive makes the requests when they are due, whatever became of the earlier ones: new callers do not know how the others fare. It returns when
// all have their results. When ctx ends it makes no more and interrupts those that are under way.
func (t *trial) drive(ctx context.Context, w *world, c *chain) {
	calls := make([]call, len(t.plan.arrivals))
	var wg sync.WaitGroup
	for i, a := range t.plan.arrivals {
		if !wait.Until(ctx, t.start.Add(a.due)) {
			break
		}
		// A copy: requests come over a network, so that the same image is never the same memory.
		r, label := request{a.tenant, writerOf(a.image), nil}, -1
		if a.tenant == importer {
			r.image = slices.Clone(w.archive[a.image])
		} else {
			r.image, label = slices.Clone(w.images[a.image]), int(w.labels[a.image])
		}
		t.live.inFlight.Add(1)
		t.made.Add(1)
		wg.Go(func() {
			calls[i] = t.ask(ctx, c, a, r, label)
			t.live.count[calls[i].result].Add(1)
			t.live.inFlight.Add(-1)
		})
	}
	wg.Wait()
	t.calls = calls[:t.made.Load()]
}

// ask makes one request.
func (t *trial) ask(ctx context.Context, c *chain, a arrival, r request, label int) call {
	at := t.start.Add(a.due)
	begun := time.Since(t.start)
	limit, cancel := context.WithDeadline(ctx, at.Add(objective))
	defer cancel()
	got, err := c.Do(limit, r)
	took := time.Since(at)
	if err == nil && took > objective {
		err = context.DeadlineExceeded
	}
	return call{
		arrival: a, begun: begun, took: took, result: resultOf(ctx, err),
		version: got.version, labelled: label >= 0, right: got.digit == label, review: got.review,
	}
}
