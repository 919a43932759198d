// Package progress shows how far a long piece of work is: as a bar that is drawn over and over in a terminal, and as a few
// lines anywhere else, such as in the log of a CI run.
package progress

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/scalable-ai/patterns/examples/internal/term"
)

const (
	barWidth  = 24
	lineWidth = 79 // one less than a terminal's usual width: some break a line that is full
	quietStep = 20 // percent between two lines outside of a terminal
)

// Bar is one piece of work. One goroutine at a time may use it.
type Bar struct {
	w     io.Writer
	live  bool // w is a terminal
	name  string
	total int
	shown int // percent at the last output, -1 before the first
	width int // of the text on the current line
}

// New makes a bar for work of total steps. Nothing is written before the first Set.
func New(w io.Writer, name string, total int) *Bar {
	return &Bar{w: w, live: term.IsTerminal(w), name: name, total: max(total, 1), shown: -1}
}

// Set says that so many steps are done, and adds a note on how it goes. It writes only if there is something new to
// see, so it may be called after every small step. Errors of the writer are ignored: the work matters more.
func (b *Bar) Set(done int, note string) {
	percent := 100 * min(max(done, 0), b.total) / b.total
	step := quietStep
	if b.live {
		step = 1
	}
	if b.shown >= 0 && percent/step == b.shown/step || !b.live && percent < step {
		return
	}
	b.shown = percent
	if !b.live {
		_, _ = fmt.Fprintf(b.w, "%s %3d%%  %s\n", b.name, percent, note)
		return
	}
	full := barWidth * percent / 100
	line := fmt.Sprintf("%s %s%s %3d%%  %s", b.name, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), percent, note)
	if utf8.RuneCountInString(line) > lineWidth {
		line = string([]rune(line)[:lineWidth])
	}
	width := utf8.RuneCountInString(line)
	// Blanks cover what the last output leaves to the right.
	_, _ = fmt.Fprintf(b.w, "\r%s%s", line, strings.Repeat(" ", max(0, b.width-width)))
	b.width = width
}

// End finishes the line, so that other output can follow. It may be called more than once.
func (b *Bar) End() {
	if b.width > 0 {
		_, _ = fmt.Fprintln(b.w)
		b.width = 0
	}
}
