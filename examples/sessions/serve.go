package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/progress"
	"github.com/scalable-ai/patterns/pool/session"
)

// result is what was measured with pools of one size, over all rounds.
type result struct {
	sessions  int
	latencies []time.Duration // of the pages that were read
	digits    int             // on them
	correct   int
	repeated  int           // calls that met a sick session
	elapsed   time.Duration // of reading
	opening   time.Duration // until all sessions were in service
	recovery  time.Duration // from the fault until all sessions were in service again
	recovered int           // how often
	stats     session.Stats // summed up
}

// serve has the pools read the pages in turn, so that whatever else the machine does meanwhile hits all of them.
func serve(ctx context.Context, o options, network *nn.Network, set *mnist.Set, sizes []int, w io.Writer) ([]*result, error) {
	results := make([]*result, len(sizes))
	for i, size := range sizes {
		results[i] = &result{sessions: size}
	}
	bar := progress.New(w, "serving ", o.rounds*len(sizes))
	defer bar.End()
	for round := range o.rounds {
		for i, r := range results {
			if err := r.round(ctx, o, network, set); err != nil {
				return results, err
			}
			bar.Set(round*len(results)+i+1, fmt.Sprintf("%d sessions: %.0f pages/s", r.sessions, r.throughput()))
		}
	}
	return results, nil
}

// round reads the pages with a new pool. When ctx ends it counts what was read and returns context.Cause(ctx).
func (r *result) round(ctx context.Context, o options, network *nn.Network, set *mnist.Set) error {
	b := &backend{network: network, page: o.page, takes: o.open, device: o.device, sickAt: int64(o.sick)}
	events := &watch{}
	pool, err := session.New(b.open, b.close, b.read,
		session.Config{Min: r.sessions, Max: r.sessions, OnOpen: events.opened, OnClose: events.closed},
		session.WithKey(func(p page) int { return p.writer }))
	if err != nil {
		return err
	}
	defer pool.Close()

	began := time.Now()
	if err := pool.Ready(ctx); err != nil {
		return err
	}
	r.opening += time.Since(began)
	events.start()
	err = r.read(ctx, o, pool.Do, set)
	if err == nil && o.sick > 0 {
		err = pool.Ready(ctx) // the last session may still be on its way
	}
	_ = pool.Close() // the books are complete then; it never fails
	r.add(pool.Stats())
	if took := events.recovery(); took > 0 {
		r.recovery += took
		r.recovered++
	}
	return err
}

// read has callers ask for one page after the other, each when it has the last.
func (r *result) read(ctx context.Context, o options, do session.Func[page, []int], set *mnist.Set) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var (
		wg        sync.WaitGroup
		next      atomic.Int64
		repeated  atomic.Int64
		correct   = make([]int, o.pages)
		latencies = make([]time.Duration, o.pages) // 0: not read
		start     = time.Now()
	)
	for range o.callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= o.pages {
					return
				}
				first := i * o.page
				p := page{writer: i % o.writers, images: make([]mnist.Image, o.page)}
				for j := range p.images {
					p.images[j] = set.Images[(first+j)%set.Len()]
				}
				asked := time.Now()
				digits, err := do(ctx, p)
				for errors.Is(err, errSick) { // another session is not
					repeated.Add(1)
					digits, err = do(ctx, p)
				}
				if err != nil {
					fail(err) // stops the others; the first error stays
					return
				}
				latencies[i] = max(time.Since(asked), 1)
				for j, digit := range digits {
					if digit == set.Class((first+j)%set.Len()) {
						correct[i]++
					}
				}
			}
		})
	}
	wg.Wait()
	r.elapsed += time.Since(start)
	r.repeated += int(repeated.Load())
	for i, latency := range latencies {
		if latency > 0 {
			r.latencies = append(r.latencies, latency)
			r.correct += correct[i]
			r.digits += o.page
		}
	}
	return context.Cause(ctx)
}

// throughput is in pages per second.
func (r *result) throughput() float64 {
	if r.elapsed == 0 {
		return 0
	}
	return float64(len(r.latencies)) / r.elapsed.Seconds()
}

// add sums up what the report shows.
func (r *result) add(s session.Stats) {
	r.stats.AffinityHits += s.AffinityHits
	r.stats.AffinityMisses += s.AffinityMisses
	r.stats.Opened += s.Opened
	r.stats.Closes.Bad += s.Closes.Bad
}

// watch measures how long it takes from the fault of a session until another is in its place.
type watch struct {
	mu           sync.Mutex
	begun        bool
	sick, healed time.Time
}

// start is called when the first sessions are in service.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = true
}

func (w *watch) closed(e session.CloseEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Reason == session.ReasonBad {
		w.sick = time.Now()
	}
}

func (w *watch) opened(e session.OpenEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun && e.Err == nil && !w.sick.IsZero() {
		w.healed = time.Now()
	}
}

func (w *watch) recovery() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.healed.IsZero() {
		return 0
	}
	return w.healed.Sub(w.sick)
}
