// Digits is the main example: a network that reads hand-written digits, served to many concurrent callers through package batching, and
// without it. README.md says how to read what it prints.
package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
)

func main() { cli.Main(run) }

// run is the program. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status, ok := parseFlags(args, stderr)
	if !ok {
		return status
	}
	return cli.Status(ctx, "digits", digits(ctx, o, stdout, stderr), stderr)
}

func digits(ctx context.Context, o options, stdout, stderr io.Writer) error {
	_, _ = fmt.Fprintln(stderr, "loading MNIST")
	trainSet, testSet, err := mnist.Open(ctx, o.data)
	if err != nil {
		return err
	}
	if o.n > testSet.Len() {
		return fmt.Errorf("loading MNIST: -n is %d, but there are only %d test images", o.n, testSet.Len())
	}
	network, err := train(ctx, o, trainSet, stderr)
	if err != nil {
		return err
	}
	return compare(ctx, o, network, testSet, stdout, stderr)
}

// compare serves the test images one by one and batched, and prints how that went as far as it went.
func compare(ctx context.Context, o options, network *nn.Network, testSet *mnist.Set, stdout, stderr io.Writer) error {
	slots := runtime.GOMAXPROCS(0) // runs of the model at a time, the same for both ways
	m := newModel(network, slots, o.maxSize)
	classify := m.classify
	if o.backend == "http" {
		server, err := startServer(m, o.maxSize)
		if err != nil {
			return err
		}
		defer server.close()
		client := newClient(server.url)
		defer client.close()
		classify = client.classify
	}
	batcher, err := batching.New(classify, batching.Config{MaxSize: o.maxSize, MaxWait: o.maxWait, Concurrency: slots})
	if err != nil {
		return err
	}
	defer batcher.Close()

	single := &way{name: "one by one", predict: oneByOne(classify)}
	batched := &way{name: "batched", predict: batcher.Do}
	err = serve(ctx, []*way{single, batched}, o, testSet, stderr)
	_, _ = fmt.Fprintf(stdout, "\nmodel %s, backend %s, runs at a time %d; images %d, rounds %d, callers %d\n\n%s",
		o.model, o.backend, slots, o.n, o.rounds, o.callers, report(single, batched, batcher.Stats()))
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
