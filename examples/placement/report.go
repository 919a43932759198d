package main

import (
	"fmt"
	"strings"

	"github.com/scalable-ai/patterns/examples/internal/term"
)

// report is what the program prints.
func report(o options, results []result) string {
	balance := [][]string{{"the fullest node / the mean", "by keys", "by load", "in flight", "displaced"}}
	moves := [][]string{{"keys that move", "node comes", "needless", "node goes", "needless"}}
	for _, r := range results {
		balance = append(balance, []string{r.name, fmt.Sprintf("%.3f", r.keys), fmt.Sprintf("%.2f", r.load), fmt.Sprintf("%.2f", r.bounded), percent(r.displaced)})
		moves = append(moves, []string{r.name, percent(r.grow.moved), percent(r.grow.needless), percent(r.leave.moved), percent(r.leave.needless)})
	}
	moves = append(moves, []string{"no more than must", percent(1 / float64(o.nodes+1)), "", percent(1 / float64(o.nodes)), ""})
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "nodes %d, keys %d, Zipf exponent %v; requests %d, in flight %d, bound %v\n\n%s\n%s",
		o.nodes, o.keys, o.zipf, o.requests, o.inFlight, o.factor, term.Table(balance), term.Table(moves))
	return out.String()
}

func percent(share float64) string { return fmt.Sprintf("%.3f %%", 100*share) }
