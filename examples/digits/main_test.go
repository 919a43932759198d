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
		{"-backend", "http"},
		{"-backend", "local"},
		{"-model", "softmax", "-max-wait", "1ms"},
		{"-callers", "1", "-max-size", "1"},
		{"-callers", "300", "-max-size", "1024"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append(args, "-n", "60", "-rounds", "2", "-epochs", "3", "-data", data), &stdout, &stderr)
			assert.Equal(t, cli.OK, status, stderr.String())
			assert.Regexp(t, `requests answered +120 +120\n`, stdout.String())
			assert.Regexp(t, `accuracy +100.00 % +100.00 %\n`, stdout.String())
			assert.Regexp(t, `Batched, [0-9.]+ times as many requests are answered per second`, stdout.String())
			assert.Contains(t, stderr.String(), "training 100%  epoch 3")
			clitest.Fits(t, 80, stdout.String()[strings.Index(stdout.String(), "accuracy"):])
		})
	}
}

// The real images. One epoch is enough to see that the network learns; the accuracy is the same each time, for the seed.
func TestRunOnMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network for some seconds")
	}
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"-epochs", "2", "-rounds", "1"}, &stdout, &stderr)
	require.Equal(t, cli.OK, status, stderr.String())
	found := regexp.MustCompile(`accuracy +([0-9.]+) % +([0-9.]+) %`).FindStringSubmatch(stdout.String())
	require.NotNil(t, found, stdout.String())
	assert.Equal(t, found[1], found[2], "batching changed the answers")
	accuracy, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	assert.Greater(t, accuracy, 96.0)
}

func TestRunReportsWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-data", "/does/not/exist"}, "digits: loading MNIST: open /does/not/exist/train-images-idx3-ubyte.gz: "},
		{[]string{"-data", mnisttest.Dir(t, 5, 5), "-n", "6"}, "-n is 6, but there are only 5 test images"},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, cli.Failure, run(t.Context(), c.args, &stdout, &stderr))
		assert.Contains(t, stderr.String(), c.want)
		assert.Empty(t, stdout.String())
	}
}

func TestRunOutsideOfTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Failure, run(t.Context(), nil, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "name a folder that has them with -data")
}

func TestRunStopsWhenInterrupted(t *testing.T) {
	data := mnisttest.Dir(t, 500, 60)
	for _, c := range []struct {
		at, says, reports string
	}{
		{"loading", "digits: interrupted: loading MNIST", ""},
		{"training  25%", "digits: interrupted: training, 2 of 8 steps done", ""},
		{"serving   20%", "digits: interrupted: serving", "accuracy +100.00 % +100.00 %"},
	} {
		for _, backend := range []string{"http", "local"} {
			t.Run(backend+" "+c.at, func(t *testing.T) {
				ctx, stderr := clitest.InterruptAt(t, c.at)
				var stdout bytes.Buffer
				args := []string{"-n", "60", "-rounds", "1000", "-epochs", "1", "-data", data, "-backend", backend}
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
}

func TestRunInterruptedBeforeItBegan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, nil, &stdout, &stderr))
	assert.Empty(t, stdout.String())
}
