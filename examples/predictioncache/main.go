// Predictioncache puts a cache and a batcher before a network that reads hand-written digits, and has callers ask for a few images often and for many
// seldom. README.md says how to read what it prints.
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
	return cli.Status(ctx, "predictioncache", show(ctx, o, stdout, stderr), stderr)
}

func show(ctx context.Context, o options, stdout, stderr io.Writer) error {
	trainSet, testSet, err := mnist.Open(ctx, o.data)
	if err != nil {
		return err
	}
	small, err := train(ctx, o, trainSet, stderr, "version 1", 32)
	if err != nil {
		return err
	}
	large, err := train(ctx, o, trainSet, stderr, "version 2", o.hidden)
	if err != nil {
		return err
	}
	models := map[string]*model{"1": newModel(small, o), "2": newModel(large, o)}
	_, _ = fmt.Fprintf(stdout, "images %d, requests %d, callers %d, cache %d entries, Zipf exponent %.2f, call overhead %v\n\n",
		testSet.Len(), o.requests, o.callers, o.size, o.zipf, o.overhead)
	for _, part := range []func(context.Context, options, map[string]*model, *mnist.Set, io.Writer) error{
		showRepeats, showExpiry, showRollout,
	} {
		if err := part(ctx, o, models, testSet, stdout); err != nil {
			return err
		}
	}
	return nil
}

// train makes a network with one hidden layer and has it learn.
func train(ctx context.Context, o options, set *mnist.Set, w io.Writer, name string, hidden int) (*nn.Network, error) {
	network, err := training.Run(ctx, w, set, training.Config{
		Name: "training " + name, Hidden: []int{hidden}, Epochs: o.epochs, Seed: o.seed,
	})
	if err != nil {
		return nil, fmt.Errorf("training %s: %w", name, err)
	}
	return network, nil
}

// slots is how many batches a model runs at a time.
func slots() int { return runtime.GOMAXPROCS(0) }
