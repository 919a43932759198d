package main

import (
	"bytes"
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

// smallData has few images, of which a network that has seen 100 of them once misreads some.
func smallData(t *testing.T) []string {
	return []string{"-train", "100", "-data", mnisttest.Dir(t, 1500, 400)}
}

// The whole program in real time, as short as it gets.
func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, cli.OK, run(t.Context(), append(smallData(t), "-phase", "50ms"), &stdout, &stderr), stderr.String())
	out := stdout.String()
	for _, v := range variants {
		assert.Equal(t, 3, strings.Count(out, "\n"+v.name+" "), "%s\n%s", v.name, out)
	}
	assert.Regexp(t, `(?m)^version   1+2+$`, out)
	assert.Contains(t, out, "\n0 of version 1 to requests that came later")
	assert.Contains(t, out, "; 0 requests failed outside of the outage")
	assert.NotContains(t, out, "an error that none should have")
	assert.Contains(t, stderr.String(), "comparing 100%")
	clitest.Fits(t, 85, out[strings.Index(out, "a column is"):])
}

func TestRunInterrupted(t *testing.T) {
	data := smallData(t)
	for at, want := range map[string]string{
		"epoch 1  accuracy": "", // while it trains
		"no cache":          "\nthe whole chain ",
	} {
		ctx, stderr := clitest.InterruptAt(t, at)
		var stdout bytes.Buffer
		assert.Equal(t, cli.Interrupted, run(ctx, append(data, "-phase", "50ms", "-without", "cache"), &stdout, stderr))
		assert.Contains(t, stderr.String(), "inference: interrupted: ")
		assert.Contains(t, stdout.String(), want)
	}
}

func TestRunFails(t *testing.T) {
	for want, args := range map[string][]string{
		"inference: loading MNIST: open /does/not/exist/": {"-data", "/does/not/exist"},
		"there are 200 images to learn from":              {"-data", mnisttest.Dir(t, 200, 10), "-train", "100"},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, cli.Failure, run(t.Context(), args, &stdout, &stderr))
		assert.Contains(t, stderr.String(), want)
		assert.Empty(t, stdout.String())
	}
}
