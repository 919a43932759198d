package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/scalable-ai/patterns/examples/internal/cli"
	"github.com/scalable-ai/patterns/examples/internal/clitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local calls the back-end without a network, so that a run takes no time in a synctest bubble.
func local(b *backend) (call, func() error, error) {
	var wg sync.WaitGroup
	ask := func(ctx context.Context, _ int) (string, error) {
		status := make(chan int, 1)
		wg.Go(func() { status <- b.serve(ctx) })
		select {
		case s := <-status:
			if s != http.StatusOK {
				return "", statusError(s)
			}
			return "ok", nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	return ask, func() error { wg.Wait(); return nil }, nil
}

const runPhases = schedule(time.Second)

// try runs the traffic once, in a bubble.
func try(t *testing.T, use layers, rate int) *trial {
	t.Helper()
	result := &trial{layers: use}
	synctest.Test(t, func(t *testing.T) {
		times := arrivals(rate, runPhases.total(), 1)
		start := time.Now()
		require.NoError(t, result.run(t.Context(), runPhases, times, local, func(int, string) {}))
		assert.Less(t, time.Since(start), runPhases.total()+timeout, "a backlog is not worked off at the end")
		assert.Len(t, result.calls, len(times))
		assert.Zero(t, result.lateness())
		assert.Zero(t, result.count(unfinished, 0, runPhases.total()))
	})
	return result
}

func (t *trial) total(r result) int { return t.count(r, 0, runPhases.total()) }

func TestWithoutPatterns(t *testing.T) {
	got := try(t, layers{}, 200)
	assert.Equal(t, "100 %", share(got, runPhases, healthy))
	assert.Equal(t, "0 %", share(got, runPhases, failing))
	assert.Positive(t, got.total(timedOut))
	assert.Zero(t, got.total(limited)+got.total(full)+got.total(open))
	assert.Positive(t, got.wasted)
	assert.Equal(t, [columns]int{}, got.states)
}

func TestWithAllPatterns(t *testing.T) {
	without, with := try(t, layers{}, 200), try(t, layers{true, true, true}, 200)
	assert.Greater(t, 4*with.total(answered), 5*without.total(answered))
	assert.Equal(t, "100 %", share(with, runPhases, healthy))
	assert.Less(t, with.total(failed), 50)
	assert.Zero(t, with.total(timedOut))
	assert.Zero(t, with.wasted)
	after, ok := with.backToNormal(runPhases)
	assert.True(t, ok)
	assert.Less(t, after, 500*time.Millisecond)
	alone, ok := without.backToNormal(runPhases)
	assert.True(t, ok)
	assert.Greater(t, alone, time.Second, "the backlog is gone at once")
	for i, n := range with.inFlight {
		assert.LessOrEqual(t, n, slots, "column %d", i)
	}
	assert.Equal(t, [20]int{}, [20]int(with.states[:20]), "the breaker opens while the back-end is only slow")
	assert.Contains(t, with.states[20:30], 1)
	assert.Contains(t, with.states[20:35], 2)
	assert.Equal(t, [20]int{}, [20]int(with.states[40:]), "the breaker has not closed")
}

// With a quarter more calls the back-end never gets through its backlog, although it could answer far more when healthy.
func TestWithoutPatternsTheBacklogStays(t *testing.T) {
	assert.Equal(t, "over 2.50 s", recovery(try(t, layers{}, 250), runPhases))
	_, ok := try(t, layers{true, true, true}, 250).backToNormal(runPhases)
	assert.True(t, ok)
}

// More than the back-end can answer: the limiter is what it takes.
func TestLimiter(t *testing.T) {
	without, with := try(t, layers{}, 500), try(t, layers{limiter: true, bulkhead: true}, 500)
	assert.Positive(t, with.total(limited))
	first := runPhases.start(slow)
	assert.Positive(t, without.count(timedOut, 0, first))
	assert.Zero(t, with.count(timedOut, 0, first))
	assert.Greater(t, with.total(answered), 2*without.total(answered))
	assert.InDelta(t, 300+40, with.count(answered, 0, first), 40) // the rate and a burst
}

func TestSinglePatterns(t *testing.T) {
	bulkhead := try(t, layers{bulkhead: true}, 200)
	assert.Positive(t, bulkhead.total(full))
	assert.Zero(t, bulkhead.total(open)+bulkhead.total(limited))
	breaker := try(t, layers{breaker: true}, 200)
	assert.Positive(t, breaker.total(open))
	assert.Zero(t, breaker.total(full)+breaker.total(limited))
	limiter := try(t, layers{limiter: true}, 200)
	assert.Positive(t, limiter.total(timedOut), "a rate that was right does not help when the back-end is slow")
}

func TestCompare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		o := options{rate: 200, phase: time.Duration(runPhases), seed: 2, layers: layers{true, true, true}}
		require.NoError(t, compare(t.Context(), o, local, &stdout, &stderr))
		assert.Regexp(t, `answered in time +\d+ +\d+\n`, stdout.String())
		assert.Contains(t, stdout.String(), "\nwith patterns, a column is 100ms\n")
		assert.Contains(t, stdout.String(), "breaker: ─ closed")
		assert.NotContains(t, stdout.String(), "busy")
		assert.NotContains(t, stdout.String(), "\x1b")
		assert.Contains(t, stderr.String(), "calling  60%  with patterns: slow, ")
		_, rest, found := strings.Cut(stdout.String(), " per second\n\n")
		assert.True(t, found)
		clitest.Fits(t, 80, rest)
	})
}

