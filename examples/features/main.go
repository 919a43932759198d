// Features is the example of package featurestore: a ranking service that reads the features of a user and of 200 items for each request, from memory,
// from several stores or from Redis, and scores them with a model that was trained on features from the same place. README.md says how to read what it prints.
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
	h, err := play(ctx, o, stdout, stderr)
	if h != nil && len(h.runs) > 0 {
		_, _ = io.WriteString(stdout, report(o, h))
	}
	return cli.Status(ctx, "features", err, stderr)
}

// options are what the flags say.
type options struct {
	users, items, requests, candidates, callers, train int
	shards                                             int
	redis                                              string
	cache                                              bool
	definitions                                        string
	seed                                               uint64
}

const usage = `Features runs a ranking service on a feature store: streams of rows are written, each request reads the features of a user and of many
items, and a model scores them.

Usage: features [flags]

It always keeps features in the memory of the process; -shards and -redis add columns to the report. On Redis it uses keys of a project of its own and
removes them at the end. Ctrl-C stops it; what was measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a bad flag, 130 when
interrupted.

`

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	flags := flag.NewFlagSet("features", flag.ContinueOnError)
	flags.IntVar(&o.users, "users", 100_000, "number of `users`, 100 to 1000000")
	flags.IntVar(&o.items, "items", 10_000, "number of `items`, 100 to 1000000")
	flags.IntVar(&o.requests, "requests", 5000, "ranking `requests` to each store, 1 to 1000000")
	flags.IntVar(&o.candidates, "candidates", 200, "`items` in a request, 1 to 10000 and at most -items")
	flags.IntVar(&o.callers, "callers", 4, "concurrent `callers`, 1 to 1000")
	flags.IntVar(&o.train, "train", 300, "`requests` to train the model with, 10 to 10000; times -candidates at most 1000000")
	flags.IntVar(&o.shards, "shards", 0, "also use so many `stores` in memory, each with its share of the entities, 2 to 64")
	flags.StringVar(&o.redis, "redis", "", "also use Redis at these `addresses` (host:port, with commas between the nodes of a cluster; or a redis:// URL)")
	flags.BoolVar(&o.cache, "cache", false, "also read the items through a cache before the last of these stores")
	flags.StringVar(&o.definitions, "definitions", "", "save the definitions as JSON to this `file`; - is the standard output")
	flags.Uint64Var(&o.seed, "seed", 1, "decides all that is random but the timing")
	status, ok = cli.Parse(flags, usage, args, o.check, stderr)
	return o, status, ok
}

// maxTrained bounds the rows of the training set, which is kept in memory.
const maxTrained = 1_000_000

func (o *options) check() error {
	err := cli.Check(
		cli.Size{Flag: "users", Value: o.users, Min: 100, Max: 1_000_000},
		cli.Size{Flag: "items", Value: o.items, Min: 100, Max: 1_000_000},
		cli.Size{Flag: "requests", Value: o.requests, Min: 1, Max: 1_000_000},
		cli.Size{Flag: "candidates", Value: o.candidates, Min: 1, Max: 10_000},
		cli.Size{Flag: "callers", Value: o.callers, Min: 1, Max: 1000},
		cli.Size{Flag: "train", Value: o.train, Min: 10, Max: 10_000},
	)
	switch {
	case err != nil:
		return err
	case o.shards != 0 && (o.shards < 2 || o.shards > 64):
		return fmt.Errorf("-shards is %d, it must be from 2 to 64, or 0 for none", o.shards)
	case o.candidates > o.items:
		return fmt.Errorf("-candidates is %d, there are only %d items", o.candidates, o.items)
	case o.train*o.candidates > maxTrained:
		return fmt.Errorf("-train %d times -candidates %d is %d, it must be at most %d", o.train, o.candidates, o.train*o.candidates, maxTrained)
	}
	return nil
}
