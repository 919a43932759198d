// Sessions reads pages of hand-written digits with a network that is used through package session: pools of 1, 2 and 4 sessions, one of
// which turns sick under load. README.md says how to read what it prints.
package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

func main() { cli.Main(run) }

// run is the program. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status, ok := parseFlags(args, stderr)
	if !ok {
		return status
	}
	return cli.Status(ctx, "sessions", sessions(ctx, o, stdout, stderr), stderr)
}

func sessions(ctx context.Context, o options, stdout, stderr io.Writer) error {
	_, _ = fmt.Fprintln(stderr, "loading MNIST")
	learn, test, err := mnist.Open(ctx, o.data)
	if err != nil {
		return err
	}
	network, err := training.Run(ctx, stderr, learn, training.Config{
		Name: "training", Hidden: []int{128}, Epochs: o.epochs, Seed: o.seed,
		Note: func(p nn.Progress) string { return fmt.Sprintf("epoch %d", p.Epoch) },
	})
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	results, err := serve(ctx, o, network, test, []int{1, 2, 4}, stderr)
	_, _ = fmt.Fprintf(stdout, "\npages %d of %d digits, rounds %d, callers %d, writers %d, cores %d\na session opens in %v, its device takes %v for a page\n\n%s",
		o.pages, o.page, o.rounds, o.callers, o.writers, runtime.GOMAXPROCS(0), o.open, o.device, report(results))
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
