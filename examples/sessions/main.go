// Sessions reads pages of hand-written digits with a network that is used through package session: pools of 1, 2 and 4 sessions, one of
// which turns sick under load. README.md says how to read what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/progress"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	if err = sessions(ctx, o, stdout, stderr); err == nil {
		return exitOK
	}
	if ctx.Err() != nil { // then whatever failed did so for this reason
		_, _ = fmt.Fprintf(stderr, "sessions: interrupted: %v\n", err)
		return exitInterrupted
	}
	_, _ = fmt.Fprintf(stderr, "sessions: %v\n", err)
	return exitFailure
}

func sessions(ctx context.Context, o options, stdout, stderr io.Writer) error {
	_, _ = fmt.Fprintln(stderr, "loading MNIST")
	if o.data == "" {
		dir, err := mnist.Dir(ctx)
		if err != nil {
			return fmt.Errorf("loading MNIST: %w\nname a folder that has them with -data", err)
		}
		o.data = dir
	}
	learn, test, err := mnist.Load(ctx, o.data)
	if err != nil {
		return fmt.Errorf("loading MNIST: %w", err)
	}
	network, err := nn.New(o.seed, mnist.Pixels, 128, mnist.Classes)
	if err != nil {
		return err
	}
	bar := progress.New(stderr, "training", 1000)
	err = network.Train(ctx, learn, nn.Training{
		Epochs: o.epochs, BatchSize: 64, Rate: 0.1, Momentum: 0.9, Seed: o.seed,
		Progress: func(p nn.Progress) { bar.Set(1000*p.Step/p.Steps, fmt.Sprintf("epoch %d", p.Epoch)) },
	})
	bar.End()
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
