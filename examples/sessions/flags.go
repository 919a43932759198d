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
	pages   int
	rounds  int
	callers int
	writers int
	page    int
	open    time.Duration
	device  time.Duration
	sick    int
	epochs  int
	seed    uint64
	data    string
}

const usage = `Sessions trains a small network on the MNIST images of hand-written digits and has it read pages of digits for many
concurrent callers, through pools of 1, 2 and 4 sessions that take their time to open. In the middle of each run
one session turns sick.

Usage: sessions [flags]

Ctrl-C stops it; what was measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a
bad flag, 130 when interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("sessions", flag.ContinueOnError)
	flags.IntVar(&o.pages, "pages", 2000, "`pages` to read in each round, by each pool, 1 to 1000000")
	flags.IntVar(&o.rounds, "rounds", 2, "how many `times` to do it, 1 to 1000")
	flags.IntVar(&o.callers, "callers", 32, "concurrent callers, 1 to 10000")
	flags.IntVar(&o.writers, "writers", 64, "`writers` of the pages; the pages of one go to the same session if possible, 1 to 10000")
	flags.IntVar(&o.page, "page", 16, "`digits` on a page, 1 to 1024")
	flags.DurationVar(&o.open, "open", 200*time.Millisecond, "what it takes to open a session, 0 to 1m")
	flags.DurationVar(&o.device, "device", 2*time.Millisecond, "what the device of a session takes for a page, beside what the processor computes, 0 to 1s")
	flags.IntVar(&o.sick, "sick", 700, "the `page` of each round at which a session turns sick; 0: none does")
	flags.IntVar(&o.epochs, "epochs", 2, "`passes` over the 60000 images to learn from, 1 to 100")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random in the training")
	mnist.Flag(flags, &o.data)
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	err := cli.Check(
		cli.Size{Flag: "pages", Value: o.pages, Min: 1, Max: 1_000_000},
		cli.Size{Flag: "rounds", Value: o.rounds, Min: 1, Max: 1000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 10_000},
		cli.Size{Flag: "writers", Value: o.writers, Min: 1, Max: 10_000},
		cli.Size{Flag: "page", Value: o.page, Min: 1, Max: 1024},
		cli.Size{Flag: "epochs", Value: o.epochs, Min: 1, Max: 100},
	)
	if err != nil {
		return err
	}
	if o.sick < 0 || o.sick > o.pages {
		return fmt.Errorf("-sick is %d, it must be from 0 to -pages, %d", o.sick, o.pages)
	}
	if o.device < 0 || o.device > time.Second {
		return fmt.Errorf("-device is %v, it must be from 0 to 1s", o.device)
	}
	if o.open < 0 || o.open > time.Minute {
		return fmt.Errorf("-open is %v, it must be from 0 to 1m", o.open)
	}
	return nil
}
