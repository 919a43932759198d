package progress

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestLinesOutsideOfATerminal(t *testing.T) {
	var out strings.Builder
	bar := New(&out, "training", 1000)
	for i := 0; i <= 1000; i++ {
		bar.Set(i, "loss 0.5")
	}
	bar.End()
	assert.Equal(t, `training  20%  loss 0.5
training  40%  loss 0.5
training  60%  loss 0.5
training  80%  loss 0.5
training 100%  loss 0.5
`, out.String())
}

func TestLineIsDrawnOverInATerminal(t *testing.T) {
	var out strings.Builder
	bar := New(&out, "serving", 4)
	bar.live = true
	bar.Set(0, "a long note")
	bar.Set(1, "short")
	bar.Set(1, "the same percentage: not drawn")
	bar.Set(4, "")
	bar.End()
	bar.End()
	assert.Equal(t, "\rserving ░░░░░░░░░░░░░░░░░░░░░░░░   0%  a long note"+
		"\rserving ██████░░░░░░░░░░░░░░░░░░  25%  short      "+
		"\rserving ████████████████████████ 100%       \n", out.String())
}

func TestDrawsAtMostOncePerPercent(t *testing.T) {
	var out strings.Builder
	bar := New(&out, "training", 100_000)
	bar.live = true
	for i := range 100_000 {
		bar.Set(i, "")
	}
	assert.Equal(t, 100, strings.Count(out.String(), "\r"))
}

func TestFitsTheLine(t *testing.T) {
	var out strings.Builder
	bar := New(&out, "training", 10)
	bar.live = true
	bar.Set(5, strings.Repeat("é", 200))
	assert.Equal(t, 1+lineWidth, utf8.RuneCountInString(out.String()))
}

func TestOddNumbers(t *testing.T) {
	var out strings.Builder
	bar := New(&out, "x", 0)
	bar.Set(-5, "below")
	bar.Set(7, "beyond")
	assert.Equal(t, "x 100%  beyond\n", out.String())
}

func TestNothingToEnd(t *testing.T) {
	var out strings.Builder
	New(&out, "x", 10).End()
	assert.Empty(t, out.String())
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWriteErrorsAreIgnored(t *testing.T) {
	bar := New(failing{}, "x", 1)
	bar.Set(1, "")
	bar.End()
}
