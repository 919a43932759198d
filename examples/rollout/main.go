// Rollout is the example of packages ensemble and rollout: models of hand-written digits vote, are stacked and stand in a cascade, and then new
// versions take over under load: at once, in the shadow, and as canaries, one of which is worse without failing. README.md says how to read
// what it prints.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

func main() { cli.Main(run) }

// run is the program. The report goes to stdout, part by part, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status, ok := parseFlags(args, stderr)
	if !ok {
		return status
	}
	return cli.Status(ctx, "rollout", show(ctx, o, stdout, stderr), stderr)
}

// show goes through the parts. Each prints what it has measured, also if it fails or ctx ends while it runs.
func show(ctx context.Context, o options, stdout, stderr io.Writer) error {
	learn, test, err := mnist.Open(ctx, o.data)
	if err != nil {
		return err
	}
	s, err := split(learn, test)
	if err != nil {
		return err
	}
	m, err := train(ctx, o, s, stderr)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "images: %d to learn from, %d to calibrate and stack, %d for thresholds, %d to test\nrequests of a roll-out: %d at most, callers %d, users %d, labelled %s after %d requests\n",
		s.train.Len(), s.calibrate.Len(), s.threshold.Len(), s.test.Len(), o.n, o.callers, o.users, percent(o.labelled, 1), o.delay)
	for _, part := range []func(context.Context, options, *sets, *models, io.Writer) error{
		showVotes, showPartial, showCascade, showSwap, showRollouts,
	} {
		if err := part(ctx, o, s, m, stdout); err != nil {
			return err
		}
	}
	return nil
}

func heading(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, "\n## "+format+"\n\n", args...)
}

func percent[N int | int64 | uint64 | float64](part, whole N) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}
