package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// tooLate is when calls are made so late that what is measured is the machine.
const tooLate = timeout / 10

// report lays out what was measured, also if that is not all that was meant to be.
func report(without, with *trial, s schedule, color bool) string {
	var out strings.Builder
	out.WriteString(term.Table(tableRows(without, with, s)))
	trials := []*trial{without, with}
	for _, t := range trials {
		if late := t.lateness(); late > tooLate {
			fmt.Fprintf(&out, "\n%s: 1 %% of the calls were made more than %v late; the machine is too busy to measure on\n", t.name, late.Round(time.Millisecond))
		}
	}
	scale := scaleOf(trials, s)
	for _, t := range trials {
		if len(t.calls) > 0 {
			fmt.Fprintf(&out, "\n%s, a column is %v\n\n%s", t.name, s.total()/columns, timeline(t, s, scale, color))
		}
	}
	if with.layers.breaker && len(with.calls) > 0 {
		out.WriteString("\nbreaker: ─ closed, █ open, ▒ half-open\n")
	}
	return out.String()
}

func tableRows(without, with *trial, s schedule) [][]string {
	rows := [][]string{{"", without.name, with.name}}
	row := func(label string, value func(t *trial) string) {
		cells := []string{label}
		for _, t := range []*trial{without, with} {
			if len(t.calls) == 0 {
				cells = append(cells, "-")
			} else {
				cells = append(cells, value(t))
			}
		}
		rows = append(rows, cells)
	}
	number := func(results ...result) func(t *trial) string {
		return func(t *trial) string {
			n := 0
			for _, r := range results {
				n += t.count(r, 0, s.total())
			}
			return fmt.Sprint(n)
		}
	}
	percentile := func(p float64, wanted func(result) bool) func(t *trial) string {
		return func(t *trial) string {
			took := latencies(t.calls, wanted)
			if len(took) == 0 {
				return "-"
			}
			return stats.Milliseconds(stats.Percentile(took, p))
		}
	}
	row("calls", func(t *trial) string { return fmt.Sprint(len(t.calls)) })
	row("answered in time", number(answered))
	for _, p := range phases {
		row("  of those while it was "+p.String(), func(t *trial) string { return share(t, s, p) })
	}
	row("failed", number(timedOut, failed))
	row("  timed out", number(timedOut))
	row("  error from the back-end", number(failed))
	row("rejected", number(limited, full, open))
	row("  by the limiter", number(limited))
	row("  by the bulkhead", number(full))
	row("  by the breaker", number(open))
	for _, t := range []*trial{without, with} {
		if t.count(unfinished, 0, s.total()) > 0 {
			row("interrupted", number(unfinished))
			break
		}
	}
	isAnswered := func(r result) bool { return r == answered }
	row("time to an answer, median", percentile(50, isAnswered))
	row("time to an answer, 99th percentile", percentile(99, isAnswered))
	row("time to a rejection, median", percentile(50, result.rejected))
	row("time to a rejection, 99th percentile", percentile(99, result.rejected))
	row("most in flight at the back-end", func(t *trial) string { return fmt.Sprint(slices.Max(t.inFlight[:])) })
	row("work for callers that had gone", func(t *trial) string { return fmt.Sprint(t.wasted) })
	row("back to normal after", func(t *trial) string { return recovery(t, s) })
	return rows
}

// share is that of the calls in a phase that were answered in time.
func share(t *trial, s schedule, p phase) string {
	from, to := s.start(p), s.start(p+1)
	if p == recovering {
		to = s.total()
	}
	n := len(t.between(from, to))
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(t.count(answered, from, to))/float64(n))
}

func recovery(t *trial, s schedule) string {
	after, ok := t.backToNormal(s)
	switch {
	case ok:
		return fmt.Sprintf("%.2f s", after.Seconds())
	case !t.complete:
		return "-"
	}
	return fmt.Sprintf("over %.2f s", (s.total() - s.start(recovering) - normalWindow(s)).Seconds())
}
