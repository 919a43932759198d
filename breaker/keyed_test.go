package breaker_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

type keyed = breaker.Keyed[string, step, int]

func keyOf(s step) string { return s.key }

// keyedBubble runs the test in a synctest bubble with a Keyed around backend.
func keyedBubble(t *testing.T, cfg breaker.Config, test func(t *testing.T, g *keyed, seen *changes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var seen changes
		cfg.OnStateChange = seen.add
		g, err := breaker.NewKeyed(keyOf, backend, cfg)
		require.NoError(t, err)
		test(t, g, &seen)
	})
}

// of gives the step to a key.
func (s step) of(key string) step {
	s.key = key
	return s
}

func TestKeyedKeysAreApart(t *testing.T) {
	keyedBubble(t, small(), func(t *testing.T, g *keyed, seen *changes) {
		call(t, g, times(4, bad.of("a"))...)
		call(t, g, times(4, good.of("b"))...)
		open := rejected(t, g, good.of("a"))
		require.Equal(t, "a", open.Key)
		require.EqualError(t, open, "breaker: open: key a: retry after 10s")
		require.Equal(t, breaker.StateOpen, g.State("a"))
		require.Equal(t, breaker.StateClosed, g.State("b"))
		require.Equal(t, breaker.StateClosed, g.State("never seen"))
		require.Equal(t, "a", seen.list[0].Key)
		require.Equal(t, breaker.KeyedStats{
			Counters: breaker.Counters{Calls: 8, Failed: 4, Rejected: 1, Opened: 1}, Keys: 2, Open: 1,
		}, g.Stats())

		permit, err := g.Allow(context.Background(), "b")
		require.NoError(t, err)
		permit.Done(errDown)
		s, ok := g.StatsOf("b")
		require.True(t, ok)
		require.EqualValues(t, 1, s.Failed)
		_, ok = g.StatsOf("never seen")
		require.False(t, ok)
		_, err = g.Allow(context.Background(), "a")
		require.ErrorIs(t, err, breaker.ErrOpen)

		all := maps.Collect(g.All())
		require.Len(t, all, 2)
		require.Equal(t, s, all["b"])

		require.NoError(t, g.ForceOpen("c"))
		rejects(t, g, good.of("c"))
		require.NoError(t, g.ForceClosed("c"))
		call(t, g, times(20, bad.of("c"))...)
		g.Reset("c")
		g.Reset("never seen")
		call(t, g, times(4, bad.of("c"))...)
		rejects(t, g, good.of("c"))
		for key := range g.All() {
			g.Reset(key)
		}
		require.Equal(t, 3, g.Stats().Keys)
		require.Zero(t, g.Stats().Open)
		for range g.All() {
			break
		}
	})
}

func TestKeyedContextEndedBefore(t *testing.T) {
	keyedBubble(t, small(), func(t *testing.T, g *keyed, _ *changes) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errDown)
		_, err := g.Do(ctx, good)
		require.Equal(t, errDown, err)
		_, err = g.Allow(ctx, "a")
		require.Equal(t, errDown, err)
		require.Zero(t, g.Stats())
	})
}

// The number of breakers is bounded, and those in use stay.
func TestKeyedEvictsIdleOnes(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 3
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		for i := range 1000 {
			call(t, g, good.of("busy"), good.of(string(rune('a'+i))))
			require.LessOrEqual(t, g.Stats().Keys, 3)
		}
		s, ok := g.StatsOf("busy")
		require.True(t, ok)
		require.EqualValues(t, 1000, s.Calls)
		require.Equal(t, breaker.KeyedStats{Counters: breaker.Counters{Calls: 2000}, Keys: 3, Evicted: 998}, g.Stats())
	})
}

// Evicting a breaker that is open would end its cooling. It stays, whatever comes.
func TestKeyedKeepsOpenOnes(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 3
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		churn := func() {
			for i := range 100 {
				call(t, g, good.of(string(rune('a'+i))))
			}
		}
		call(t, g, times(4, bad.of("open"))...)
		require.NoError(t, g.ForceOpen("forced"))
		churn()
		rejects(t, g, good.of("open"))
		time.Sleep(10 * sec)
		churn()
		require.Equal(t, breaker.StateHalfOpen, g.State("open"))
		churn()
		_, err := g.Allow(context.Background(), "open") // the only probe
		require.NoError(t, err)
		churn()
		rejects(t, g, good.of("open"))
		rejects(t, g, good.of("forced"))
		require.Zero(t, g.Stats().Overflow)
		require.EqualValues(t, 299+100, g.Stats().Evicted)
	})
}

