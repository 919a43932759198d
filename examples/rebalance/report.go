package main

import (
	"fmt"
	"strings"

	"github.com/scalable-ai/patterns/examples/internal/term"
)

// report is what the program prints.
func report(o options, h *history) string {
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "users %d; requests in each phase %d, users in each %d, callers %d\n\n", o.users, o.requests, o.batch, o.callers)
	rows := [][]string{{"", "requests", "partial", "users answered", "from old node", "loaded anew"}}
	for _, p := range h.phases {
		rows = append(rows, []string{
			p.name, fmt.Sprint(p.requests), fmt.Sprint(p.partial),
			percent(float64(p.answered) / float64(p.keys)), fmt.Sprint(p.fallbacks), fmt.Sprint(p.loaded),
		})
	}
	out.WriteString(term.Table(rows))
	if len(h.changes) > 0 {
		rows = [][]string{{"users that move", "moved", "minimum", "of all hashes", "minimum"}}
		for _, c := range h.changes {
			rows = append(rows, []string{c.name, fmt.Sprint(c.keys), fmt.Sprint(c.minimum), percent(c.share), percent(c.atLeast)})
		}
		_, _ = fmt.Fprintf(&out, "\n%s", term.Table(rows))
	}
	picture(&out, h, "4 nodes", "5 nodes")
	picture(&out, h, "one is down", "without it")
	return out.String()
}

// picture draws the load by node in two phases, if both are over.
func picture(out *strings.Builder, h *history, names ...string) {
	var labels []string
	for _, n := range nodes {
		labels = append(labels, n.Name)
	}
	var series []term.Series
	for _, p := range h.phases {
		for _, name := range names {
			if p.name == name {
				series = append(series, term.Series{Name: name, Counts: p.asked})
			}
		}
	}
	if len(series) == len(names) {
		_, _ = fmt.Fprintf(out, "\nload by node, share of the users asked for\n\n%s", term.Histogram(labels, series...))
	}
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
