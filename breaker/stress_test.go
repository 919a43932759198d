package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
)

// books are what the callers of a breaker have seen.
type books struct{ calls, returned, rejected, gone atomic.Uint64 }

// TestStress lets calls, permits, forcing, resets and the clock race on real goroutines. Every call must end in exactly one
// of the counters.
func TestStress(t *testing.T) {
	for round := range uint64(30) {
		random := rand.New(rand.NewPCG(round, 0))
		cfg := breaker.Config{
			MinCalls:         1 + random.IntN(10),
			FailureRate:      0.2 + 0.6*random.Float64(),
			OpenFor:          time.Duration(1 + random.IntN(20_000)),
			Probes:           1 + random.IntN(4),
			ProbeLease:       time.Duration(1 + random.IntN(50_000)),
			ProbeConcurrency: 1,
		}
		if round%2 == 0 {
			cfg.Window = cfg.MinCalls + random.IntN(20)
		} else {
			cfg.WindowTime = time.Duration(10 + random.IntN(100_000))
		}
		if round%3 == 0 {
			cfg.SlowAfter = time.Microsecond
		}
		var last breaker.State // without a lock: the race detector watches
		var opened uint64
		cfg.OnStateChange = func(e breaker.StateEvent) {
			if e.From != last || e.To == last {
				t.Errorf("from %v to %v, but it was %v", e.From, e.To, last)
			}
			if last = e.To; last == breaker.StateOpen {
				opened++
			}
		}
		var passed atomic.Int64
		b, err := breaker.New(func(_ context.Context, i int) (int, error) {
			passed.Add(1)
			return dangerous(i)
		}, cfg)
		require.NoError(t, err)

		var seen books
		var all sync.WaitGroup
		for caller := range 8 {
			all.Go(func() {
				for i := range 300 {
					if caller == 0 {
						switch i % 40 {
						case 10:
							b.ForceOpen()
						case 11:
							b.ForceClosed()
						case 12, 30:
							b.Reset()
						}
					}
					if i%5 == 0 {
						stressPermit(t, b.Allow, &seen)
					} else {
						stressDo(t, b.Do, &seen, i*8+caller)
					}
					if s := b.Stats(); s.Probing > 1 || s.WindowFailed > s.WindowCalls {
						t.Errorf("%+v", s)
					}
				}
			})
		}
		all.Wait()
		b.Reset()
		s := b.Stats()
		require.Equal(t, seen.calls.Load(), seen.returned.Load()+seen.rejected.Load()+seen.gone.Load())
		require.Equal(t, seen.rejected.Load(), s.Rejected)
		require.Equal(t, seen.returned.Load(), s.Calls+s.Neutral+s.Throttled+s.Late, "%+v", s)
		require.Equal(t, opened, s.Opened)
		require.LessOrEqual(t, s.Failed, s.Calls)
		if t.Failed() {
			return
		}
	}
}

// dangerous fails, panics and pauses.
func dangerous(i int) (int, error) {
	switch i % 16 {
	case 1, 2:
		return 0, errDown
	case 3:
		panic(errDown)
	case 4:
		runtime.Goexit()
	case 5:
		runtime.Gosched()
	}
	return i, nil
}

// stressDo makes one call on a goroutine of its own, which it may end.
func stressDo(t *testing.T, do breaker.Func[int, int], seen *books, i int) {
	seen.calls.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if i%11 == 0 {
		cancel()
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		died := true
		defer func() {
			if died {
				if v := recover(); v != nil && v != errDown { //nolint:errorlint // the value itself
					t.Errorf("panic: %v", v)
				}
				seen.returned.Add(1)
			}
		}()
		_, err := do(ctx, i)
		died = false
		switch {
		case errors.Is(err, breaker.ErrOpen):
			seen.rejected.Add(1)
		case errors.Is(err, context.Canceled):
			seen.gone.Add(1)
		case err == nil || errors.Is(err, errDown):
			seen.returned.Add(1)
		default:
			t.Errorf("%v", err)
		}
	}()
	<-over
}

