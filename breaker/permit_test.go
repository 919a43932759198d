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

// A user who stops a stream that began in time has nothing against the back-end. A stream that has stalled until the caller's
// deadline has failed, though its first token came in time.
func TestFirstTokenAndCallersContext(t *testing.T) {
	cfg := small()
	cfg.SlowAfter = sec
	bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		ended := func(ctx context.Context, cancel context.CancelFunc, o breaker.Outcome) {
			defer cancel()
			permit, err := b.Allow(ctx)
			require.NoError(t, err)
			time.Sleep(sec / 2)
			permit.FirstToken()
			<-ctx.Done()
			permit.Settle(o, ctx.Err())
		}
		stopped, stop := context.WithCancel(context.Background())
		time.AfterFunc(time.Minute, stop)
		ended(stopped, stop, breaker.Default)
		require.Equal(t, breaker.Counters{Neutral: 1}, b.Stats().Counters)

		stall := func(after time.Duration, o breaker.Outcome) {
			ctx, cancel := context.WithTimeout(context.Background(), after)
			ended(ctx, cancel, o)
		}
		stall(sec-1, breaker.Default)
		require.Equal(t, breaker.Counters{Neutral: 2}, b.Stats().Counters, "an impatient caller")
		stall(time.Minute, breaker.Success)
		require.Equal(t, breaker.Counters{Neutral: 2, Calls: 1}, b.Stats().Counters)
		for range 3 {
			stall(sec, breaker.Default)
		}
		require.Equal(t, breaker.Counters{Neutral: 2, Calls: 4, Failed: 3, Opened: 1}, b.Stats().Counters)
	})
}

// An error whose method panics (here: a nil pointer that is not a nil error) goes to the caller as a panic. It is a failure, and must not
// hold the place of a probe.
func TestRetryAfterPanics(t *testing.T) {
	for name, do := range map[string]func(b *breaker.Breaker[step, int]){
		"Do": func(b *breaker.Breaker[step, int]) { _, _ = b.Do(context.Background(), step{err: (*broken)(nil)}) },
		"Done": func(b *breaker.Breaker[step, int]) {
			permit, err := b.Allow(context.Background())
			if err == nil {
				permit.Done((*broken)(nil))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
				for range 4 {
					require.Panics(t, func() { do(b) })
				}
				require.Equal(t, breaker.Counters{Calls: 4, Failed: 4, Opened: 1}, b.Stats().Counters)
				time.Sleep(10 * sec)
				require.Equal(t, breaker.StateHalfOpen, b.State())
				require.Panics(t, func() { do(b) })
				require.Equal(t, breaker.StateOpen, b.State(), "the probe has failed")
			})
		})
	}
}

type broken struct{ wait time.Duration }

func (e *broken) Error() string             { return "back-end: broken" }
func (e *broken) RetryAfter() time.Duration { return e.wait }

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

// Who got no permit may still defer Settle.
func TestNilPermit(t *testing.T) {
	var permit *breaker.Permit
	permit.FirstToken()
	permit.Done(errDown)
	permit.Settle(breaker.Failure, nil)
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
