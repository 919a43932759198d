package breaker_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// A replica that failed and was taken out of service must not keep its place in MaxOpenShare for ever.
func TestKeyedOpenPlaceLapses(t *testing.T) {
	cfg := small()
	cfg.MaxOpenShare = 0.1 // of ten: one
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, seen *changes) {
		for i := range 10 {
			call(t, g, good.of(fmt.Sprint(i)))
		}
		call(t, g, times(3, bad.of("0"))...)
		require.Equal(t, breaker.StateOpen, g.State("0"))
		time.Sleep(70*sec - 1) // open for ten seconds, and nobody asked for it for a minute
		call(t, g, times(5, bad.of("1"))...)
		require.Equal(t, breaker.StateClosed, g.State("1"))
		require.Equal(t, breaker.StateHalfOpen, g.State("0"), "not needed yet")

		time.Sleep(time.Nanosecond)
		call(t, g, bad.of("1"))
		require.Equal(t, breaker.StateOpen, g.State("1"))
		require.Equal(t, 1, g.Stats().Open)
		require.Equal(t, breaker.StateClosed, g.State("0"))
		require.Contains(t, seen.list, breaker.StateEvent{
			Key: "0", From: breaker.StateHalfOpen, To: breaker.StateClosed, Reason: breaker.ReasonEvicted,
		})
		call(t, g, times(4, bad.of("0"))...)
		require.Equal(t, breaker.StateClosed, g.State("0"), "the place is taken")
		require.Equal(t, 10, g.Stats().Keys)
	})
}

// What is forced open keeps its place.
func TestKeyedForcedPlaceStays(t *testing.T) {
	cfg := small()
	cfg.MaxOpenShare = 0.5
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		call(t, g, times(4, bad.of("0"))...)
		require.NoError(t, g.ForceOpen("0"))
		time.Sleep(1000 * time.Hour)
		call(t, g, times(10, bad.of("1"))...)
		require.Equal(t, breaker.StateClosed, g.State("1"))
		require.Equal(t, 1, g.Stats().Open)
		g.Reset("0")
		call(t, g, bad.of("1"))
		require.Equal(t, breaker.StateOpen, g.State("1"))
	})
}

func TestKeyedRemove(t *testing.T) {
	cfg := small()
	cfg.MaxOpenShare, cfg.MaxKeys = 0.1, 2
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, seen *changes) {
		g.Remove("never seen")
		call(t, g, times(4, bad.of("a"))...)
		require.NoError(t, g.ForceClosed("b"))
		g.Remove("a")
		require.Equal(t, breaker.StateEvent{Key: "a", From: breaker.StateOpen, To: breaker.StateClosed, Reason: breaker.ReasonEvicted},
			seen.list[len(seen.list)-1])
		_, ok := g.StatsOf("a")
		require.False(t, ok)
		require.Equal(t, breaker.KeyedStats{Counters: breaker.Counters{Calls: 4, Failed: 4, Opened: 1}, Keys: 1}, g.Stats())

		call(t, g, good.of("a")) // a new one, for which there is room
		g.Remove("b")
		require.Equal(t, breaker.StateForcedClosed, seen.list[len(seen.list)-1].From)
		call(t, g, times(4, bad.of("c"))...)
		require.Equal(t, breaker.StateOpen, g.State("c"))
		g.Remove("a")
		g.Remove("c")
		require.Zero(t, g.Stats().Keys+g.Stats().Open)
		for i := range 5 {
			call(t, g, good.of(fmt.Sprint(i)))
		}
		require.Equal(t, 2, g.Stats().Keys)

		// Calls and permits under way are late.
		permit, err := g.Allow(context.Background(), "4")
		require.NoError(t, err)
		var under sync.WaitGroup
		under.Go(func() { _, _ = g.Do(context.Background(), step{key: "4", takes: sec, err: errDown}) })
		synctest.Wait()
		g.Remove("4")
		call(t, g, good.of("4"))
		under.Wait()
		permit.Done(errDown)
		s, ok := g.StatsOf("4")
		require.True(t, ok)
		require.Equal(t, breaker.Counters{Calls: 1}, s.Counters)
	})
}

// Remove while others use the key: nothing breaks, and no place stays taken.
func TestKeyedRemoveStress(t *testing.T) {
	cfg := breaker.Config{Window: 2, MinCalls: 1, OpenFor: 1, MaxKeys: 3, MaxOpenShare: 0.7}
	g, err := breaker.NewKeyed(keyOf, func(context.Context, step) (int, error) { runtime.Gosched(); return 0, errDown }, cfg)
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 2000 {
				key := string(rune('a' + (i+j)%5))
				switch j % 7 {
				case 0:
					g.Remove(key)
				case 1:
					_ = g.ForceOpen(key)
				case 2:
					g.Reset(key)
				case 3:
					if permit, err := g.Allow(t.Context(), key); err == nil {
						permit.Done(nil)
					}
				default:
					_, _ = g.Do(t.Context(), good.of(key))
				}
			}
		})
	}
	all.Wait()
	for key := range g.All() {
		g.Remove(key)
	}
	require.Zero(t, g.Stats().Keys)
	require.Zero(t, g.Stats().Open)
}
