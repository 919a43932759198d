package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// event is one operation of one caller on the one key, with the moments of its call and its return. What it says is what must
// have happened at some moment between them.
type event struct {
	op         string
	value      int // that was set, read or loaded; 0: nothing there
	call, done int64
}

func (e event) String() string { return fmt.Sprintf("%s(%d)[%d,%d]", e.op, e.value, e.call, e.done) }

// apply is the sequential cache of one key: what it holds after e, and whether e could return what it did. A Do that finds nothing
// returns, and leaves, a value that was loaded: each load makes a value of its own, and any may be kept or lost once, but
// what a Do reads must be what is there.
func (e event) apply(held int) (int, bool) {
	switch e.op {
	case "set", "refresh":
		return e.value, true
	case "delete":
		return 0, true
	case "get":
		return held, e.value == held
	default: // do
		if held != 0 {
			return held, e.value == held
		}
		return e.value, e.value >= loaded
	}
}

// loaded is the least value that a load makes; what is set is less.
const loaded = 1_000_000

// linearizable finds an order of the events in which each comes between its call and its return and returns what the sequential cache
// would (Wing and Gong, Journal of Parallel and Distributed Computing 1993), remembering where it has been (Lowe, 2017).
func linearizable(events []event) bool {
	slices.SortFunc(events, func(a, b event) int { return int(a.call - b.call) })
	type state struct {
		over string
		held int
	}
	seen := map[state]bool{}
	over := make([]byte, len(events))
	var search func(held, left int) bool
	search = func(held, left int) bool {
		if left == 0 {
			return true
		}
		at := state{string(over), held}
		if seen[at] {
			return false
		}
		seen[at] = true
		first := int64(1) << 62 // the earliest return of what is left: nothing called after it can come before
		for i, e := range events {
			if over[i] == 0 {
				first = min(first, e.done)
			}
		}
		for i, e := range events {
			if over[i] != 0 || e.call > first {
				continue
			}
			if now, ok := e.apply(held); ok {
				over[i] = 1
				if search(now, left-1) {
					return true
				}
				over[i] = 0
			}
		}
		return false
	}
	return search(0, len(events))
}

func TestLinearizableChecker(t *testing.T) {
	do, set, get, del := "do", "set", "get", "delete"
	for _, c := range []struct {
		events []event
		want   bool
	}{
		{[]event{{op: set, value: 1, call: 1, done: 2}, {op: get, value: 1, call: 3, done: 4}}, true},
		{[]event{{op: set, value: 1, call: 1, done: 2}, {op: get, value: 0, call: 3, done: 4}}, false},
		{[]event{{op: set, value: 1, call: 1, done: 3}, {op: get, value: 0, call: 2, done: 4}}, true},
		// The lost write: a load that began before the Set is seen after it.
		{[]event{{op: do, value: loaded, call: 1, done: 4}, {op: set, value: 1, call: 2, done: 3}, {op: get, value: loaded, call: 5, done: 6}}, false},
		{[]event{{op: do, value: loaded, call: 1, done: 4}, {op: set, value: 1, call: 2, done: 3}, {op: get, value: 1, call: 5, done: 6}}, true},
		{[]event{{op: do, value: loaded, call: 1, done: 4}, {op: del, call: 2, done: 3}, {op: get, value: loaded, call: 5, done: 6}}, true},
		{[]event{{op: do, value: loaded, call: 1, done: 2}, {op: do, value: loaded + 1, call: 3, done: 4}}, false},
	} {
		if got := linearizable(c.events); got != c.want {
			t.Errorf("%v: %t", c.events, got)
		}
	}
}

// TestLinearizable has callers race on one key, and checks the history of each round.
func TestLinearizable(t *testing.T) {
	rounds := 2000
	if testing.Short() || raceEnabled {
		rounds = 200
	}
	var loads atomic.Int64
	load := func(ctx context.Context, _ int) (int, error) {
		value := loaded + int(loads.Add(1))
		for range rand.IntN(20) {
			runtime.Gosched()
		}
		return value, ctx.Err()
	}
	for name, build := range map[string]func() (*intCache, error){
		"load":   func() (*intCache, error) { return cache.New(load, cache.Config{}) },
		"inline": func() (*intCache, error) { return cache.New(load, cache.Config{LoadInline: true}) },
		"bulk": func() (*intCache, error) {
			return cache.NewBulk(func(ctx context.Context, keys []int) ([]int, error) {
				values := slices.Clone(keys)
				for i, key := range keys {
					values[i], _ = load(ctx, key)
				}
				return values, ctx.Err()
			}, cache.Config{})
		},
		"refresh": func() (*intCache, error) {
			// Everything is stale at once, so that every Do that finds a value refreshes it. A refresh changes what is held
			// at a moment of its own: see below.
			return cache.New(load, cache.Config{TTL: 1, StaleWhileRevalidate: time.Hour})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				c, err := build()
				require.NoError(t, err)
				events := race(c, name == "refresh")
				require.NoError(t, c.Close())
				if name == "refresh" {
					events = withRefreshes(events)
				}
				if !linearizable(events) {
					t.Fatalf("no order explains %v", events)
				}
			}
		})
	}
}

// race runs a few callers, each with a few operations on one key, and returns what happened.
func race(c *intCache, refreshes bool) []event {
	var clock, sets atomic.Int64
	var mu sync.Mutex
	var events []event
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 4 {
				e := event{call: clock.Add(1)}
				ok := true
				switch n := rand.IntN(10); {
				case n < 5:
					e.op = "do"
					ctx, cancel := context.WithCancel(context.Background())
					switch n {
					case 0:
						go cancel() // somewhere on the way
					case 1, 2:
						ctx = context.Background()
					}
					value, err := c.Do(ctx, 0)
					cancel()
					e.value, ok = value, err == nil
					if err != nil && !errors.Is(err, context.Canceled) {
						panic(err)
					}
				case n < 7:
					e.op, e.value = "set", int(sets.Add(1))
					_ = c.Set(0, e.value)
				case n < 8:
					e.op = "delete"
					c.Delete(0)
				default:
					e.op = "get"
					e.value, _ = c.Get(0)
				}
				e.done = clock.Add(1)
				if ok { // what gave up has no say
					mu.Lock()
					events = append(events, e)
					mu.Unlock()
				}
				if rand.IntN(2) == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	return events
}

// withRefreshes adds, for each value loaded that somebody has seen, a write of it that may have come at any time before it was seen
// first: that is a refresh. One write each, so that a value that was overwritten and comes back is still found out.
func withRefreshes(events []event) []event {
	seen := map[int]int64{}
	for _, e := range events {
		if e.value >= loaded {
			if at, ok := seen[e.value]; !ok || e.done < at {
				seen[e.value] = e.done
			}
		}
	}
	for value, at := range seen {
		events = append(events, event{op: "refresh", value: value, call: 0, done: at})
	}
	return events
}
