package limiter_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

const ms = time.Millisecond

// most is limiter.MaxEvents or, where int is short, something that an int can hold four times.
var most = int(min(int64(limiter.MaxEvents), int64(math.MaxInt/4)))

var errGaveUp = errors.New("the caller gave up")

type intLimiter = limiter.Limiter[int, int]

// recorder is a function that records what it is called with, in the order of the calls.
type recorder struct {
	mu   sync.Mutex
	reqs []int
}

func (r *recorder) call(_ context.Context, req int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reqs = append(r.reqs, req)
	return req, nil
}

func (r *recorder) seen() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int{}, r.reqs...)
}

// itself is the cost of a request in most tests.
func itself(req int) int { return req }

// newLimiter is a limiter whose requests are their own cost.
func newLimiter(t *testing.T, cfg limiter.Config, opts ...limiter.Option[int]) (*intLimiter, *recorder) {
	t.Helper()
	r := new(recorder)
	l, err := limiter.New(r.call, cfg, append([]limiter.Option[int]{limiter.WithCost(itself)}, opts...)...)
	require.NoError(t, err)
	return l, r
}

// bubble runs the test in a synctest bubble and checks that the limiter is idle at the end.
func bubble(t *testing.T, cfg limiter.Config, test func(t *testing.T, l *intLimiter, r *recorder), opts ...limiter.Option[int]) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, r := newLimiter(t, cfg, opts...)
		test(t, l, r)
		synctest.Wait()
		s := l.Stats()
		require.Zero(t, s.Queued, "%+v", s)
		require.Zero(t, s.QueuedCost, "%+v", s)
		require.True(t, l.TimerStopped(), "a timer runs though nobody waits")
	})
}

// outcome is what a call returned, and how long it took.
type outcome struct {
	err  error
	took time.Duration
}

// async starts a call, waits until it is blocked or over, and returns where its outcome comes.
func async(call func() error) <-chan outcome {
	out := make(chan outcome, 1)
	start := time.Now()
	go func() {
		err := call()
		out <- outcome{err, time.Since(start)}
	}()
	synctest.Wait()
	return out
}

// do is a Do of l that async can start.
func do(ctx context.Context, l *intLimiter, req int) func() error {
	return func() error {
		_, err := l.Do(ctx, req)
		return err
	}
}

// pending asserts that the outcomes have not come yet.
func pending(t *testing.T, outs ...<-chan outcome) {
	t.Helper()
	synctest.Wait()
	for i, out := range outs {
		select {
		case o := <-out:
			t.Fatalf("call %d is over already: %+v", i, o)
		default:
		}
	}
}

// passed asserts that a call is let through, after so long.
func passed(t *testing.T, out <-chan outcome, took time.Duration) {
	t.Helper()
	o := <-out
	require.NoError(t, o.err)
	near(t, took, o.took)
}

// near asserts equality but for what is lost by rounding: levels are floats.
func near(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.InDelta(t, float64(want), float64(got), 100, "want %v, got %v", want, got)
}

// limited asserts that err is a *LimitedError as given.
func limited(t *testing.T, err error, reason limiter.Reason, cause limiter.Cause, retryAfter time.Duration) {
	t.Helper()
	require.ErrorIs(t, err, limiter.ErrLimited)
	var l *limiter.LimitedError
	require.ErrorAs(t, err, &l)
	require.Equal(t, reason, l.Reason, "%v", err)
	require.Equal(t, cause, l.Cause, "%v", err)
	near(t, retryAfter, l.RetryAfter())
}

// cost is the level of the cost limit now.
func cost(l *intLimiter) float64 { return l.Level().Cost }

// sleepyContext has ended, by what Err says, before Done tells those who wait.
type sleepyContext struct {
	context.Context
	ended atomic.Bool
	done  chan struct{}
}

func (c *sleepyContext) Done() <-chan struct{} { return c.done }

func (c *sleepyContext) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}

// errContext is a context whose Err is a function.
type errContext struct {
	context.Context
	err func() error
}

func (c errContext) Err() error { return c.err() }
