// Package clitest has what the tests of the commands among the examples have in common.
package clitest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/examples/internal/cli"
)

// Program is what cli.Main runs.
type Program func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// BadFlags checks that the program rejects arguments, given by what it is to say about them, and prints nothing else.
func BadFlags(tb testing.TB, run Program, cases map[string][]string) {
	tb.Helper()
	for says, args := range cases {
		var stdout, stderr bytes.Buffer
		assert.Equal(tb, cli.Usage, run(tb.Context(), args, &stdout, &stderr), args)
		assert.Contains(tb, stderr.String(), says, args)
		assert.Empty(tb, stdout.String(), args)
	}
}

// Help checks that the program explains itself, and these flags.
func Help(tb testing.TB, name string, run Program, flags ...string) {
	tb.Helper()
	for _, arg := range []string{"-h", "-help"} {
		var stdout, stderr bytes.Buffer
		assert.Equal(tb, cli.OK, run(tb.Context(), []string{arg}, &stdout, &stderr))
		assert.Contains(tb, stderr.String(), "\nUsage: "+name+" [flags]\n")
		for _, flag := range flags {
			assert.Regexp(tb, `\n  -`+flag+`[ \n]`, stderr.String())
		}
		assert.Empty(tb, stdout.String())
	}
}

// Fits checks that no line of text has more than so many characters.
func Fits(tb testing.TB, width int, text string) {
	tb.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		assert.LessOrEqual(tb, utf8.RuneCountInString(line), width, line)
	}
}

// Interrupter is a writer on which a certain text is followed by a Ctrl-C. One goroutine at a time may use it.
type Interrupter struct {
	bytes.Buffer
	at   string
	stop context.CancelFunc
}

// InterruptAt returns a writer, and the context that ends at the moment when text has been written to it.
func InterruptAt(tb testing.TB, text string) (context.Context, *Interrupter) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	tb.Cleanup(stop)
	return ctx, &Interrupter{at: text, stop: stop}
}

// Write keeps what is written.
func (w *Interrupter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.at) {
		w.stop()
	}
	return n, err
}
