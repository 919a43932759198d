// Rebalance is the example of package sharding: a cluster of in-process shards under load grows from 4 to 5 nodes without a pause, and then loses
// one. README.md says how to read what it prints.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/scalable-ai/patterns/examples/internal/cli"
)

func main() { cli.Main(run) }

// run is the program. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, status, ok := parseFlags(args, stderr)
	if !ok {
		return status
	}
	h, err := play(ctx, o, stderr)
	if h != nil && len(h.phases) > 0 {
		_, _ = io.WriteString(stdout, report(o, h))
	}
	return cli.Status(ctx, "rebalance", err, stderr)
}

// options are what the flags say.
type options struct {
	users, requests, callers, batch int
	zipf                            float64
	seed                            uint64
}

const usage = `Rebalance has a cluster of 4 in-process shards answer requests for the features of users, while it grows to 5 and then loses one.

Usage: rebalance [flags]

Ctrl-C stops it; the phases that are over by then are printed. The exit status is 0, or 1 for a failure, 2 for a bad flag, 130 when
interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("rebalance", flag.ContinueOnError)
	flags.IntVar(&o.users, "users", 100_000, "number of `users` with features, 100 to 10000000")
	flags.IntVar(&o.requests, "requests", 20_000, "`requests` in each phase, 1 to 10000000")
	flags.IntVar(&o.callers, "callers", 8, "concurrent `callers`, 1 to 1000")
	flags.IntVar(&o.batch, "batch", 20, "`users` in a request, 1 to 1000")
	flags.Float64Var(&o.zipf, "zipf", 1.1, "the `exponent` of the load: user i is asked for in proportion to 1/i^exponent; above 1, up to 3")
	flags.Uint64Var(&o.seed, "seed", 1, "decides which users are asked for")
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	if !(o.zipf > 1 && o.zipf <= 3) {
		return fmt.Errorf("-zipf is %v, it must be above 1 and at most 3", o.zipf)
	}
	return cli.Check(
		cli.Size{Flag: "users", Value: o.users, Min: 100, Max: 10_000_000},
		cli.Size{Flag: "requests", Value: o.requests, Min: 1, Max: 10_000_000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 1000},
		cli.Size{Flag: "batch", Value: o.batch, Min: 1, Max: 1000},
	)
}
