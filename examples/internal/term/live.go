package term

import (
	"fmt"
	"io"
	"strings"
)

// Live draws text over and over in the same place of a terminal. One goroutine at a time may use it.
type Live struct {
	w     io.Writer
	lines int // of the last text
}

// NewLive draws to w, which should be a terminal.
func NewLive(w io.Writer) *Live { return &Live{w: w} }

// Draw puts text, which ends with a newline, in the place of the last one. Errors of the writer are ignored.
func (l *Live) Draw(text string) {
	var out strings.Builder
	if l.lines > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", l.lines) // to the first line
	}
	out.WriteString(strings.ReplaceAll(text, "\n", "\x1b[K\n")) // each line clears what the last text has to its right
	out.WriteString("\x1b[J")                                   // and what it has below
	l.lines = strings.Count(text, "\n")
	_, _ = io.WriteString(l.w, out.String())
}
