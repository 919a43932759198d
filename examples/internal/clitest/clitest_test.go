package clitest_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestInterruptAt(t *testing.T) {
	ctx, out := clitest.InterruptAt(t, "two words")
	_, _ = fmt.Fprint(out, "one, tw")
	assert.NoError(t, ctx.Err())
	_, _ = fmt.Fprint(out, "o wor")
	assert.NoError(t, ctx.Err())
	_, _ = fmt.Fprint(out, "ds, three")
	assert.ErrorIs(t, ctx.Err(), context.Canceled)
	assert.Equal(t, "one, two words, three", out.String())
}

// program has one flag, and prints before it has looked at it, if it is sloppy.
func program(sloppy bool) clitest.Program {
	return func(_ context.Context, args []string, stdout, stderr io.Writer) int {
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		n := flags.Int("n", 1, "`number`")
		if sloppy {
			_, _ = io.WriteString(stdout, "hello\n")
		}
		status, ok := cli.Parse(flags, "How to.\n\nUsage: x [flags]\n\n", args, func() error { return cli.Check(cli.Size{Flag: "n", Value: *n, Min: 1, Max: 2}) }, stderr)
		if !ok {
			return status
		}
		return cli.OK
	}
}

// recorder is a test that fails without failing the real one.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestChecks(t *testing.T) {
	bad := map[string][]string{"-n is 3": {"-n", "3"}}
	clitest.BadFlags(t, program(false), bad)
	clitest.Help(t, "x", program(false), "n")
	clitest.Fits(t, 3, "äöü\nabc")

	for name, check := range map[string]func(testing.TB){
		"prints":        func(t testing.TB) { clitest.BadFlags(t, program(true), bad) },
		"says less":     func(t testing.TB) { clitest.BadFlags(t, program(false), map[string][]string{"-n is bad": {"-n", "3"}}) },
		"accepts":       func(t testing.TB) { clitest.BadFlags(t, program(false), map[string][]string{"": {"-n", "2"}}) },
		"prints help":   func(t testing.TB) { clitest.Help(t, "x", program(true)) },
		"another name":  func(t testing.TB) { clitest.Help(t, "y", program(false)) },
		"no such flag":  func(t testing.TB) { clitest.Help(t, "x", program(false), "m") },
		"does not fit":  func(t testing.TB) { clitest.Fits(t, 2, "ab\nabc\n") },
		"nor at an end": func(t testing.TB) { clitest.Fits(t, 2, "abc") },
	} {
		r := &recorder{TB: t}
		check(r)
		assert.True(t, r.failed, name)
	}
}
