package term

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Row is a line of a timeline.
type Row struct {
	Label  string
	Cells  string  // a character for each step of time
	Colors []Color // of the cells; nil, or shorter than the cells: without
	Note   string  // to the right of the cells
}

// Timeline lines up rows below each other, so that a column is one moment. With 60 cells, and labels and
// notes of up to 9 characters, it fits into 80 columns. Without color it is plain text.
func Timeline(rows []Row, color bool) string {
	labels, cells := 0, 0
	for _, row := range rows {
		labels = max(labels, utf8.RuneCountInString(row.Label))
		cells = max(cells, utf8.RuneCountInString(row.Cells))
	}
	var out strings.Builder
	for _, row := range rows {
		text := row.Cells
		if color {
			text = paint(text, row.Colors)
		}
		text += strings.Repeat(" ", cells-utf8.RuneCountInString(row.Cells))
		line := padRight(row.Label, labels) + " " + text + " " + row.Note
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
}

// paint puts the escape sequences for colours around runs of cells that have the same.
func paint(cells string, colors []Color) string {
	var out strings.Builder
	current := Color(0)
	i := 0
	for _, cell := range cells {
		next := Color(0)
		if i < len(colors) {
			next = colors[i]
		}
		if next != current {
			fmt.Fprintf(&out, "\x1b[%dm", next) // 0 ends the colour
			current = next
		}
		out.WriteRune(cell)
		i++
	}
	if current != 0 {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// Spark draws each value as a character, whose height is in proportion to full. Only nothing at all is blank; what is more than full is
// drawn as full.
func Spark(values []float64, full float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var out strings.Builder
	for _, value := range values {
		if !(value > 0 && full > 0) {
			out.WriteByte(' ')
			continue
		}
		height := int(min(value/full, 1)*float64(len(levels)) + 0.5)
		out.WriteRune(levels[max(height, 1)-1])
	}
	return out.String()
}
