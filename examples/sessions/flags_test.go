package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/cli"
)

func TestDefaults(t *testing.T) {
	var out bytes.Buffer
	o, _, ok := parseFlags(nil, &out)
	require.True(t, ok)
	assert.Equal(t, options{
		pages: 2000, rounds: 2, callers: 32, writers: 64, page: 16, open: 200 * time.Millisecond, device: 2 * time.Millisecond,
		sick: 700, epochs: 2, seed: 1,
	}, o)
	assert.Empty(t, out.String())
}

func TestFlagsAreTaken(t *testing.T) {
	o, _, ok := parseFlags([]string{
		"-pages", "1", "-rounds", "2", "-callers", "3", "-writers", "4", "-page", "5", "-open", "6ms", "-device", "0",
		"-sick", "0", "-epochs", "7", "-seed", "0", "-data", "dir",
	}, &bytes.Buffer{})
	require.True(t, ok)
	assert.Equal(t, options{
		pages: 1, rounds: 2, callers: 3, writers: 4, page: 5, open: 6 * time.Millisecond, epochs: 7, data: "dir",
	}, o)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-pages", "0"}, "-pages is 0, it must be from 1 to 1000000"},
		{[]string{"-pages", "99999999999999999999"}, `invalid value "99999999999999999999" for flag -pages: value out of range`},
		{[]string{"-pages"}, "flag needs an argument: -pages"},
		{[]string{"-rounds", "-1"}, "-rounds is -1, it must be from 1 to 1000"},
		{[]string{"-callers", "0"}, "-callers is 0, it must be from 1 to 10000"},
		{[]string{"-writers", "0"}, "-writers is 0, it must be from 1 to 10000"},
		{[]string{"-page", "1025"}, "-page is 1025, it must be from 1 to 1024"},
		{[]string{"-epochs", "101"}, "-epochs is 101, it must be from 1 to 100"},
		{[]string{"-open", "-1ms"}, "-open is -1ms, it must be from 0 to 1m"},
		{[]string{"-open", "5"}, `invalid value "5" for flag -open`},
		{[]string{"-device", "2s"}, "-device is 2s, it must be from 0 to 1s"},
		{[]string{"-sick", "-1"}, "-sick is -1, it must be from 0 to -pages, 2000"},
		{[]string{"-pages", "10"}, "-sick is 700, it must be from 0 to -pages, 10"},
		{[]string{"-colour"}, "flag provided but not defined: -colour"},
		{[]string{"2000"}, `unexpected argument "2000"`},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, cli.Usage, run(t.Context(), c.args, &stdout, &stderr), "%v", c.args)
		assert.Contains(t, stderr.String(), c.want, "%v", c.args)
		assert.Empty(t, stdout.String(), "%v", c.args)
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.OK, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	flags := []string{"pages", "rounds", "callers", "writers", "page", "open", "device", "sick", "epochs", "seed", "data"}
	for _, name := range flags {
		assert.Contains(t, stderr.String(), "\n  -"+name+" ")
	}
	assert.Equal(t, cli.OK, run(t.Context(), []string{"-help"}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
}
