package breaker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// However many keys there are, and though all have been used lately: when all are closed and idle, one can go.
func TestKeyedEvictsThoughAllAreUsed(t *testing.T) {
	const keys = 5000
	g, err := breaker.NewKeyed(func(key int) int { return key }, echo, breaker.Config{MaxKeys: keys})
	require.NoError(t, err)
	for range 2 {
		for key := range keys {
			_, _ = g.Do(t.Context(), key)
		}
	}
	for key := range 10 {
		_, err := g.Do(t.Context(), keys+key)
		require.NoError(t, err)
	}
	require.NoError(t, g.ForceOpen(2*keys))
	require.Zero(t, g.Stats().Overflow)
	require.EqualValues(t, 11, g.Stats().Evicted)
}

// In a Keyed in which hardly any can go, a call for a new key gives up the search early, but the next one goes on with it. A method
// looks at all.
func TestKeyedSearchIsBounded(t *testing.T) {
	cfg := small()
	cfg.MaxKeys, cfg.MinCalls = 1000, 1
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		for i := range cfg.MaxKeys {
			s := bad
			if i == 500 || i == 700 {
				s = good
			}
			call(t, g, s.of(fmt.Sprint(i)))
		}
		call(t, g, good.of("new"))
		require.EqualValues(t, 1, g.Stats().Overflow)
		require.NoError(t, g.ForceOpen("forced"))
		for i := range 100 {
			call(t, g, good.of(fmt.Sprint("new", i)))
		}
		require.Greater(t, g.Stats().Evicted, uint64(1), "the other one was found")
	})
}

// The hooks of one key do not overlap, as they would if its breaker were evicted while a change of it is being delivered.
func TestKeyedKeepsDelivering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		running := 0
		var seen changes
		cfg := small()
		cfg.MaxKeys = 1
		cfg.OnStateChange = func(e breaker.StateEvent) {
			if e.Key == nil {
				return // the overflow
			}
			running++
			require.Equal(t, 1, running)
			<-gate
			running--
			seen.add(e)
		}
		g, err := breaker.NewKeyed(keyOf, backend, cfg)
		require.NoError(t, err)
		var permits []*breaker.Permit // which do not keep the breaker
		for range 4 {
			permit, err := g.Allow(context.Background(), "a")
			require.NoError(t, err)
			permits = append(permits, permit)
		}
		go func() {
			for _, permit := range permits {
				permit.Done(errDown)
			}
		}()
		synctest.Wait() // the hook of its opening is running
		g.Reset("a")
		call(t, g, good.of("b"))
		require.Zero(t, g.Stats().Evicted)
		require.EqualValues(t, 1, g.Stats().Overflow)
		call(t, g, times(4, bad.of("a"))...)
		close(gate)
		synctest.Wait()
		require.Equal(t, []breaker.State{breaker.StateOpen, breaker.StateClosed, breaker.StateOpen}, seen.states())
		g.Reset("a")
		call(t, g, good.of("b"))
		require.EqualValues(t, 1, g.Stats().Evicted)
	})
}

// What comes back after its breaker was evicted is in the sums of the Keyed.
func TestKeyedCountsStrays(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 1
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Throttled, breaker.Neutral} {
			permit, err := g.Allow(context.Background(), "a")
			require.NoError(t, err)
			call(t, g, good.of("b"))
			permit.Settle(o, nil)
		}
		require.Equal(t, breaker.Counters{Calls: 4, Late: 3, Neutral: 1}, g.Stats().Counters)
	})
}

// A probe under way keeps its breaker, though nobody has asked for that in long: the permit may come back with the answer.
func TestKeyedKeepsProbedOnes(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 1
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		call(t, g, times(4, bad.of("a"))...)
		time.Sleep(70*sec - 1)
		permit, err := g.Allow(context.Background(), "a")
		require.NoError(t, err)
		time.Sleep(30 * sec)
		call(t, g, good.of("b"))
		require.EqualValues(t, 1, g.Stats().Overflow)
		permit.Done(nil)
		require.Equal(t, breaker.StateClosed, g.State("a"))
		require.Zero(t, g.Stats().Late)
	})
}

// A hook that panics while an eviction is told must not keep the new breaker from ever being evicted itself.
func TestKeyedHookDiesInEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small()
		cfg.MaxKeys = 1
		cfg.OnStateChange = func(e breaker.StateEvent) {
			if e.Reason == breaker.ReasonEvicted {
				panic("hook")
			}
		}
		g, err := breaker.NewKeyed(keyOf, backend, cfg)
		require.NoError(t, err)
		call(t, g, times(4, bad.of("a"))...)
		time.Sleep(70 * sec)
		require.PanicsWithValue(t, "hook", func() { _, _ = g.Do(t.Context(), good.of("b")) })
		call(t, g, good.of("c"))
		require.EqualValues(t, 2, g.Stats().Evicted)
		require.Zero(t, g.Stats().Overflow)
	})
}

// What a back-end asks for by Throttled is kept when MaxOpenShare has the breaker stay closed for now.
func TestKeyedRefusedRetryAfter(t *testing.T) {
	cfg := small()
	cfg.MaxOpenShare = 0.5
	for _, o := range []breaker.Outcome{breaker.Throttled, breaker.Failure} {
		keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
			call(t, g, good.of("b"))
			call(t, g, times(4, bad.of("a"))...)
			permit, err := g.Allow(context.Background(), "b")
			require.NoError(t, err)
			permit.Settle(o, later{5 * time.Minute})
			require.Equal(t, breaker.StateClosed, g.State("b"))
			g.Reset("a")
			time.Sleep(sec)
			for range 3 {
				_, _ = g.Do(context.Background(), bad.of("b"))
			}
			s, _ := g.StatsOf("b")
			require.Equal(t, 5*time.Minute-sec, s.RetryAfter, "%v", o)
		})
	}
}
