package breaker_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// probing is a small configuration with 5 probes, 2 at once, of which 3 must succeed.
func probing() breaker.Config {
	cfg := small()
	cfg.Probes, cfg.ProbeConcurrency, cfg.ProbeRatio, cfg.ProbeLease = 5, 2, 0.6, time.Minute
	return cfg
}

// halfOpen opens the breaker and waits until it is half-open.
func halfOpen(t *testing.T, b *breaker.Breaker[step, int]) {
	t.Helper()
	trip(t, b)
	time.Sleep(10 * sec)
	require.Equal(t, breaker.StateHalfOpen, b.State())
}

func TestProbesDecide(t *testing.T) {
	for _, c := range []struct {
		name   string
		probes []step
		want   breaker.State
	}{
		{"as soon as it is certain", []step{good, good, good}, breaker.StateClosed},
		{"failures are allowed", []step{bad, good, bad, good, good}, breaker.StateClosed},
		{"not decided", []step{bad, good, bad, good}, breaker.StateHalfOpen},
		{"too many failures", []step{bad, good, bad, good, bad}, breaker.StateOpen},
		{"failures at once", []step{bad, bad, bad}, breaker.StateOpen},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, probing(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
				halfOpen(t, b)
				call(t, b, c.probes...)
				require.Equal(t, c.want, b.State())
				last := seen.list[len(seen.list)-1]
				if c.want != breaker.StateHalfOpen {
					require.Equal(t, breaker.ReasonProbes, last.Reason)
					require.Equal(t, len(c.probes), last.Calls)
				}
			})
		})
	}
}

func TestProbesAreFew(t *testing.T) {
	bubble(t, probing(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		halfOpen(t, b)
		first, second := allowed(t, b), allowed(t, b)
		require.Equal(t, 2, b.Stats().Probing)
		open := rejected(t, b, good)
		require.Equal(t, breaker.StateHalfOpen, open.State)
		require.Zero(t, open.RetryAfter())
		first.Settle(breaker.Neutral, nil) // tells nothing: its place is free, and another probe takes it
		require.Equal(t, 1, b.Stats().Probing)
		require.Zero(t, b.Stats().WindowCalls)
		call(t, b, bad, good, bad)
		third := allowed(t, b)
		// Three are settled and two under way: more outcomes are not needed.
		rejects(t, b, good)
		third.Done(nil)
		rejects(t, b, good)
		second.Done(nil)
		require.Equal(t, breaker.StateClosed, b.State())
	})
}

func TestOpenTimeGrows(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		want := []time.Duration{10 * sec, 20 * sec, 40 * sec, 60 * sec, 60 * sec}
		for range 2 {
			trip(t, b)
			for i, d := range want {
				require.InDelta(t, d, rejected(t, b, good).RetryAfter(), 10, "%d", i)
				time.Sleep(d)
				if i < len(want)-1 {
					call(t, b, bad)
				}
			}
			call(t, b, good) // recovered: it starts again
			require.Equal(t, breaker.StateClosed, b.State())
		}
		require.EqualValues(t, 10, b.Stats().Opened)
		require.Len(t, seen.list, 22)
	})
}

// Breakers that opened together do not probe together, and none is open for longer than it says.
func TestJitter(t *testing.T) {
	cfg := small()
	cfg.Jitter = 0.5
	times := map[time.Duration]bool{}
	for range 50 {
		bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
			trip(t, b)
			d := seen.list[0].OpenFor
			require.Equal(t, d, rejected(t, b, good).RetryAfter())
			require.LessOrEqual(t, d, 10*sec)
			require.GreaterOrEqual(t, d, 5*sec)
			times[d] = true
		})
	}
	require.Greater(t, len(times), 40)
}

// A probe that never comes back must not keep the breaker half-open for ever: that of gobreaker rejects everything from then on.
func TestForgottenProbe(t *testing.T) {
	bubble(t, probing(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		halfOpen(t, b)
		forgotten := []*breaker.Permit{allowed(t, b), allowed(t, b)}
		time.Sleep(time.Minute - 1)
		rejects(t, b, good)
		time.Sleep(time.Nanosecond)
		require.Zero(t, b.Stats().Probing)
		require.Equal(t, 2, b.Stats().WindowFailed)
		require.EqualValues(t, 2, b.Stats().Unreturned)
		call(t, b, good, good)
		forgotten = append(forgotten, allowed(t, b))
		time.Sleep(time.Minute)
		rejects(t, b, good) // the third failure of five
		require.Equal(t, breaker.StateOpen, b.State())

		// They come back at last, and mean nothing.
		time.Sleep(time.Hour)
		require.Equal(t, breaker.StateHalfOpen, b.State())
		for _, permit := range forgotten {
			permit.Done(nil)
		}
		require.EqualValues(t, 3, b.Stats().Late)
		require.Zero(t, b.Stats().WindowCalls)
		call(t, b, good, good, good)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Len(t, seen.list, 5)
	})
}

// The same for a call that hangs in Do.
func TestHangingProbe(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		halfOpen(t, b)
		var hanging sync.WaitGroup
		hanging.Go(func() { _, _ = b.Do(context.Background(), step{takes: time.Hour}) })
		synctest.Wait()
		rejects(t, b, good)
		time.Sleep(time.Minute)
		require.Equal(t, breaker.StateOpen, b.State())
		time.Sleep(20 * sec)
		call(t, b, good)
		require.Equal(t, breaker.StateClosed, b.State())
		hanging.Wait()
		require.EqualValues(t, 1, b.Stats().Late)
	})
}

// The result of a call that began before the breaker opened says nothing about the back-end of now. In failsafe-go it
// opens the half-open breaker again.
func TestLateResults(t *testing.T) {
	for _, result := range []step{good, bad} {
		bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
			var old []*breaker.Permit
			for range 6 {
				old = append(old, allowed(t, b))
			}
			trip(t, b)
			old[0].Done(result.err)
			time.Sleep(10 * sec)
			old[1].Done(result.err) // nobody has noticed yet that it is half-open
			require.Equal(t, breaker.StateHalfOpen, b.State())
			old[2].Done(result.err)
			require.Equal(t, breaker.StateHalfOpen, b.State())
			probe := allowed(t, b)
			old[3].Done(result.err)
			require.Equal(t, 1, b.Stats().Probing)
			probe.Done(nil)
			require.Equal(t, breaker.StateClosed, b.State())
			old[4].Done(result.err)
			old[5].Settle(breaker.Throttled, later{sec})
			require.Zero(t, b.Stats().WindowCalls)
			require.Equal(t, breaker.Counters{Calls: 5, Failed: 4, Late: 6, Opened: 1}, b.Stats().Counters)
			require.Len(t, seen.list, 3)
		})
	}
}

// The same across a Reset and a round of probes.
func TestLateProbe(t *testing.T) {
	bubble(t, probing(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		halfOpen(t, b)
		late := allowed(t, b)
		call(t, b, bad, bad, bad)
		require.Equal(t, breaker.StateOpen, b.State())
		time.Sleep(20 * sec)
		require.Equal(t, breaker.StateHalfOpen, b.State())
		late.Done(nil) // of the round before
		require.Zero(t, b.Stats().WindowCalls)

		late = allowed(t, b)
		b.Reset()
		late.Done(errDown)
		require.Zero(t, b.Stats().WindowCalls)
		require.EqualValues(t, 2, b.Stats().Late)
	})
}
