package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestFlags(t *testing.T) {
	var stderr bytes.Buffer
	o, _, ok := parseFlags(nil, &stderr)
	assert.True(t, ok)
	assert.Len(t, o.variants, len(variants))
	o, _, ok = parseFlags([]string{"-quick", "-without", "pool, cache", "-plain", "-seed", "7"}, &stderr)
	assert.True(t, ok)
	assert.Equal(t, quickPhase, o.phase)
	assert.Equal(t, quickTrain, o.train)
	assert.True(t, o.plain)
	names := ""
	for _, v := range o.variants {
		names += v.key + ";"
	}
	assert.Equal(t, ";pool;cache;", names)
	o, _, _ = parseFlags([]string{"-without", "none"}, &stderr)
	assert.Len(t, o.variants, 1)
	assert.Empty(t, stderr.String())
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-phase is 49ms, it must be from 50ms to 1m0s":    {"-phase", "49ms"},
		"-phase is -1s, it must be":                       {"-phase", "-1s"},
		"-train is 99, it must be from 100 to 30000":      {"-train", "99"},
		"-zipf is 1, it must be more than 1":              {"-zipf", "1"},
		"-zipf is NaN":                                    {"-zipf", "NaN"},
		`-without has "", it must be of cache, limiter, `: {"-without", ""},
		`-without has "retry", it must be of`:             {"-without", "cache,retry"},
		`unexpected argument "x"`:                         {"x"},
		`invalid value "-1" for flag -seed`:               {"-seed", "-1"},
	})
	clitest.Help(t, "inference", run, "without")
}
