package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// scale is what a full character of a timeline stands for: the same for both runs, so that they can be compared.
type scale struct {
	calls, inFlight float64
}

func scaleOf(trials []*trial, s schedule) scale {
	var most scale
	for _, t := range trials {
		most.inFlight = max(most.inFlight, float64(slices.Max(t.inFlight[:])))
		most.calls = max(most.calls, slices.Max(perColumn(t, s, func(calls []asked) float64 { return float64(len(calls)) })))
	}
	return most
}

// perColumn measures the calls that came in each column.
func perColumn(t *trial, s schedule, measure func([]asked) float64) []float64 {
	values := make([]float64, columns)
	width := s.total() / columns
	for i := range values {
		values[i] = measure(t.between(time.Duration(i)*width, time.Duration(i+1)*width))
	}
	return values
}

// timeline draws a run, a column for each sixtieth of it.
func timeline(t *trial, s schedule, whole scale, color bool) string {
	counted := func(wanted ...result) []float64 {
		return perColumn(t, s, func(calls []asked) float64 {
			n := 0
			for _, c := range calls {
				if slices.Contains(wanted, c.result) {
					n++
				}
			}
			return float64(n)
		})
	}
	median := perColumn(t, s, func(calls []asked) float64 {
		return float64(stats.Percentile(latencies(calls, func(r result) bool { return r == answered }), 50))
	})
	load := make([]float64, columns)
	for i, n := range t.inFlight {
		load[i] = float64(n)
	}
	calls := func(label string, color term.Color, wanted ...result) term.Row {
		values := counted(wanted...)
		row := spark(label, values, whole.calls, color)
		row.Note = fmt.Sprintf("≤ %.0f", slices.Max(values))
		return row
	}
	inFlight := spark("in flight", load, whole.inFlight, term.Cyan)
	inFlight.Note = fmt.Sprintf("≤ %.0f", slices.Max(load))
	latency := spark("latency", median, float64(timeout), term.Cyan)
	latency.Note = fmt.Sprintf("≤ %.0f ms", slices.Max(median)/float64(time.Millisecond))
	rows := []term.Row{
		phaseRow(),
		calls("in time", term.Green, answered),
		calls("failed", term.Red, timedOut, failed),
		calls("rejected", term.Yellow, limited, full, open),
		latency,
		inFlight,
	}
	if t.layers.breaker {
		rows = append(rows, stateRow(t))
	}
	return term.Timeline(rows, color)
}

func spark(label string, values []float64, full float64, color term.Color) term.Row {
	return term.Row{Label: label, Cells: term.Spark(values, full), Colors: slices.Repeat([]term.Color{color}, columns)}
}

// phaseRow has the name of each phase where it begins.
func phaseRow() term.Row {
	row := term.Row{Label: "back-end"}
	for i, p := range phases {
		width := columns / (len(phases) + 2)
		row.Cells += p.String() + strings.Repeat(" ", width-len(p.String()))
		row.Colors = append(row.Colors, slices.Repeat([]term.Color{[]term.Color{term.Green, term.Yellow, term.Red, term.Cyan}[i]}, width)...)
	}
	return row
}

func stateRow(t *trial) term.Row {
	row := term.Row{Label: "breaker"}
	for _, state := range t.states {
		row.Cells += string([]rune("─█▒")[state])
		row.Colors = append(row.Colors, []term.Color{term.Green, term.Red, term.Yellow}[state])
	}
	return row
}
