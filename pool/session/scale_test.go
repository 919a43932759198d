package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

type ctx3 = context.Context

var scaling = session.Config{
	Min: 1, Max: 4, TargetDelay: 10 * ms, Interval: 100 * ms, Cooldown: time.Second, IdleTimeout: time.Minute,
}

// load keeps so many callers asking until the context ends, and waits for them.
func load(ctx context.Context, p *pool, callers int, r req) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	for range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				_, _ = p.Do(ctx, r)
			}
		}()
	}
	return func() {
		cancel()
		for range callers {
			<-done
		}
	}
}

// The delay has to be above the target for a whole interval: a burst that is worked off does not open a session.
func TestBurstDoesNotGrow(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		for range 10 {
			var outs []<-chan outcome
			for range 9 {
				outs = append(outs, async(t.Context(), p, req{takes: 10 * ms}))
			}
			for _, out := range outs {
				answered(t, out)
			}
			time.Sleep(time.Second)
		}
		require.Zero(t, p.Stats().Grown)
	})
}

// A queue that is worked off again and again does not stand, though the session is never idle.
func TestRecurringBurstsDoNotGrow(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		for range 100 {
			for range 5 {
				go func() { _, _ = p.Do(t.Context(), req{takes: 10 * ms}) }()
			}
			time.Sleep(50*ms - 1)
			require.Equal(t, 1, p.Stats().Running)
		}
		require.Zero(t, p.Stats().Grown)
		time.Sleep(time.Second)
	})
}

func TestStandingQueueGrows(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		stop := load(t.Context(), p, 8, req{takes: 50 * ms})
		time.Sleep(109 * ms)
		require.Zero(t, p.Stats().Grown)
		time.Sleep(50 * ms)
		require.EqualValues(t, 1, p.Stats().Grown)
		time.Sleep(900 * ms)
		require.Equal(t, 2, p.Stats().Sessions, "the cool-down")
		time.Sleep(200 * ms)
		require.Equal(t, 3, p.Stats().Sessions)
		time.Sleep(time.Minute)
		require.Equal(t, 4, p.Stats().Sessions, "Max")
		stop()
	})
}

// It does not grow beyond what the load needs.
func TestGrowsNoFurtherThanNeeded(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		stop := load(t.Context(), p, 2, req{takes: 50 * ms})
		time.Sleep(time.Minute)
		require.Equal(t, 2, p.Stats().Sessions)
		stop()
	})
}

// Requests that are longer than the interval are no reason not to see that others wait.
func TestGrowsThoughNothingEnds(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		for range 5 {
			async(t.Context(), p, req{takes: time.Hour})
		}
		time.Sleep(110*ms - 1)
		require.Equal(t, 1, p.Stats().Sessions)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 2, p.Stats().Sessions)
		time.Sleep(10 * time.Second)
		require.Equal(t, 4, p.Stats().Sessions, "Max")
		require.EqualValues(t, 3, p.Stats().Grown)
		require.Equal(t, 1, p.Stats().Queued)
	})
}

// While a session is being opened the pool does not ask for another, however long that takes.
func TestGrowingWaitsForTheOpening(t *testing.T) {
	bubble(t, scaling, func(t *testing.T, p *pool, b *backend) {
		b.mu.Lock()
		b.openTakes = 10 * time.Second
		b.mu.Unlock()
		stop := load(t.Context(), p, 3, req{takes: 20 * ms})
		time.Sleep(10 * time.Second)
		require.Equal(t, 1, p.Stats().Opening)
		require.EqualValues(t, 1, p.Stats().Grown)
		time.Sleep(time.Second)
		require.Equal(t, 2, p.Stats().Sessions)
		stop()
	})
}

func TestShrinks(t *testing.T) {
	var events []session.CloseEvent
	cfg := scaling
	cfg.OnClose = func(e session.CloseEvent) { events = append(events, e) }
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		stop := load(t.Context(), p, 12, req{takes: 20 * ms})
		time.Sleep(10 * time.Second)
		require.Equal(t, 4, p.Stats().Sessions)
		stop()
		stop = load(t.Context(), p, 2, req{takes: 20 * ms}) // two are enough
		time.Sleep(59 * time.Second)
		require.Equal(t, 4, p.Stats().Sessions)
		time.Sleep(2 * time.Second)
		require.Equal(t, 3, p.Stats().Sessions)
		time.Sleep(60 * time.Second)
		require.Equal(t, 2, p.Stats().Sessions)
		time.Sleep(3 * time.Minute)
		require.Equal(t, 2, p.Stats().Sessions, "two are busy")
		stop()
		time.Sleep(time.Hour)
		require.Equal(t, 1, p.Stats().Sessions, "Min")
		require.EqualValues(t, 3, p.Stats().Shrunk)
		require.Len(t, events, 3)
		require.Equal(t, session.ReasonIdle, events[0].Reason)
	})
}

// With several requests in a session, it is the capacity of one that must be unused, not a session.
func TestShrinksByCapacity(t *testing.T) {
	bubble(t, session.Config{Max: 2, PerSession: 4, IdleTimeout: time.Minute, TargetDelay: ms, Interval: ms}, func(t *testing.T, p *pool, b *backend) {
		stop := load(t.Context(), p, 8, req{takes: 20 * ms})
		time.Sleep(2 * time.Second)
		require.Equal(t, 2, p.Stats().Sessions)
		stop()
		failed := p.Stats().Failed
		stop = load(t.Context(), p, 2, req{takes: 20 * ms})
		time.Sleep(61 * time.Second)
		require.Equal(t, 1, p.Stats().Sessions)
		require.Equal(t, failed, p.Stats().Failed, "nobody notices")
		stop()
	})
}

func TestShrinksToNothing(t *testing.T) {
	bubble(t, session.Config{Max: 2}, func(t *testing.T, p *pool, b *backend) {
		answered(t, async(t.Context(), p, req{}))
		time.Sleep(session.DefaultIdleTimeout + 1)
		synctest.Wait()
		require.Zero(t, p.Stats().Sessions)
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
	})
}
