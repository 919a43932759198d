package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var small = []string{"-nodes", "20", "-keys", "20000", "-requests", "3000", "-in-flight", "200"}

func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), small, &stdout, &stderr), stderr.String())
	assert.Contains(t, stdout.String(), "nodes 20, keys 20000, Zipf exponent 1; requests 3000, in flight 200, bound 1.25\n")
	for _, a := range algorithms {
		assert.Regexp(t, `\n`+a.name+` +1\.\d{3} +[1-9]\.\d\d +1\.\d\d +[0-9.]+ %\n`, stdout.String())
	}
	assert.Regexp(t, `\nRendezvous +\d\.\d{3} % +0\.000 % +\d\.\d{3} % +0\.000 %\n`, stdout.String())
}

func TestSimulate(t *testing.T) {
	o, _, ok := parseFlags(small, &bytes.Buffer{})
	require.True(t, ok)
	results, err := simulate(t.Context(), o, &bytes.Buffer{})
	require.NoError(t, err)
	require.Len(t, results, len(algorithms))
	for _, r := range results {
		minimal := r.name != "Maglev"
		assert.LessOrEqual(t, r.bounded, 1.25+1.0/10, r.name) // ceil: a node has 10 on average
		assert.Greater(t, r.load, r.keys, r.name)
		assert.Positive(t, r.displaced, r.name)
		assert.Equal(t, minimal, r.grow.needless == 0, r.name)
		assert.Equal(t, minimal && r.name != "Jump", r.leave.needless == 0, r.name)
		assert.InDelta(t, 1.0/21, r.grow.moved-r.grow.needless, 0.02, r.name)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, small, &stdout, &stderr))
	assert.Empty(t, stdout.String())
	assert.Contains(t, stderr.String(), "placement: interrupted: context canceled")
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-nodes is 1, it must be from 2 to 10000": {"-nodes", "1"},
		"-keys is 0":                                {"-keys", "0"},
		"-requests is -1":                           {"-requests", "-1"},
		"-in-flight is 0":                           {"-in-flight", "0"},
		"-zipf is NaN, it must be from 0 to 3":      {"-zipf", "NaN"},
		"-factor is 0.5, it must be from 1 to 1024": {"-factor", "0.5"},
		`unexpected argument "x"`:                   {"x"},
		"flag provided but not defined: -colour":    {"-colour"},
	})
	clitest.Help(t, "placement", run)
}