// stressPermit settles a permit from two goroutines.
func stressPermit(t *testing.T, allow func(context.Context) (*breaker.Permit, error), seen *books) {
	seen.calls.Add(1)
	permit, err := allow(context.Background())
	if err != nil {
		if !errors.Is(err, breaker.ErrOpen) {
			t.Error(err)
		}
		seen.rejected.Add(1)
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		permit.FirstToken()
		permit.Settle(breaker.Throttled, later{time.Microsecond})
	})
	permit.Done(errDown)
	both.Wait()
	seen.returned.Add(1)
}

// Of calls that together make MinCalls and reach the rate, whichever ends last must open the breaker: none may leave it to another. Two
// of three end at the same time, after the first or before the last.
func TestLastCallOpens(t *testing.T) {
	rounds := 10_000
	if raceEnabled { // it makes each round slow, and a meeting more likely
		rounds = 1000
	}
	for name, c := range map[string]struct {
		before, after []error
		here          error
	}{
		"one fails":    {before: []error{nil}, here: errDown},
		"both succeed": {after: []error{errDown}},
	} {
		for kind, cfg := range map[string]breaker.Config{"calls": {Window: 3}, "time": {WindowTime: time.Hour}} {
			cfg.MinCalls, cfg.FailureRate = 3, 0.3
			t.Run(name+" "+kind, func(t *testing.T) {
				b, err := breaker.New(backend, cfg)
				require.NoError(t, err)
				end, stop := together(nil)
				defer stop()
				done := func(errs []error) {
					for _, err := range errs {
						allowed(t, b).Done(err)
					}
				}
				for i := range rounds {
					done(c.before)
					here := allowed(t, b)
					end(allowed(t, b), func() {
						for range i % 64 { // so that they meet at every point
							_ = b.State()
						}
						here.Done(c.here)
					})
					done(c.after)
					if b.State() != breaker.StateOpen {
						t.Fatalf("round %d: %+v", i, b.Stats())
					}
					b.Reset()
				}
			})
		}
	}
}

// together returns a function that ends a permit by err on another goroutine while it calls meanwhile on its own.
func together(err error) (end func(*breaker.Permit, func()), stop func()) {
	var next atomic.Pointer[breaker.Permit]
	var stopped atomic.Bool
	var other sync.WaitGroup
	other.Go(func() {
		for !stopped.Load() {
			if permit := next.Load(); permit != nil {
				permit.Done(err)
				next.Store(nil)
			}
			runtime.Gosched()
		}
	})
	return func(permit *breaker.Permit, meanwhile func()) {
			next.Store(permit)
			meanwhile()
			for next.Load() != nil {
				runtime.Gosched()
			}
		}, func() {
			stopped.Store(true)
			other.Wait()
		}
}

// TestKeyedStress lets calls for many keys race with evictions. No call may be lost with a breaker, and no open breaker may go.
func TestKeyedStress(t *testing.T) {
	for round := range uint64(20) {
		cfg := breaker.Config{MaxKeys: 4, Window: 4, MinCalls: 2, OpenFor: time.Hour, MaxOpenShare: 0.5}
		g, err := breaker.NewKeyed(func(i int) int { return i % 16 }, func(_ context.Context, i int) (int, error) {
			if i%16 < 4 {
				return 0, errDown
			}
			return dangerous(i / 16)
		}, cfg)
		require.NoError(t, err)
		var seen books
		var all sync.WaitGroup
		for caller := range 8 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(round, uint64(caller)))
				for range 500 {
					stressDo(t, g.Do, &seen, random.IntN(1<<20))
					if s := g.Stats(); s.Keys > 4 || s.Open > 2 {
						t.Errorf("%+v", s)
					}
				}
			})
		}
		all.Wait()
		s := g.Stats()
		require.Equal(t, seen.rejected.Load(), s.Rejected)
		require.Equal(t, seen.returned.Load(), s.Calls+s.Neutral+s.Throttled+s.Late, "%+v", s)
		require.LessOrEqual(t, s.Opened, uint64(4), "one that was open has been evicted, and opened again")
		require.NotZero(t, s.Evicted)
		open := 0
		for key, stats := range g.All() {
			if stats.State == breaker.StateOpen {
				open++
			}
			require.NotEqual(t, breaker.StateHalfOpen, stats.State, fmt.Sprint(key))
		}
		require.Equal(t, open, s.Open)
	}
}