// Interrupted in the first run, or the second: what was measured is reported.
func TestCompareInterrupted(t *testing.T) {
	for _, c := range []struct {
		at           time.Duration
		says         string
		reports, not string
	}{
		{500 * time.Millisecond, "without patterns, ", `answered in time +\d\d +-\n`, "\nwith patterns, a column"},
		{7 * time.Second, "with patterns, ", `answered in time +\d+ +\d+\n`, "?"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			time.AfterFunc(c.at, stop)
			var stdout, stderr bytes.Buffer
			o := options{rate: 200, phase: time.Duration(runPhases), layers: layers{true, true, true}}
			err := compare(ctx, o, local, &stdout, &stderr)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorContains(t, err, c.says)
			assert.Regexp(t, c.reports, stdout.String())
			assert.Regexp(t, `back to normal after .*-\n`, stdout.String())
			assert.NotContains(t, stdout.String(), c.not)
		})
	}
}

func TestNoBackend(t *testing.T) {
	broken := errors.New("no free port")
	var stdout bytes.Buffer
	o := options{rate: 1, phase: minPhase}
	err := compare(t.Context(), o, func(*backend) (call, func() error, error) { return nil, nil, broken }, &stdout, &bytes.Buffer{})
	assert.ErrorIs(t, err, broken)
	assert.Regexp(t, `answered in time +- +-\n`, stdout.String())
}

// The whole program, with its real server, as short as it gets.
func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"-phase", "100ms", "-rate", "100", "-plain"}, &stdout, &stderr)
	assert.Equal(t, cli.OK, status, stderr.String())
	assert.Regexp(t, `calls +\d+ +\d+\n`, stdout.String())
	assert.Contains(t, stderr.String(), "calling 100%")
}

func TestRunInterrupted(t *testing.T) {
	ctx, stderr := clitest.InterruptAt(t, "20%")
	var stdout bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, []string{"-phase", "300ms"}, &stdout, stderr))
	assert.Contains(t, stderr.String(), "resilience: interrupted: without patterns, ")
	assert.Regexp(t, `answered in time +\d+ +-\n`, stdout.String())
}

func TestRunInterruptedBeforeItBegan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, cli.Interrupted, run(ctx, nil, &stdout, &stderr))
	assert.Regexp(t, `calls +- +-\n`, stdout.String())
}
