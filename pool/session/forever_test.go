package session_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

const (
	forever = time.Duration(math.MaxInt64)
	year    = 365 * 24 * time.Hour
)

// Where 0 is the default, the longest duration is how to say never. It must not keep the pool from what is due sooner: here, from growing,
// which is decided by a timer while nothing ends.
func TestNeverToShrinkRenewOrCheck(t *testing.T) {
	for name, set := range map[string]func(*session.Config){
		"IdleTimeout": func(c *session.Config) { c.IdleTimeout = forever },
		"MaxAge":      func(c *session.Config) { c.MaxAge = forever },
		"CheckEvery":  func(c *session.Config) { c.CheckEvery = forever },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := session.Config{Max: 2, IdleTimeout: 10 * year, CheckEvery: 10 * year}
			set(&cfg)
			bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
				time.Sleep(ms) // so that the sum of the times is too large
				require.NoError(t, p.Ready(t.Context()))
				time.Sleep(time.Hour)
				one := async(t.Context(), p, req{takes: time.Hour})
				other := async(t.Context(), p, req{takes: time.Hour})
				time.Sleep(time.Minute)
				s := p.Stats()
				require.Equal(t, [3]int{2, 2, 0}, [3]int{s.Sessions, s.Running, s.Queued}, "the timer is lost")
				answered(t, one)
				answered(t, other)
				time.Sleep(year)
				s = p.Stats()
				require.Equal(t, 2, s.Sessions)
				require.Zero(t, s.Shrunk+s.Closes.Age+s.Checks, "%+v", s)
				require.Len(t, b.attempts(), 2)
			}, session.WithCheck(func(context.Context, *sess) error { return nil }))
		})
	}
}

func TestNeverToGrow(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*session.Config)
		grown uint64
	}{
		"TargetDelay": {func(c *session.Config) { c.TargetDelay = forever }, 0},
		"Interval":    {func(c *session.Config) { c.Interval = forever }, 0},
		"both":        {func(c *session.Config) { c.TargetDelay, c.Interval = forever, forever }, 0},
		"Cooldown":    {func(c *session.Config) { c.Cooldown = forever }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := session.Config{Min: 1, Max: 4, IdleTimeout: year}
			c.set(&cfg)
			bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
				b.openTakes = ms
				time.Sleep(ms)
				stop := load(t.Context(), p, 8, req{takes: time.Minute})
				defer stop()
				time.Sleep(time.Hour)
				require.Equal(t, c.grown, p.Stats().Grown)
				require.Len(t, b.attempts(), 1+int(c.grown))
			})
		})
	}
}

func TestNeverToOpenAgain(t *testing.T) {
	t.Run("open fails", func(t *testing.T) {
		bubble(t, session.Config{Backoff: forever}, func(t *testing.T, p *pool, b *backend) {
			b.openErr, b.openTakes = errModel, ms
			var failed *session.OpenError
			for range 3 {
				require.ErrorAs(t, (<-async(t.Context(), p, req{})).err, &failed)
				require.Equal(t, 1, failed.Failures)
				require.Greater(t, failed.Pause, 100*year)
				time.Sleep(year)
			}
			require.Len(t, b.attempts(), 1)
		})
	})
	t.Run("open fails at once", func(t *testing.T) {
		bubble(t, session.Config{Backoff: forever}, func(t *testing.T, p *pool, b *backend) {
			b.openErr = errModel
			var failed *session.OpenError
			require.ErrorAs(t, (<-async(t.Context(), p, req{})).err, &failed)
			require.Equal(t, 1, failed.Failures)
		})
	})
	t.Run("sessions never work", func(t *testing.T) {
		bubble(t, session.Config{Min: 1, Backoff: forever}, func(t *testing.T, p *pool, b *backend) {
			b.openTakes = ms
			time.Sleep(ms)
			for range 2 {
				require.ErrorIs(t, (<-async(t.Context(), p, req{err: session.Bad(errModel)})).err, errModel)
				time.Sleep(time.Minute)
			}
			require.ErrorIs(t, (<-async(t.Context(), p, req{})).err, session.ErrOpen)
			time.Sleep(year)
			require.Len(t, b.attempts(), 2)
		})
	})
	t.Run("no bound", func(t *testing.T) {
		cfg := session.Config{Min: 1, Backoff: time.Second, MaxBackoff: forever}
		bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
			b.openErr, b.openTakes = errModel, ms
			require.ErrorIs(t, (<-async(t.Context(), p, req{err: session.Bad(errModel)})).err, errModel)
			time.Sleep(200 * year)
			tries := len(b.attempts())
			require.Greater(t, tries, 30)
			require.Less(t, tries, 36, "each pause is twice as long")
		})
	})
}
