package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{
		"-n", "2000", "-callers", "8", "-size", "100", "-hidden", "16", "-epochs", "4", "-overhead", "100us", "-data", mnisttest.Dir(t, 500, 60),
	}, &stdout, &stderr)
	require.Equal(t, cli.OK, status, stderr.String())
	out := stdout.String()
	assert.Regexp(t, `accuracy +100.0 % +100.0 %\n`, out)
	assert.Regexp(t, `images that the model got +2000 +60\n`, out, "each image once")
	assert.Regexp(t, `no cache +8.0 `, out)
	assert.Regexp(t, `cache +1.0 `, out)
	assert.Regexp(t, `stale while revalidate +1.0 `, out)
	assert.Regexp(t, `version 1 invalidated +`, out)
}

func TestBadFlags(t *testing.T) {
	clitest.BadFlags(t, run, map[string][]string{
		"-n is 0, it must be from 1 to 10000000": {"-n", "0"},
		"-callers is 0":                          {"-callers", "0"},
		"-size is -1":                            {"-size", "-1"},
		"-hidden is 5000":                        {"-hidden", "5000"},
		"-epochs is 101":                         {"-epochs", "101"},
		"-zipf is 1, it must be more than 1":     {"-zipf", "1"},
		"-zipf is NaN":                           {"-zipf", "NaN"},
		"-overhead is 1h0m0s":                    {"-overhead", "1h"},
		`unexpected argument "x"`:                {"x"},
	})
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.OK, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Equal(t, cli.Failure, run(t.Context(), []string{"-data", "/does/not/exist"}, &stdout, &stderr))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, cli.Interrupted, run(ctx, []string{"-data", mnisttest.Dir(t, 50, 6)}, &stdout, &stderr))
}

func TestKeys(t *testing.T) {
	image := make(mnist.Image, mnist.Pixels)
	other := make(mnist.Image, mnist.Pixels)
	other[3] = 1
	assert.Equal(t, keyOf(request{"1", image}), keyOf(request{"1", append(mnist.Image(nil), image...)}))
	assert.NotEqual(t, keyOf(request{"1", image}), keyOf(request{"2", image}))
	assert.NotEqual(t, keyOf(request{"1", image}), keyOf(request{"1", other}))
	assert.False(t, sameRequest(request{"1", image}, request{"1", other}))
	assert.Equal(t, cache.Namespace{Model: "digits", Version: "1"}, namespaceOf(keyOf(request{"1", image})))
}

func TestTrafficIsSkewedAndTheSameEachTime(t *testing.T) {
	o := options{requests: 10_000, zipf: 1.1, seed: 1}
	first := zipfTraffic(o, 1000)
	assert.Equal(t, first, zipfTraffic(o, 1000))
	counts := map[int]int{}
	most := 0
	for _, i := range first {
		counts[i]++
		most = max(most, counts[i])
	}
	assert.Greater(t, most, 1000)
	assert.Greater(t, len(counts), 300)
}

func TestPercent(t *testing.T) {
	assert.Equal(t, "-", percent(1, 0))
	assert.True(t, strings.HasSuffix(percent(1, 2), "50.0 %"))
}