// But one that nobody has asked for in a long time is as good as closed: else keys that are never used again would fill the Keyed.
func TestKeyedForgetsCoolOnes(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 2
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, seen *changes) {
		call(t, g, times(4, bad.of("open"))...)
		call(t, g, times(4, bad.of("probed"))...)
		time.Sleep(10 * sec)
		_, err := g.Allow(context.Background(), "probed") // forgotten
		require.NoError(t, err)
		call(t, g, good.of("a"))
		require.EqualValues(t, 1, g.Stats().Overflow)
		time.Sleep(60*sec - 1)
		call(t, g, good.of("a"))
		require.EqualValues(t, 2, g.Stats().Overflow)
		time.Sleep(time.Nanosecond)
		call(t, g, good.of("a"), good.of("a"))
		require.Equal(t, 1, g.Stats().Open)
		require.EqualValues(t, 2, g.Stats().Overflow)
		_, ok := g.StatsOf("open")
		require.False(t, ok)
		require.Contains(t, seen.list, breaker.StateEvent{
			Key: "open", From: breaker.StateHalfOpen, To: breaker.StateClosed, Reason: breaker.ReasonEvicted,
		})
		call(t, g, good.of("open")) // evicts a
		time.Sleep(time.Hour)
		call(t, g, good.of("b"), good.of("c"), good.of("d"))
		require.Zero(t, g.Stats().Open)
		require.Equal(t, 2, g.Stats().Keys)
	})
}

// A call that is under way keeps its breaker: its failure is not lost.
func TestKeyedKeepsBusyOnes(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 2
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() { _, _ = g.Do(context.Background(), step{key: "busy", takes: time.Hour, err: errDown}) })
		}
		synctest.Wait()
		for i := range 100 {
			call(t, g, good.of(string(rune('a'+i))))
		}
		calls.Wait()
		require.Equal(t, breaker.StateOpen, g.State("busy"))
		require.Zero(t, g.Stats().Late)
	})
}

// When none can go, new keys share a breaker: they are neither rejected nor unguarded.
func TestKeyedOverflow(t *testing.T) {
	cfg := small()
	cfg.MaxKeys = 2
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, seen *changes) {
		require.NoError(t, g.ForceOpen("a"))
		require.NoError(t, g.ForceClosed("b"))
		require.ErrorIs(t, g.ForceOpen("c"), breaker.ErrTooManyKeys)
		require.ErrorIs(t, g.ForceClosed("c"), breaker.ErrTooManyKeys)
		call(t, g, good.of("c"), good.of("d"), bad.of("e"), bad.of("f"))
		require.Nil(t, rejected(t, g, good.of("g")).Key)
		_, err := g.Allow(context.Background(), "h")
		require.ErrorIs(t, err, breaker.ErrOpen)
		require.Equal(t, breaker.StateClosed, g.State("c"))
		require.Nil(t, seen.list[len(seen.list)-1].Key)
		require.Equal(t, breaker.KeyedStats{
			Counters: breaker.Counters{Calls: 4, Failed: 2, Rejected: 2, Opened: 1}, Keys: 2, Open: 1, Overflow: 6,
		}, g.Stats())
		g.Reset("a") // makes room
		call(t, g, good.of("c"))
		require.EqualValues(t, 6, g.Stats().Overflow)
	})
}

// When everything fails some have to go on.
func TestKeyedMaxOpenShare(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "e"}
	for share, most := range map[float64]int{0.1: 1, 0.4: 2, 0.5: 2, 0.6: 3, 1: 5, 0: 5} {
		cfg := small()
		cfg.MaxOpenShare = share
		keyedBubble(t, cfg, func(t *testing.T, g *keyed, seen *changes) {
			for _, key := range keys {
				call(t, g, good.of(key))
			}
			open := func() (n int) {
				for _, key := range keys {
					if g.State(key) != breaker.StateClosed {
						n++
					}
				}
				require.Equal(t, g.Stats().Open, n)
				return n
			}
			for range 10 {
				for _, key := range keys {
					_, _ = g.Do(context.Background(), bad.of(key))
				}
			}
			require.Equal(t, most, open(), "share %v", share)
			require.Equal(t, most < 5, g.Stats().KeptClosed > 0)
			time.Sleep(10 * sec)
			require.Equal(t, most, open(), "half-open counts")
			if most == 5 {
				return
			}
			// One recovers: another may open.
			call(t, g, good.of("a"))
			require.Equal(t, most-1, open())
			call(t, g, bad.of("e"))
			require.Equal(t, breaker.StateOpen, g.State("e"))
			// By hand there is no bound.
			for _, key := range keys {
				require.NoError(t, g.ForceOpen(key))
			}
			require.Equal(t, 5, open())
			for _, key := range keys {
				g.Reset(key)
			}
			require.Zero(t, open())
		})
	}
}

