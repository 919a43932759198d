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
		n: 10_000, rounds: 5, callers: 256, maxSize: 64, backend: "http", model: "mlp", epochs: 5, seed: 1,
	}, o)
	assert.Empty(t, out.String())
}

func TestFlagsAreTaken(t *testing.T) {
	o, _, ok := parseFlags([]string{
		"-n", "1", "-rounds", "2", "-callers", "3", "-max-size", "4", "-max-wait", "5ms",
		"-backend", "local", "-model", "softmax", "-epochs", "6", "-seed", "0", "-data", "dir",
	}, &bytes.Buffer{})
	require.True(t, ok)
	assert.Equal(t, options{
		n: 1, rounds: 2, callers: 3, maxSize: 4, maxWait: 5 * time.Millisecond,
		backend: "local", model: "softmax", epochs: 6, seed: 0, data: "dir",
	}, o)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-n", "0"}, "-n is 0, it must be from 1 to 10000"},
		{[]string{"-n", "-5"}, "-n is -5, it must be from 1 to 10000"},
		{[]string{"-n", "10001"}, "-n is 10001, it must be from 1 to 10000"},
		{[]string{"-n", "99999999999999999999"}, `invalid value "99999999999999999999" for flag -n: value out of range`},
		{[]string{"-n", "many"}, `invalid value "many" for flag -n: parse error`},
		{[]string{"-n"}, "flag needs an argument: -n"},
		{[]string{"-rounds", "0"}, "-rounds is 0, it must be from 1 to 1000"},
		{[]string{"-rounds", "1001"}, "-rounds is 1001"},
		{[]string{"-callers", "0"}, "-callers is 0, it must be from 1 to 10000"},
		{[]string{"-callers", "1000000"}, "-callers is 1000000"},
		{[]string{"-max-size", "0"}, "-max-size is 0, it must be from 1 to 1024"},
		{[]string{"-max-size", "-64"}, "-max-size is -64"},
		{[]string{"-max-size", "1025"}, "-max-size is 1025"},
		{[]string{"-epochs", "0"}, "-epochs is 0, it must be from 1 to 100"},
		{[]string{"-epochs", "101"}, "-epochs is 101"},
		{[]string{"-max-wait", "-1ms"}, "-max-wait is -1ms, it must be from 0 to 1s"},
		{[]string{"-max-wait", "1h"}, "-max-wait is 1h0m0s"},
		{[]string{"-max-wait", "5"}, `invalid value "5" for flag -max-wait`},
		{[]string{"-seed", "-1"}, `invalid value "-1" for flag -seed`},
		{[]string{"-model", "cnn"}, `-model is "cnn", it must be mlp or softmax`},
		{[]string{"-backend", ""}, `-backend is "", it must be http or local`},
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
	for _, name := range []string{"n", "rounds", "callers", "max-size", "max-wait", "backend", "model", "epochs", "seed", "data"} {
		assert.Contains(t, stderr.String(), "\n  -"+name+" ")
	}
	assert.Equal(t, cli.OK, run(t.Context(), []string{"-help"}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
}
