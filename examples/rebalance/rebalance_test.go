package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlay(t *testing.T) {
	o, _, ok := parseFlags([]string{"-users", "3000", "-requests", "2003", "-callers", "4"}, &bytes.Buffer{})
	require.True(t, ok)
	h, err := play(t.Context(), o, &bytes.Buffer{})
	require.NoError(t, err)
	require.Len(t, h.phases, 5)
	for _, p := range h.phases {
		assert.Equal(t, int64(2003), p.requests, p.name)
		assert.Equal(t, int64(2003*20), p.keys, p.name)
		if p.name == "one is down" {
			assert.Positive(t, p.partial)
			assert.Less(t, p.answered, p.keys)
		} else {
			assert.Zero(t, p.partial, p.name)
			assert.Equal(t, p.keys, p.answered, p.name)
		}
		if p.name != "growing to 5" {
			assert.Zero(t, p.fallbacks, p.name)
		}
		assert.Equal(t, p.name == "without it", p.loaded > 0, p.name)
	}
	require.Len(t, h.changes, 2)
	for _, c := range h.changes {
		assert.Equal(t, c.minimum, c.keys, c.name)
		assert.InDelta(t, 0.2, c.share, 0.01)
		assert.InDelta(t, c.atLeast, c.share, 1e-9)
	}
	assert.Zero(t, h.phases[0].asked[4], "node-5 is not there yet")
	assert.Zero(t, h.phases[4].asked[1], "node-2 is gone")
}

func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), []string{"-users", "1000", "-requests", "300", "-callers", "1000"}, &stdout, &stderr), stderr.String())
	for _, want := range []string{"\ngrowing to 5 ", "\na node is lost ", "\nnode-5 ", "one is down                     without it\n"} {
		assert.Contains(t, stdout.String(), want)
	}
	clitest.Fits(t, 80, stdout.String())
}

func TestInterrupted(t *testing.T) {
	ctx, stderr := clitest.InterruptAt(t, "5 nodes")
	var stdout bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, []string{"-users", "1000", "-requests", "300"}, &stdout, stderr))
	assert.Contains(t, stdout.String(), "\ngrowing to 5 ")
	assert.NotContains(t, stdout.String(), "\n5 nodes")
	assert.Contains(t, stderr.String(), "rebalance: interrupted: context canceled")
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-users is 99, it must be from 100 to 10000000": {"-users", "99"},
		"-requests is 0":   {"-requests", "0"},
		"-callers is 1001": {"-callers", "1001"},
		"-batch is 0":      {"-batch", "0"},
		"-zipf is 1, it must be above 1 and at most 3": {"-zipf", "1"},
		`unexpected argument "x"`:                      {"x"},
	})
	clitest.Help(t, "rebalance", run)
}
