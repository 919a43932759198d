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
	n, callers, users int
	hidden, epochs    int
	worse             int
	labelled          float64
	delay             int
	loss              float64
	deadline          time.Duration
	seed              uint64
	data              string
}

const usage = `Rollout trains models of hand-written digits, has them vote, stacks them, puts them in a cascade, and brings new versions live under
load: by hot swaps, in the shadow, and as canaries.

Usage: rollout [flags]

Ctrl-C stops it; what has been measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a bad flag, 130 when
interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("rollout", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 200_000, "at most so many `requests` in the ramp of a canary, half as many under hot swaps, a quarter for a shadow, 100 to 10000000")
	flags.IntVar(&o.callers, "callers", 8, "concurrent `callers`, 1 to 1000")
	flags.IntVar(&o.users, "users", 1000, "number of `users` that requests come from, 10 to 1000000")
	flags.IntVar(&o.hidden, "hidden", 256, "`width` of the big network's hidden layer, 1 to 4096; the small one's is 32")
	flags.IntVar(&o.epochs, "epochs", 2, "`passes` over the images to learn from, 1 to 100")
	flags.IntVar(&o.worse, "worse", 1000, "`images` that the worse version has learnt from by mistake, 1 to 60000")
	flags.Float64Var(&o.labelled, "labelled", 0.2, "`share` of the answers that a user confirms or corrects, above 0 and up to 1")
	flags.IntVar(&o.delay, "delay", 500, "`requests` that come between an answer and the user's word on it, 0 to 1000000")
	flags.Float64Var(&o.loss, "loss", 0.01, "`accuracy` that the cascade may lose against the big network, above 0 and up to 0.5")
	flags.DurationVar(&o.deadline, "deadline", 20*time.Millisecond, "of an answer when a member hangs, 1ms to 10s")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random but the timing")
	mnist.Flag(flags, &o.data)
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	if !(o.labelled > 0 && o.labelled <= 1) {
		return fmt.Errorf("-labelled is %v, it must be above 0 and at most 1", o.labelled)
	}
	if !(o.loss > 0 && o.loss <= 0.5) {
		return fmt.Errorf("-loss is %v, it must be above 0 and at most 0.5", o.loss)
	}
	if o.deadline < time.Millisecond || o.deadline > 10*time.Second {
		return fmt.Errorf("-deadline is %v, it must be from 1ms to 10s", o.deadline)
	}
	return cli.Check(
		cli.Size{Flag: "n", Value: o.n, Min: 100, Max: 10_000_000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 1000},
		cli.Size{Flag: "users", Value: o.users, Min: 10, Max: 1_000_000},
		cli.Size{Flag: "hidden", Value: o.hidden, Min: 1, Max: 4096},
		cli.Size{Flag: "epochs", Value: o.epochs, Min: 1, Max: 100},
		cli.Size{Flag: "worse", Value: o.worse, Min: 1, Max: 60_000},
		cli.Size{Flag: "delay", Value: o.delay, Min: 0, Max: 1_000_000},
	)
}
