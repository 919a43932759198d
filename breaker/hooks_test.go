package breaker_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// gobreaker calls its hooks under its mutex: State in one of them hangs. Here all methods work, and what they change is delivered
// in order, after the change that is being delivered.
func TestHookCallsBack(t *testing.T) {
	var b *breaker.Breaker[step, int]
	var seen changes
	depth := 0
	cfg := small()
	cfg.OnStateChange = func(e breaker.StateEvent) {
		depth++
		defer func() { depth-- }()
		require.Equal(t, 1, depth)
		seen.add(e)
		_ = b.Stats()
		switch e.To {
		case breaker.StateOpen:
			require.Equal(t, breaker.StateOpen, b.State())
			rejects(t, b, good)
			b.ForceClosed()
			require.Equal(t, breaker.StateForcedClosed, b.State())
			require.Len(t, seen.list, 1, "delivered later")
		case breaker.StateForcedClosed:
			call(t, b, good)
			b.Reset()
		}
	}
	bubble(t, cfg, func(t *testing.T, made *breaker.Breaker[step, int], _ *changes) {
		b = made
		call(t, b, times(4, bad)...)
		require.Equal(t, []breaker.State{breaker.StateOpen, breaker.StateForcedClosed, breaker.StateClosed}, seen.states())
		for i, e := range seen.list[1:] {
			require.Equal(t, seen.list[i].To, e.From)
		}
	})
}

// A hook that does not return normally costs its caller, and nothing else.
func TestHookDies(t *testing.T) {
	for name, die := range map[string]func(){"panic": func() { panic("hook") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var seen changes
			cfg := small()
			cfg.OnStateChange = func(e breaker.StateEvent) {
				seen.add(e)
				die()
			}
			bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
				in := func(do func()) {
					over := make(chan struct{})
					go func() {
						defer close(over)
						defer func() { _ = recover() }()
						do()
					}()
					<-over
				}
				in(func() { call(t, b, times(4, bad)...) })
				require.Equal(t, breaker.Counters{Calls: 4, Failed: 4, Opened: 1}, b.Stats().Counters)
				in(b.ForceOpen)
				in(b.Reset)
				require.Equal(t, []breaker.State{breaker.StateOpen, breaker.StateForcedOpen, breaker.StateClosed}, seen.states())
			})
		})
	}
}

// A hook that panics when a call is let in as a probe ends that call: it must not hold the place.
func TestHookDiesInProbe(t *testing.T) {
	cfg := small()
	cfg.OnStateChange = func(e breaker.StateEvent) {
		if e.To == breaker.StateHalfOpen {
			panic("hook")
		}
	}
	bubble(t, cfg, func(t *testing.T, b *breaker.Breaker[step, int], _ *changes) {
		trip(t, b)
		time.Sleep(10 * sec)
		require.PanicsWithValue(t, "hook", func() { _, _ = b.Do(context.Background(), good) })
		require.Zero(t, b.Stats().Probing)
		call(t, b, good)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Equal(t, breaker.Counters{Calls: 5, Failed: 4, Opened: 1}, b.Stats().Counters)
	})
}

// Changes made by many goroutines are delivered one at a time, and each begins where the one before ended.
func TestHookOrder(t *testing.T) {
	var list []breaker.StateEvent // without a lock: the race detector watches
	b, err := breaker.New(backend, breaker.Config{MinCalls: 1, Window: 1, OnStateChange: func(e breaker.StateEvent) {
		list = append(list, e)
		runtime.Gosched()
	}})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				switch i % 4 {
				case 0:
					b.Reset()
				case 1:
					b.ForceOpen()
				case 2:
					b.ForceClosed()
				default:
					_, _ = b.Do(t.Context(), bad)
				}
				runtime.Gosched()
			}
		})
	}
	all.Wait()
	b.Reset()
	require.NotEmpty(t, list)
	from := breaker.StateClosed
	for i, e := range list {
		require.Equal(t, from, e.From, "change %d", i)
		require.NotEqual(t, e.From, e.To)
		from = e.To
	}
	require.Equal(t, breaker.StateClosed, from)
}

func TestForced(t *testing.T) {
	bubble(t, small(), func(t *testing.T, b *breaker.Breaker[step, int], seen *changes) {
		b.ForceOpen()
		b.ForceOpen() // no change
		require.Equal(t, breaker.StateForcedOpen, b.State())
		time.Sleep(24 * time.Hour)
		open := rejected(t, b, good)
		require.Equal(t, breaker.StateForcedOpen, open.State)
		require.Zero(t, open.RetryAfter())

		b.ForceClosed()
		call(t, b, times(100, bad)...)
		require.Equal(t, breaker.StateForcedClosed, b.State())
		require.Equal(t, 10, b.Stats().WindowFailed)

		b.Reset()
		require.Equal(t, breaker.StateClosed, b.State())
		require.Zero(t, b.Stats().WindowCalls)
		require.EqualValues(t, 100, b.Stats().Failed)

		call(t, b, bad, bad, bad)
		b.Reset() // closed already, but it forgets
		call(t, b, bad)
		require.Equal(t, breaker.StateClosed, b.State())
		require.Len(t, seen.list, 3)
		b.Reset()

		// From each of the other states.
		trip(t, b)
		b.Reset()
		halfOpen(t, b)
		b.ForceOpen()
		rejects(t, b, good)
		b.Reset()
		halfOpen(t, b)
		probe := allowed(t, b)
		b.ForceClosed()
		call(t, b, good)
		probe.Done(nil)
		require.EqualValues(t, 1, b.Stats().Late)
		require.Equal(t, breaker.StateForcedClosed, b.State())

		// Throttled does not open what is forced.
		allowed(t, b).Settle(breaker.Throttled, later{sec})
		require.Equal(t, breaker.StateForcedClosed, b.State())
		b.ForceOpen()
		require.Equal(t, breaker.StateForcedOpen, b.State())
	})
}
