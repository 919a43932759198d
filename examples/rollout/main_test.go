package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small are flags for images that are learnt at once. Five of them are too few for the worse version to have seen all digits.
func small(t *testing.T, more ...string) []string {
	return append([]string{
		"-n", "40000", "-users", "200", "-hidden", "24", "-epochs", "4", "-worse", "5", "-labelled", "1", "-delay", "20", "-loss", "0.1",
		"-data", mnisttest.Dir(t, 1500, 60),
	}, more...)
}

func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small(t), &stdout, &stderr), stderr.String())
	out := stdout.String()
	for _, want := range []string{
		`images: 1250 to learn from, 125 to calibrate and stack, 125 for thresholds, 60 to test\n`,
		`\nbig network +60 of 60 +100.00 %\n`,
		`\nmajority of the first three +60 of 60 +100.00 %\n`,
		`\nstacking of the three +60 of 60 +100.00 %\n`,
		`\none hangs; all are needed +0 +0 +- `,
		`\nasked the big network +100.00 % +\d+.\d\d %\n`,
		`\nswaps +10\n`,
		`\nrequests answered +21600\n`, // 20,000, of which 400 are streams of 5
		`\nerrors +0\nrequests on a closed model +0\n`,
		`\n  that saw two versions +0\nmodels loaded +11\n  closed +11\n`,
		`\nrolled back at a share of 5.00 %`,
		`\nrequests after the end: by version 2 +\d{4}\n  by version 3 +0\n`,
		`\npromoted at a share of 50.00 %`,
		`\nrequests after the end: by version 2 +0\n  by version 4 +\d{4}\n`,
		`alias champion: digits@2 -> digits@4 \(canary: all gates have passed\)\n`,
		`\nrequests on a closed model: 0; models loaded 3, closed 3\n$`,
	} {
		assert.Regexp(t, want, out)
	}
	table, _, _ := strings.Cut(out, "## The log")
	clitest.Fits(t, 99, table[strings.Index(table, "##"):])
	if t.Failed() {
		t.Log(out)
	}
}

// With few requests nothing is decided, with few images there is no cascade: neither is an error.
func TestTooLittle(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small(t, "-n", "100", "-loss", "0.001", "-callers", "1"), &stdout, &stderr), stderr.String())
	assert.Contains(t, stdout.String(), "\nno cascade: ensemble: thresholds")
	assert.Equal(t, 2, strings.Count(stdout.String(), "\nnot decided, so rolled back at a share of 5.00 %"))
	assert.Regexp(t, `\nswaps +10\n`, stdout.String())
	assert.Regexp(t, `\n  after requests +100\n`, stdout.String())
	assert.Contains(t, stdout.String(), "models loaded 3, closed 3\n")
}

func TestInterrupted(t *testing.T) {
	flags := small(t)
	for at, want := range map[string]struct{ has, lacks string }{
		"images: ":                        {"\n## Together\n", "\n## A member hangs"},
		"models loaded ":                  {"\n## Hot swaps", "\nAs a canary"},
		"\nthe answer was the champion's": {"\nAs a canary", "digits@4"},
	} {
		ctx, stdout := clitest.InterruptAt(t, at)
		var stderr bytes.Buffer
		assert.Equal(t, cli.Interrupted, run(ctx, flags, stdout, &stderr), at)
		assert.Contains(t, stdout.String(), want.has, at)
		assert.NotContains(t, stdout.String(), want.lacks, at)
		assert.Contains(t, stderr.String(), "rollout: interrupted: ")
		assert.Contains(t, stderr.String(), "context canceled")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, flags, &stdout, &stderr))
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-n is 99, it must be from 100 to 10000000": {"-n", "99"},
		"-callers is 0":           {"-callers", "0"},
		"-users is 9":             {"-users", "9"},
		"-hidden is 5000":         {"-hidden", "5000"},
		"-epochs is 101":          {"-epochs", "101"},
		"-worse is 0":             {"-worse", "0"},
		"-delay is -1":            {"-delay", "-1"},
		"-labelled is 0":          {"-labelled", "0"},
		"-labelled is NaN":        {"-labelled", "NaN"},
		"-loss is 0.6":            {"-loss", "0.6"},
		"-deadline is 1h0m0s":     {"-deadline", "1h"},
		`unexpected argument "x"`: {"x"},
	})
	clitest.Help(t, "rollout", run)
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Failure, run(t.Context(), []string{"-data", "/does/not/exist"}, &stdout, &stderr))
	assert.Equal(t, cli.Failure, run(t.Context(), []string{"-data", mnisttest.Dir(t, 60, 6)}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "60 images to learn from and 6 to test: at least 120 and 1 are needed")
}
