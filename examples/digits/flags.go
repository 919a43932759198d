package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// options are what the flags say.
type options struct {
	n       int
	rounds  int
	callers int
	maxSize int
	maxWait time.Duration
	backend string
	model   string
	epochs  int
	seed    uint64
	data    string
}

const usage = `Digits trains a small network on the MNIST images of hand-written digits and has it answer the test
images for many concurrent callers: one request at a time, and batched.

Usage: digits [flags]

Ctrl-C stops it; what was measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a
bad flag, 130 when interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("digits", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 10_000, "number of test `images` to answer, 1 to 10000")
	flags.IntVar(&o.rounds, "rounds", 5, "how many `times` to answer them, 1 to 1000")
	flags.IntVar(&o.callers, "callers", 256, "concurrent callers, 1 to 10000")
	flags.IntVar(&o.maxSize, "max-size", 64, "largest batch, 1 to 1024 `requests`")
	flags.DurationVar(&o.maxWait, "max-wait", 0, "longest a request waits for company while the model is free, 0 to 1s")
	flags.StringVar(&o.backend, "backend", "http", "`where` the model runs: http (behind a server on the loopback interface) or local (in the process)")
	flags.StringVar(&o.model, "model", "mlp", "the `kind` of model: mlp (784-512-10, about 98% accurate) or softmax (784-10, about 92%)")
	flags.IntVar(&o.epochs, "epochs", 5, "`passes` over the 60000 images to learn from, 1 to 100")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random in the training")
	mnist.Flag(flags, &o.data)
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	err := cli.Check(
		cli.Size{Flag: "n", Value: o.n, Min: 1, Max: 10_000},
		cli.Size{Flag: "rounds", Value: o.rounds, Min: 1, Max: 1000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 10_000},
		cli.Size{Flag: "max-size", Value: o.maxSize, Min: 1, Max: 1024},
		cli.Size{Flag: "epochs", Value: o.epochs, Min: 1, Max: 100},
	)
	if err != nil {
		return err
	}
	if o.maxWait < 0 || o.maxWait > time.Second {
		return fmt.Errorf("-max-wait is %v, it must be from 0 to 1s", o.maxWait)
	}
	if o.backend != "http" && o.backend != "local" {
		return fmt.Errorf("-backend is %q, it must be http or local", o.backend)
	}
	if o.model != "mlp" && o.model != "softmax" {
		return fmt.Errorf("-model is %q, it must be mlp or softmax", o.model)
	}
	return nil
}
