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
	assert.Equal(t, options{rate: 200, phase: time.Second, seed: 1, layers: layers{true, true, true}}, o)
	assert.Empty(t, out.String())
}

func TestFlagsAreTaken(t *testing.T) {
	o, _, ok := parseFlags([]string{"-rate", "1", "-phase", "3s", "-seed", "0", "-layers", "breaker, limiter", "-plain"}, &bytes.Buffer{})
	require.True(t, ok)
	assert.Equal(t, options{rate: 1, phase: 3 * time.Second, layers: layers{limiter: true, breaker: true}, plain: true}, o)
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-rate", "0"}, "-rate is 0, it must be from 1 to 1000"},
		{[]string{"-rate", "-5"}, "-rate is -5, it must be from 1 to 1000"},
		{[]string{"-rate", "1001"}, "-rate is 1001, it must be"},
		{[]string{"-rate", "many"}, `invalid value "many" for flag -rate: parse error`},
		{[]string{"-rate"}, "flag needs an argument: -rate"},
		{[]string{"-phase", "99ms"}, "-phase is 99ms, it must be from 100ms to 1m0s"},
		{[]string{"-phase", "-1s"}, "-phase is -1s, it must be"},
		{[]string{"-phase", "1h"}, "-phase is 1h0m0s, it must be"},
		{[]string{"-phase", "5"}, `invalid value "5" for flag -phase`},
		{[]string{"-seed", "-1"}, `invalid value "-1" for flag -seed`},
		{[]string{"-layers", ""}, `-layers has "", it must be one or more of limiter, bulkhead and breaker`},
		{[]string{"-layers", "breaker,retry"}, `-layers has "retry", it must be`},
		{[]string{"-colour"}, "flag provided but not defined: -colour"},
		{[]string{"200"}, `unexpected argument "200"`},
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
	for _, name := range []string{"rate", "phase", "seed", "layers", "plain"} {
		assert.Contains(t, stderr.String(), "\n  -"+name)
	}
	assert.Equal(t, cli.OK, run(t.Context(), []string{"-help"}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
}
