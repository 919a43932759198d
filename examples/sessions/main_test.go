package main

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
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

func TestRun(t *testing.T) {
	data := mnisttest.Dir(t, 500, 60)
	for _, args := range [][]string{
		{"-sick", "50"},
		{"-sick", "0"},
		{"-sick", "1", "-callers", "1", "-open", "0"},
		{"-sick", "120", "-callers", "300", "-writers", "1", "-page", "100", "-device", "0"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"-pages", "120", "-rounds", "2", "-epochs", "3", "-device", "100us", "-open", "1ms", "-data", data}, args...)
			assert.Equal(t, cli.OK, run(t.Context(), args, &stdout, &stderr), stderr.String())
			out := stdout.String()
			assert.Regexp(t, `pages read +240 +240 +240\n`, out)
			assert.Regexp(t, `accuracy +100.00 % +100.00 % +100.00 %\n`, out)
			if args[len(args)-1] == "0" && strings.Contains(strings.Join(args, " "), "-sick 0") {
				assert.Regexp(t, `sessions opened +2 +4 +8\n +given up as sick +0 +0 +0\n`, out)
			} else {
				assert.Regexp(t, `sessions opened +4 +6 +10\n +given up as sick +2 +2 +2\ncalls that met a sick one +2 +2 +2\n`, out)
			}
			assert.Regexp(t, `With 4 sessions [0-9.]+ times as many pages are read per second as with 1`, out)
			clitest.Fits(t, 80, out)
		})
	}
}

// The real images.
func TestRunOnMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network for some seconds")
	}
	var stdout, stderr bytes.Buffer
	args := []string{"-epochs", "1", "-rounds", "1", "-pages", "625", "-sick", "100", "-device", "0", "-open", "10ms"}
	require.Equal(t, cli.OK, run(t.Context(), args, &stdout, &stderr), stderr.String())
	found := regexp.MustCompile(`accuracy +([0-9.]+) % +([0-9.]+) % +([0-9.]+) %`).FindStringSubmatch(stdout.String())
	require.NotNil(t, found, stdout.String())
	assert.Equal(t, found[1], found[2])
	assert.Equal(t, found[1], found[3], "sessions changed the answers")
	accuracy, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	assert.Greater(t, accuracy, 95.0)
}

func TestRunReportsWhatIsMissing(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Failure, run(t.Context(), []string{"-data", "/does/not/exist"}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "sessions: loading MNIST: open /does/not/exist/train-images-idx3-ubyte.gz: ")
	assert.Empty(t, stdout.String())

	t.Chdir(t.TempDir())
	stderr.Reset()
	assert.Equal(t, cli.Failure, run(t.Context(), nil, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "name a folder that has them with -data")
}

func TestRunStopsWhenInterrupted(t *testing.T) {
	data := mnisttest.Dir(t, 500, 60)
	for _, c := range []struct{ at, says, reports string }{
		{"loading", "sessions: interrupted: loading MNIST", ""},
		{"training  20%", "sessions: interrupted: training: ", ""},
		{"serving   20%", "sessions: interrupted: serving: ", "accuracy +100.00 % +100.00 % +100.00 %"},
	} {
		t.Run(c.at, func(t *testing.T) {
			ctx, stderr := clitest.InterruptAt(t, c.at)
			var stdout bytes.Buffer
			args := []string{"-pages", "20", "-sick", "7", "-rounds", "20", "-epochs", "3", "-open", "1ms", "-device", "0", "-data", data}
			assert.Equal(t, cli.Interrupted, run(ctx, args, &stdout, stderr))
			assert.Contains(t, stderr.String(), c.says)
			if c.reports == "" {
				assert.Empty(t, stdout.String())
			} else {
				assert.Regexp(t, c.reports, stdout.String())
			}
		})
	}
}

func TestRunInterruptedBeforeItBegan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, nil, &stdout, &stderr))
	assert.Empty(t, stdout.String())
}
