package breaker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// gobreaker counts each call of done.
func TestPermitIsSettledOnce(t *testing.T) {
	bubble(t, probing(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		permit := allowed(t, b)
		for range 10 {
			permit.Done(errDown)
			permit.Done(nil)
			permit.Settle(breaker.Neutral, nil)
			permit.FirstToken()
		}
		require.Equal(t, breaker.Counters{Calls: 1, Failed: 1}, b.Stats().Counters)
		require.Equal(t, breaker.StateClosed, b.State())

		call(t, b, bad, bad, bad)
		time.Sleep(10 * sec)
		permit = allowed(t, b)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { permit.Done(nil) })
		}
		all.Wait()
		require.Equal(t, 1, b.Stats().WindowCalls)
		require.Equal(t, breaker.StateHalfOpen, b.State())
	})
}

func TestPermitOutcomes(t *testing.T) {
	bubble(t, breaker.Config{}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		for _, o := range []breaker.Outcome{breaker.Default, breaker.Success, breaker.Failure, breaker.Neutral, 99} {
			allowed(t, b).Settle(o, nil)
			allowed(t, b).Settle(o, errDown)
		}
		require.Equal(t, breaker.Counters{Calls: 8, Failed: 5, Neutral: 2}, b.Stats().Counters)
		allowed(t, b).Settle(breaker.Throttled, later{7 * sec})
		require.Equal(t, 7*sec, rejected(t, b, good).RetryAfter())
	})
}

// With a slow clock, a stream is as slow as its first token, however long it goes on.
func TestFirstToken(t *testing.T) {
	cfg := small()
	cfg.SlowAfter = sec
	bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		stream := func(first time.Duration) {
			permit := allowed(t, b)
			time.Sleep(first)
			permit.FirstToken()
			time.Sleep(time.Minute)
			permit.FirstToken() // only the first counts
			permit.Done(nil)
		}
		stream(0)
		stream(sec - 1)
		require.Zero(t, b.Stats().Slow)
		stream(sec)
		require.EqualValues(t, 1, b.Stats().Slow)
		permit := allowed(t, b) // never had one
		time.Sleep(sec)
		permit.Done(nil)
		require.EqualValues(t, 2, b.Stats().Slow)
		require.Equal(t, breaker.StateOpen, b.State())
	})
}

// A user who stops a stream that came in time, or whose deadline ends it, has nothing against the back-end.
func TestFirstTokenAndCallersContext(t *testing.T) {
	bubble(t, breaker.Config{SlowAfter: sec}, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		permit, err := b.Allow(ctx)
		require.NoError(t, err)
		permit.FirstToken()
		<-ctx.Done()
		permit.Done(ctx.Err())
		require.Equal(t, breaker.Counters{Neutral: 1}, b.Stats().Counters)
	})
}

// A probe whose stream goes on for longer than the lease has shown that the back-end answers.
func TestFirstTokenOfAProbe(t *testing.T) {
	cfg := small()
	cfg.SlowAfter = sec
	for wait, want := range map[time.Duration]breaker.State{0: breaker.StateClosed, sec: breaker.StateOpen, -1: breaker.StateOpen} {
		bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
			halfOpen(t, b)
			permit := allowed(t, b)
			if wait >= 0 {
				time.Sleep(wait)
				permit.FirstToken()
			}
			time.Sleep(time.Minute - max(0, wait) - 1)
			require.Equal(t, breaker.StateHalfOpen, b.State())
			time.Sleep(time.Nanosecond)
			require.Equal(t, want, b.State(), "first token after %v", wait)
			permit.Done(errDown)
			require.EqualValues(t, 1, b.Stats().Late)
			require.EqualValues(t, 1, b.Stats().Unreturned)
		})
	}
}

// A permit that is dropped while the breaker is closed holds nothing.
func TestForgottenPermit(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		for range 1000 {
			allowed(t, b)
		}
		require.Zero(t, b.Stats().Counters)
		trip(t, b)
	})
}