// The bound is not one too low by rounding: 0.29*100 is less than 29.
func TestKeyedMaxOpenShareIsExact(t *testing.T) {
	g, err := breaker.NewKeyed(keyOf, backend, breaker.Config{MinCalls: 1, MaxOpenShare: 0.29})
	require.NoError(t, err)
	for _, s := range []step{good, bad} {
		for i := range 100 {
			_, _ = g.Do(t.Context(), s.of(string(rune('a'+i))))
			_, _ = g.Do(t.Context(), s.of(string(rune('a'+i))))
		}
	}
	require.Equal(t, 29, g.Stats().Open)
}

// A permit does not keep its breaker. Its result is late, and must not count as an open breaker of the Keyed.
func TestKeyedPermitOfAnEvictedBreaker(t *testing.T) {
	cfg := small()
	cfg.MaxKeys, cfg.MaxOpenShare = 1, 0.5
	keyedBubble(t, cfg, func(t *testing.T, g *keyed, _ *changes) {
		var permits []*breaker.Permit
		for range 10 {
			permit, err := g.Allow(context.Background(), "a")
			require.NoError(t, err)
			permits = append(permits, permit)
		}
		call(t, g, good.of("b"))
		require.EqualValues(t, 1, g.Stats().Evicted)
		for _, permit := range permits {
			permit.Done(errDown)
		}
		require.Zero(t, g.Stats().Open)
		call(t, g, times(3, bad.of("b"))...)
		require.Equal(t, 1, g.Stats().Open)
	})
}

func TestKeyedBadKeys(t *testing.T) {
	g, err := breaker.NewKeyed(func(k any) any { return k }, func(context.Context, any) (int, error) { return 0, nil }, breaker.Config{})
	require.NoError(t, err)
	for _, key := range []any{[]int{1}, math.NaN(), [1]any{map[int]int{}}, struct{ f any }{func() {}}} {
		_, err := g.Do(t.Context(), key)
		require.ErrorIs(t, err, breaker.ErrBadKey)
		_, err = g.Allow(t.Context(), key)
		require.ErrorIs(t, err, breaker.ErrBadKey)
		require.ErrorIs(t, g.ForceOpen(key), breaker.ErrBadKey)
		require.Equal(t, breaker.StateClosed, g.State(key))
		g.Reset(key)
	}
	for _, key := range []any{nil, 1, "a", 1.5, [2]int{}} {
		_, err := g.Do(t.Context(), key)
		require.NoError(t, err)
	}
	require.Equal(t, 5, g.Stats().Keys)
}

func TestKeyedConfig(t *testing.T) {
	for _, cfg := range []breaker.Config{{MaxKeys: -1}, {MaxOpenShare: 1.1}, {MaxOpenShare: math.NaN()}, {OpenFor: -1}} {
		_, err := breaker.NewKeyed(keyOf, backend, cfg)
		require.ErrorContains(t, err, "breaker: Config.")
	}
	_, err := breaker.NewKeyed[string](nil, backend, breaker.Config{})
	require.Error(t, err)
	_, err = breaker.NewKeyed[string, step, int](keyOf, nil, breaker.Config{})
	require.Error(t, err)
	_, err = breaker.NewKeyed(keyOf, backend, breaker.Config{}, nil)
	require.Error(t, err)
	g, err := breaker.NewKeyed(keyOf, backend, breaker.Config{}, breaker.WithClassify(func(step, int, error) breaker.Outcome { return breaker.Neutral }))
	require.NoError(t, err)
	_, err = g.Do(t.Context(), bad)
	require.Equal(t, errDown, err)
	require.EqualValues(t, 1, g.Stats().Neutral)
	require.Panics(t, func() {
		g, err := breaker.NewKeyed(func(step) string { panic(errors.New("key")) }, backend, breaker.Config{})
		require.NoError(t, err)
		_, _ = g.Do(t.Context(), good)
	})
}
