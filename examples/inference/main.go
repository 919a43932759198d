// Inference puts all the patterns together before a network that reads hand-written digits, and sends it twice what it can answer. README.md says
// how to read what it prints; compose.go is the composition.
package main

import (
	"context"
	"fmt"
	"io"

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
	return cli.Status(ctx, "inference", play(ctx, o, stdout, stderr), stderr)
}

// play sends the same requests through the whole chain and then through chains that lack something, and prints how that went as far as it went.
func play(ctx context.Context, o options, stdout, stderr io.Writer) error {
	w, err := newWorld(ctx, o, stderr)
	if err != nil {
		return err
	}
	p := newPlan(o, w)
	color := !o.plain && term.WantsColor(stdout)
	_, _ = fmt.Fprintf(stdout, "%d requests in %v, each wants its answer within %v; the device can answer %.0f per second in batches of %d\n\n",
		len(p.arrivals), p.total(), objective, capacity, maxBatch)

	first := newTrial(o.variants[0], p)
	watch := newWatch(stdout, !o.plain, color)
	err = first.run(ctx, w, watch.show)
	watch.end(first)
	trials := []*trial{first}

	bar := progress.New(stderr, "comparing", len(p.arrivals)*(len(o.variants)-1))
	for i, v := range o.variants[1:] {
		if err != nil {
			break
		}
		t := newTrial(v, p)
		trials = append(trials, t)
		err = t.run(ctx, w, func(t *trial) { bar.Set(i*len(p.arrivals)+int(t.made.Load()), v.name) })
	}
	bar.End()
	_, _ = io.WriteString(stdout, report(trials, p))
	return err
}
