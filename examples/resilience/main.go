// Resilience shows what a limiter, a bulkhead and a circuit breaker do for callers of a back-end that becomes slow and then fails.
// README.md says how to read what it prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/progress"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

func main() { cli.Main(run) }

// run is the program. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status, ok := parseFlags(args, stderr)
	if !ok {
		return status
	}
	return cli.Status(ctx, "resilience", compare(ctx, o, connect, stdout, stderr), stderr)
}

// connector makes a back-end reachable: connect, or something without a network in tests.
type connector func(*backend) (ask call, stop func() error, err error)

// compare sends the traffic twice, and prints how that went as far as it went.
func compare(ctx context.Context, o options, to connector, stdout, stderr io.Writer) error {
	without := &trial{name: "without patterns"}
	with := &trial{name: "with patterns", layers: o.layers}
	trials := []*trial{without, with}
	times := arrivals(o.rate, schedule(o.phase).total(), o.seed)
	bar := progress.New(stderr, "calling", len(times)*len(trials))
	var err error
	for i, t := range trials {
		err = t.run(ctx, schedule(o.phase), times, to, func(made int, note string) { bar.Set(i*len(times)+made, note) })
		if err != nil {
			break
		}
	}
	bar.End()
	_, _ = fmt.Fprintf(stdout, "\n%d calls per second, each wants its answer within %v; the back-end can give %d per second\n\n%s",
		o.rate, timeout, capacity, report(without, with, schedule(o.phase), !o.plain && term.WantsColor(stdout)))
	return err
}

// trial is one run of the traffic and what was measured of it.
type trial struct {
	name   string
	layers layers

	calls    []asked
	complete bool // not interrupted
	inFlight [columns]int
	states   [columns]int // of the breaker, see rank
	wasted   int64        // requests that the back-end worked on for callers that had gone
}

// run makes the calls on a back-end of its own.
func (t *trial) run(ctx context.Context, s schedule, times []time.Duration, to connector, show func(made int, note string)) error {
	start := time.Now()
	load, state := newTrack(start, s), newTrack(start, s)
	b := newBackend(func() condition { return s.condition(time.Since(start)) }, load)
	ask, stop, err := to(b)
	if err != nil {
		return err
	}
	if ask, err = protect(ask, t.layers, func(now breaker.State) { state.set(rank(now)) }); err == nil {
		t.calls = drive(ctx, start, times, ask, func(made int) {
			show(made, fmt.Sprintf("%s: %s, %d in flight", t.name, s.at(time.Since(start)), load.value()))
		})
		if t.complete = ctx.Err() == nil; !t.complete {
			err = fmt.Errorf("%s, %d of %d calls made: %w", t.name, len(t.calls), len(times), context.Cause(ctx))
		}
		t.inFlight, t.states, t.wasted = load.peaks(), state.peaks(), b.wasted.Load()
	}
	b.close()
	return errors.Join(err, stop())
}

// rank orders the states of a breaker such that of those in one column of a timeline the highest is what matters.
func rank(s breaker.State) int {
	switch s {
	case breaker.StateHalfOpen:
		return 2
	case breaker.StateOpen:
		return 1
	}
	return 0
}
