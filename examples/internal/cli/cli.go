// Package cli is what the commands among the examples have in common: flags that are checked, interrupts, and exit statuses.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	OK          = 0
	Failure     = 1
	Usage       = 2
	Interrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

// Main runs a program with the process's arguments and streams, and ends the process. The first Ctrl-C ends the context.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Status is the exit status for what a program's work has returned. It writes the error.
func Status(ctx context.Context, name string, err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return OK
	case ctx.Err() != nil: // then whatever failed did so for this reason
		_, _ = fmt.Fprintf(stderr, "%s: interrupted: %v\n", name, err)
		return Interrupted
	}
	_, _ = fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return Failure
}

// Parse parses the flags, to which no arguments may follow, and checks their values. If they are good it returns true. Otherwise it has
// written the error, or the help, and returns the exit status.
func Parse(flags *flag.FlagSet, usage string, args []string, check func() error, stderr io.Writer) (status int, ok bool) {
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = io.WriteString(stderr, usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return OK, false
	case err != nil:
		return Usage, false // Parse has written it
	}
	err := check()
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\nRun %s -h for help.\n", flags.Name(), err, flags.Name())
		return Usage, false
	}
	return OK, true
}

// Size is the value of a flag and its bounds.
type Size struct {
	Flag            string
	Value, Min, Max int
}

// Check is an error if a value is not within its bounds.
func Check(sizes ...Size) error {
	for _, s := range sizes {
		if s.Value < s.Min || s.Value > s.Max {
			return fmt.Errorf("-%s is %d, it must be from %d to %d", s.Flag, s.Value, s.Min, s.Max)
		}
	}
	return nil
}
