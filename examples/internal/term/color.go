package term

import (
	"io"
	"os"
)

// Color is the colour of text, as terminals number them. The zero Color is the terminal's own.
type Color int

// The colours.
const (
	Red    Color = 31
	Green  Color = 32
	Yellow Color = 33
	Cyan   Color = 36
)

// IsTerminal reports whether what is written to w is seen by somebody at once.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// WantsColor reports whether text for w should have colours: in a terminal, unless NO_COLOR is set (see no-color.org).
func WantsColor(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && IsTerminal(w)
}
