// Placement compares how evenly the placements of package sharding spread keys and load over many nodes, and what they move when a node comes or
// goes. README.md says how to read what it prints.
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
	results, err := simulate(ctx, o, stderr)
	if len(results) > 0 {
		_, _ = io.WriteString(stdout, report(o, results))
	}
	return cli.Status(ctx, "placement", err, stderr)
}

// options are what the flags say.
type options struct {
	nodes, keys, requests, inFlight int
	zipf, factor                    float64
	seed                            uint64
}

const usage = `Placement compares the algorithms of package sharding: how even they are by keys and by load, and what they move.

Usage: placement [flags]

It takes some 16 bytes of memory for each key. Ctrl-C stops it; the algorithms that are done by then are printed. The exit status is 0, or 1
for a failure, 2 for a bad flag, 130 when interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("placement", flag.ContinueOnError)
	flags.IntVar(&o.nodes, "nodes", 1000, "number of `nodes`, 2 to 10000")
	flags.IntVar(&o.keys, "keys", 10_000_000, "number of `keys`, 1 to 100000000")
	flags.Float64Var(&o.zipf, "zipf", 1, "the `exponent` of the load: key i has 1/i^exponent of it; 0 (all alike) to 3")
	flags.IntVar(&o.requests, "requests", 1_000_000, "number of `requests` for the bounded load, 1 to 100000000")
	flags.IntVar(&o.inFlight, "in-flight", 10_000, "how many `requests` are in flight at a time, 1 to 1000000")
	flags.Float64Var(&o.factor, "factor", 1.25, "the bound on a node's load: `times` the average, 1 to 1024")
	flags.Uint64Var(&o.seed, "seed", 1, "decides which requests come in which order")
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

func (o *options) check() error {
	if !(o.zipf >= 0 && o.zipf <= 3) {
		return fmt.Errorf("-zipf is %v, it must be from 0 to 3", o.zipf)
	}
	if !(o.factor >= 1 && o.factor <= 1024) {
		return fmt.Errorf("-factor is %v, it must be from 1 to 1024", o.factor)
	}
	return cli.Check(
		cli.Size{Flag: "nodes", Value: o.nodes, Min: 2, Max: 10_000},
		cli.Size{Flag: "keys", Value: o.keys, Min: 1, Max: 100_000_000},
		cli.Size{Flag: "requests", Value: o.requests, Min: 1, Max: 100_000_000},
		cli.Size{Flag: "in-flight", Value: o.inFlight, Min: 1, Max: 1_000_000},
	)
}
