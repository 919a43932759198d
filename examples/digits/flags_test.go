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
	clitest.BadFlags(t, run, map[string][]string{
		"-n is 0, it must be from 1 to 10000":                                  {"-n", "0"},
		"-n is -5, it must be from 1 to 10000":                                 {"-n", "-5"},
		"-n is 10001, it must be from 1 to 10000":                              {"-n", "10001"},
		`invalid value "99999999999999999999" for flag -n: value out of range`: {"-n", "99999999999999999999"},
		`invalid value "many" for flag -n: parse error`:                        {"-n", "many"},
		"flag needs an argument: -n":                                           {"-n"},
		"-rounds is 0, it must be from 1 to 1000":                              {"-rounds", "0"},
		"-rounds is 1001":                                                      {"-rounds", "1001"},
		"-callers is 0, it must be from 1 to 10000":                            {"-callers", "0"},
		"-callers is 1000000":                                                  {"-callers", "1000000"},
		"-max-size is 0, it must be from 1 to 1024":                            {"-max-size", "0"},
		"-max-size is -64":                                                     {"-max-size", "-64"},
		"-max-size is 1025":                                                    {"-max-size", "1025"},
		"-epochs is 0, it must be from 1 to 100":                               {"-epochs", "0"},
		"-epochs is 101":                                                       {"-epochs", "101"},
		"-max-wait is -1ms, it must be from 0 to 1s":                           {"-max-wait", "-1ms"},
		"-max-wait is 1h0m0s":                                                  {"-max-wait", "1h"},
		`invalid value "5" for flag -max-wait`:                                 {"-max-wait", "5"},
		`invalid value "-1" for flag -seed`:                                    {"-seed", "-1"},
		`-model is "cnn", it must be mlp or softmax`:                           {"-model", "cnn"},
		`-backend is "", it must be http or local`:                             {"-backend", ""},
		"flag provided but not defined: -colour":                               {"-colour"},
		`unexpected argument "2000"`:                                           {"2000"},
	})
}

func TestHelp(t *testing.T) {
	clitest.Help(t, "digits", run, "n", "rounds", "callers", "max-size", "max-wait", "backend", "model", "epochs", "seed", "data")
}
