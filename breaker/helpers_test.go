package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// step is a request that tells the back-end what to do.
type step struct {
	key   string
	takes time.Duration
	err   error
	do    func()
}

// backend does what it is told. It gives up when the context ends.
func backend(ctx context.Context, s step) (int, error) {
	if s.takes > 0 {
		timer := time.NewTimer(s.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	if s.do != nil {
		s.do()
	}
	return 1, s.err
}

var (
	errDown = errors.New("back-end: down")
	good    = step{}
	bad     = step{err: errDown}
)

// later is an error that carries a Retry-After.
type later struct{ wait time.Duration }

func (e later) Error() string             { return "back-end: come back later" }
func (e later) RetryAfter() time.Duration { return e.wait }

// small is a configuration that few calls decide.
func small() breaker.Config {
	return breaker.Config{Window: 10, MinCalls: 4, OpenFor: 10 * sec, MaxOpenFor: 60 * sec, Jitter: 1e-12, Probes: 1}
}

type changes struct{ list []breaker.StateEvent }

func (c *changes) add(e breaker.StateEvent) { c.list = append(c.list, e) }

// states are the states that were entered.
func (c *changes) states() (states []breaker.State) {
	for _, e := range c.list {
		states = append(states, e.To)
	}
	return states
}

// bubble runs the test in a synctest bubble with a breaker around backend, and records its changes of state.
func bubble(
	t *testing.T, cfg breaker.Config, test func(t *testing.T, b *breaker.Breaker[step, int], seen *changes), opts ...breaker.Option[step, int],
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var seen changes
		if cfg.OnStateChange == nil {
			cfg.OnStateChange = seen.add
		}
		b, err := breaker.New(backend, cfg, opts...)
		require.NoError(t, err)
		test(t, b, &seen)
	})
}

type doer interface {
	Do(ctx context.Context, s step) (int, error)
}

// call makes calls one after the other, and asserts that none is rejected.
func call(t *testing.T, b doer, steps ...step) {
	t.Helper()
	for i, s := range steps {
		_, err := b.Do(context.Background(), s)
		require.NotErrorIs(t, err, breaker.ErrOpen, "call %d", i)
	}
}

// rejects asserts that a call is rejected.
func rejects(t *testing.T, b doer, s step) {
	t.Helper()
	require.Error(t, rejected(t, b, s))
}

// rejected asserts that a call is rejected, and returns the error.
func rejected(t *testing.T, b doer, s step) *breaker.OpenError {
	t.Helper()
	s.do = func() { t.Error("a rejected call reached the back-end") }
	_, err := b.Do(context.Background(), s)
	require.ErrorIs(t, err, breaker.ErrOpen)
	var open *breaker.OpenError
	require.ErrorAs(t, err, &open)
	return open
}

// times repeats a step.
func times(n int, s step) (steps []step) {
	for range n {
		steps = append(steps, s)
	}
	return steps
}

// trip opens a breaker of the small configuration, and asserts that it did.
func trip(t *testing.T, b *breaker.Breaker[step, int]) {
	t.Helper()
	call(t, b, times(4, bad)...)
	require.Equal(t, breaker.StateOpen, b.State())
}

// allowed returns a permit.
func allowed(t *testing.T, b *breaker.Breaker[step, int]) *breaker.Permit {
	t.Helper()
	permit, err := b.Allow(context.Background())
	require.NoError(t, err)
	return permit
}
