package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/cli"
)

// options are what the flags say.
type options struct {
	rate   int
	phase  time.Duration
	seed   uint64
	layers layers
	plain  bool
}

const usage = `Resilience sends the same traffic twice to a back-end that becomes slow, then fails, then recovers: with
nothing but a client's timeout, and through a limiter, a bulkhead and a circuit breaker.

Usage: resilience [flags]

Ctrl-C stops it; what was measured by then is printed. The exit status is 0, or 1 for a failure, 2 for a
bad flag, 130 when interrupted.

`

const (
	minPhase = 100 * time.Millisecond
	maxPhase = time.Minute
	maxRate  = 1000
)

// parseFlags has written the error, or the help, if it does not return true.
func parseFlags(args []string, stderr io.Writer) (o options, status int, ok bool) {
	var names string
	flags := flag.NewFlagSet("resilience", flag.ContinueOnError)
	flags.IntVar(&o.rate, "rate", 200, fmt.Sprintf("`calls` per second, 1 to %d; the back-end can answer %d", maxRate, capacity))
	flags.DurationVar(&o.phase, "phase", time.Second,
		fmt.Sprintf("`duration` for which the back-end is healthy, slow and failing each, %v to %v; it recovers for three times that", minPhase, maxPhase))
	flags.Uint64Var(&o.seed, "seed", 1, "decides when the calls come")
	flags.StringVar(&names, "layers", "limiter,bulkhead,breaker", "which `patterns` the second run has, separated by commas; their order is always this")
	flags.BoolVar(&o.plain, "plain", false, "no colours, also in a terminal")
	status, ok = cli.Parse(flags, usage, args, func() (err error) {
		if err = o.check(); err == nil {
			o.layers, err = parseLayers(names)
		}
		return err
	}, stderr)
	return o, status, ok
}

func (o *options) check() error {
	if err := cli.Check(cli.Size{Flag: "rate", Value: o.rate, Min: 1, Max: maxRate}); err != nil {
		return err
	}
	if o.phase < minPhase || o.phase > maxPhase {
		return fmt.Errorf("-phase is %v, it must be from %v to %v", o.phase, minPhase, maxPhase)
	}
	return nil
}

func parseLayers(names string) (use layers, err error) {
	for name := range strings.SplitSeq(names, ",") {
		switch strings.TrimSpace(name) {
		case "limiter":
			use.limiter = true
		case "bulkhead":
			use.bulkhead = true
		case "breaker":
			use.breaker = true
		default:
			return use, fmt.Errorf("-layers has %q, it must be one or more of limiter, bulkhead and breaker", name)
		}
	}
	return use, nil
}
