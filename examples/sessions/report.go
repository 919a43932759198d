package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// report lays out what was measured, also if that is not all that was meant to be.
func report(results []*result) string {
	rows := [][]string{{"sessions"}}
	for _, r := range results {
		slices.Sort(r.latencies)
		rows[0] = append(rows[0], fmt.Sprint(r.sessions))
	}
	row := func(label string, value func(r *result) string) {
		cells := []string{label}
		for _, r := range results {
			if len(r.latencies) == 0 {
				cells = append(cells, "-")
			} else {
				cells = append(cells, value(r))
			}
		}
		rows = append(rows, cells)
	}
	percentile := func(p float64) func(*result) string {
		return func(r *result) string { return stats.Milliseconds(stats.Percentile(r.latencies, p)) }
	}
	row("pages read", func(r *result) string { return fmt.Sprint(len(r.latencies)) })
	row("accuracy", func(r *result) string { return percent(r.correct, r.digits) })
	row("pages per second", func(r *result) string { return fmt.Sprintf("%.0f", r.throughput()) })
	row("latency, median", percentile(50))
	row("latency, 99th percentile", percentile(99))
	row("latency, worst", percentile(100))
	row("affinity hits", func(r *result) string {
		hits, misses := int(r.stats.AffinityHits), int(r.stats.AffinityMisses)
		return percent(hits, hits+misses)
	})
	row("sessions opened", func(r *result) string { return fmt.Sprint(r.stats.Opened) })
	row("  given up as sick", func(r *result) string { return fmt.Sprint(r.stats.Closes.Bad) })
	row("calls that met a sick one", func(r *result) string { return fmt.Sprint(r.repeated) })
	row("time to replace it, mean", func(r *result) string {
		if r.recovered == 0 {
			return "-"
		}
		return stats.Milliseconds(r.recovery / time.Duration(r.recovered))
	})
	var out strings.Builder
	out.WriteString(term.Table(rows))
	if first := results[0]; first.throughput() > 0 {
		out.WriteString("\n")
		for _, r := range results[1:] {
			if r.throughput() > 0 {
				fmt.Fprintf(&out, "With %d sessions %.2f times as many pages are read per second as with %d.\n",
					r.sessions, r.throughput()/first.throughput(), first.sessions)
			}
		}
	}
	return out.String()
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}
