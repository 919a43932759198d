package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// watch shows a run while it goes on: as a picture that moves in a terminal, and as a line each second anywhere else.
type watch struct {
	w     io.Writer
	live  *term.Live // nil: lines
	color bool
	lines int // written
}

func newWatch(w io.Writer, moving, color bool) *watch {
	v := &watch{w: w, color: color}
	if moving && term.IsTerminal(w) {
		v.live = term.NewLive(w)
	}
	return v
}

// show is called after each column of time.
func (v *watch) show(t *trial) {
	if v.live != nil {
		v.live.Draw(picture(t, v.color))
		return
	}
	elapsed := time.Since(t.start)
	if second := int(elapsed / time.Second); second > v.lines {
		v.lines = second
		_, _ = io.WriteString(v.w, line(t, elapsed))
	}
}

// end leaves the whole picture.
func (v *watch) end(t *trial) {
	switch {
	case len(t.columns) == 0:
	case v.live != nil:
		v.live.Draw(picture(t, v.color))
	default:
		_, _ = fmt.Fprintf(v.w, "\n%s", picture(t, v.color))
	}
}

// line tells of the last second, or of what there was of it.
func line(t *trial, elapsed time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	each := t.plan.total() / width
	last := t.columns[max(0, len(t.columns)-int(max(time.Second/each, 1))):]
	var sum column
	var batches, hits float64
	for _, c := range last {
		for r := range sum.results {
			sum.results[r] += c.results[r]
		}
		batches += c.batch
		hits += c.hitRate
	}
	n, seconds := float64(len(last)), (time.Duration(len(last)) * each).Seconds()
	now := last[len(last)-1]
	return fmt.Sprintf("%4.1f s  %-8s  %4.0f/s in time  %4.0f/s rejected  %3d in flight  batch %4.1f  hits %2.0f %%  v%s  %s\n",
		elapsed.Seconds(), phaseNames[t.plan.at(elapsed)], float64(sum.results[inTime])/seconds, float64(sum.rejected())/seconds,
		now.inFlight, batches/n, 100*hits/n, now.version, now.state)
}

// picture draws a run so far, a column for each part of it.
func picture(t *trial, color bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	each := (t.plan.total() / width).Seconds()
	values := func(f func(column) float64) []float64 {
		v := make([]float64, len(t.columns))
		for i, c := range t.columns {
			v[i] = f(c)
		}
		return v
	}
	made := values(func(c column) float64 { return float64(c.made) / each })
	top := 2.2 * capacity
	row := func(label string, full float64, paint term.Color, unit string, f func(column) float64) term.Row {
		v := values(f)
		return term.Row{
			Label: label, Cells: term.Spark(v, full), Colors: slices.Repeat([]term.Color{paint}, width), Note: fmt.Sprintf("≤%.0f%s", slices.Max(v), unit),
		}
	}
	rows := []term.Row{
		phaseRow(),
		{Label: "requests", Cells: term.Spark(made, top), Note: fmt.Sprintf("≤%.0f/s", slices.Max(made))},
		row("in time", top, term.Green, "/s", func(c column) float64 { return float64(c.results[inTime]) / each }),
		row("rejected", top, term.Yellow, "/s", func(c column) float64 { return float64(c.rejected()) / each }),
		row("failed", top, term.Red, "/s", func(c column) float64 {
			return float64(c.results[failed]+c.results[late]+c.results[broken]) / each
		}),
		row("in flight", 4*sessions*maxBatch, term.Cyan, "", func(c column) float64 { return float64(c.inFlight) }),
		row("batch", maxBatch, term.Cyan, "", func(c column) float64 { return c.batch }),
		row("hit rate", 100, term.Cyan, " %", func(c column) float64 { return 100 * c.hitRate }),
		stateRow(t.columns),
		versionRow(t.columns),
	}
	return fmt.Sprintf("%s, a column is %v\n\n", t.name, (t.plan.total()/width).Round(time.Millisecond)) + term.Timeline(rows, color)
}

// phaseRow has the name of each phase where it begins.
func phaseRow() term.Row {
	row := term.Row{}
	for i, name := range phaseNames {
		row.Cells += name + strings.Repeat(" ", width/phases-len(name))
		paint := term.Color(0)
		switch i {
		case slow:
			paint = term.Yellow
		case outage:
			paint = term.Red
		}
		row.Colors = append(row.Colors, slices.Repeat([]term.Color{paint}, width/phases)...)
	}
	return row
}

func stateRow(columns []column) term.Row {
	row := term.Row{Label: "breaker"}
	for _, c := range columns {
		cell, paint := "─", term.Green
		switch c.state {
		case breaker.StateOpen:
			cell, paint = "█", term.Red
		case breaker.StateHalfOpen:
			cell, paint = "▒", term.Yellow
		}
		row.Cells += cell
		row.Colors = append(row.Colors, paint)
	}
	row.Note = columns[len(columns)-1].state.String()
	return row
}

func versionRow(columns []column) term.Row {
	row := term.Row{Label: "version"}
	for _, c := range columns {
		row.Cells += c.version
	}
	return row
}
