package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/clitest"
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
	clitest.BadFlags(t, run, map[string][]string{
		"-rate is 0, it must be from 1 to 1000":                                   {"-rate", "0"},
		"-rate is -5, it must be from 1 to 1000":                                  {"-rate", "-5"},
		"-rate is 1001, it must be":                                               {"-rate", "1001"},
		`invalid value "many" for flag -rate: parse error`:                        {"-rate", "many"},
		"flag needs an argument: -rate":                                           {"-rate"},
		"-phase is 99ms, it must be from 100ms to 1m0s":                           {"-phase", "99ms"},
		"-phase is -1s, it must be":                                               {"-phase", "-1s"},
		"-phase is 1h0m0s, it must be":                                            {"-phase", "1h"},
		`invalid value "5" for flag -phase`:                                       {"-phase", "5"},
		`invalid value "-1" for flag -seed`:                                       {"-seed", "-1"},
		`-layers has "", it must be one or more of limiter, bulkhead and breaker`: {"-layers", ""},
		`-layers has "retry", it must be`:                                         {"-layers", "breaker,retry"},
		"flag provided but not defined: -colour":                                  {"-colour"},
		`unexpected argument "200"`:                                               {"200"},
	})
}

func TestHelp(t *testing.T) {
	clitest.Help(t, "resilience", run, "rate", "phase", "seed", "layers", "plain")
}
