package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// options are what the flags say.
type options struct {
	phase    time.Duration
	zipf     float64
	train    int
	seed     uint64
	data     string
	plain    bool
	variants []variant
}

const usage = `Inference sends digits to a network through a cache, a limiter, a bulkhead, a breaker, a batcher and a pool of
sessions: up to twice what its device can answer, while the model's version is swapped and the device fails for a
while. Then it sends the same digits through chains that lack one of these.

Usage: inference [flags]

Ctrl-C stops it; what was measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a bad flag,
130 when interrupted.

`

const (
	minPhase   = 50 * time.Millisecond
	maxPhase   = time.Minute
	quickPhase = 70 * time.Millisecond
	quickTrain = 10_000
)

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	var quick bool
	var without string
	flags := flag.NewFlagSet("inference", flag.ContinueOnError)
	flags.DurationVar(&o.phase, "phase", 600*time.Millisecond, fmt.Sprintf("`duration` of each of the %d phases of a run, %v to %v", phases, minPhase, maxPhase))
	flags.Float64Var(&o.zipf, "zipf", 1.1, "`exponent` of the popularity of the users' images, more than 1, at most 3")
	flags.IntVar(&o.train, "train", 30_000, "`images` to learn from, 100 to 30000")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random but the timing")
	mnist.Flag(flags, &o.data)
	flags.StringVar(&without, "without", "all", "which `layers` to leave out in turn, separated by commas: "+strings.Join(variantKeys(), ", ")+"; all or none")
	flags.BoolVar(&o.plain, "plain", false, "a line each second instead of a picture that moves, also in a terminal")
	flags.BoolVar(&quick, "quick", false, fmt.Sprintf("the same as -phase %v -train %d: some seconds, and figures that say little", quickPhase, quickTrain))
	status, ok = cli.Parse(flags, usage, args, func() (err error) {
		if quick {
			o.phase, o.train = quickPhase, quickTrain
		}
		if o.variants, err = variantsOf(without); err != nil {
			return err
		}
		return o.check()
	}, stderr)
	return o, status, ok
}

func (o *options) check() error {
	if o.phase < minPhase || o.phase > maxPhase {
		return fmt.Errorf("-phase is %v, it must be from %v to %v", o.phase, minPhase, maxPhase)
	}
	if !(o.zipf > 1 && o.zipf <= 3) {
		return fmt.Errorf("-zipf is %v, it must be more than 1 and at most 3", o.zipf)
	}
	return cli.Check(cli.Size{Flag: "train", Value: o.train, Min: 100, Max: 30_000})
}

// variantsOf returns the whole chain, and then those that lack what is named.
func variantsOf(names string) ([]variant, error) {
	if names == "all" {
		return variants, nil
	}
	chosen := variants[:1:1]
	if names == "none" {
		return chosen, nil
	}
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, v := range variants[1:] {
			if v.key == strings.TrimSpace(name) {
				chosen = append(chosen, v)
				continue next
			}
		}
		return nil, fmt.Errorf("-without has %q, it must be of %s", name, strings.Join(variantKeys(), ", "))
	}
	return chosen, nil
}
