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
	requests int
	callers  int
	size     int
	zipf     float64
	hidden   int
	epochs   int
	overhead time.Duration
	seed     uint64
	data     string
}

const usage = `Predictioncache answers requests for hand-written digits through a cache and a batcher: how much of the
work the cache saves, what callers wait when a popular answer expires, and how a new version of the model
takes over.

Usage: predictioncache [flags]

The exit status is 0, or 1 for a failure, 2 for a bad flag, 130 when interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("predictioncache", flag.ContinueOnError)
	flags.IntVar(&o.requests, "n", 100_000, "number of `requests`, 1 to 10000000")
	flags.IntVar(&o.callers, "callers", 64, "concurrent callers, 1 to 10000")
	flags.IntVar(&o.size, "size", 2000, "`entries` that the cache may keep, 1 to 1000000")
	flags.Float64Var(&o.zipf, "zipf", 1.1, "`exponent` of the popularity of images, more than 1, at most 10")
	flags.IntVar(&o.hidden, "hidden", 128, "`width` of the second model's hidden layer (the first has 32), 1 to 4096")
	flags.IntVar(&o.epochs, "epochs", 2, "`passes` over the images to learn from, 1 to 100")
	flags.DurationVar(&o.overhead, "overhead", 2*time.Millisecond, "what a call of the model takes beside its computation, 0 to 1s")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random but the timing")
	mnist.Flag(flags, &o.data)
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	err := cli.Check(
		cli.Size{Flag: "n", Value: o.requests, Min: 1, Max: 10_000_000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 10_000},
		cli.Size{Flag: "size", Value: o.size, Min: 1, Max: 1_000_000},
		cli.Size{Flag: "hidden", Value: o.hidden, Min: 1, Max: 4096},
		cli.Size{Flag: "epochs", Value: o.epochs, Min: 1, Max: 100},
	)
	if err != nil {
		return err
	}
	if !(o.zipf > 1 && o.zipf <= 10) {
		return fmt.Errorf("-zipf is %v, it must be more than 1 and at most 10", o.zipf)
	}
	if o.overhead < 0 || o.overhead > time.Second {
		return fmt.Errorf("-overhead is %v, it must be from 0 to 1s", o.overhead)
	}
	return nil
}
