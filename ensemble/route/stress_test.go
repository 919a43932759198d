package route_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

// Real goroutines: callers that leave, members that fail, refuse and panic, cool-downs of a nanosecond, and a table that changes all the time. Each
// request gets its own answer or a true error, each attempt has one outcome, and a probe is alone.
func TestStress(t *testing.T) {
	for name, p := range map[string]route.Picker{
		"in order": route.InOrder(), "weighted": route.Weighted(), "cheapest": route.Cheapest(), "fastest": route.Fastest(),
		"two choices": route.TwoChoices(), "sticky": route.Sticky("s"),
	} {
		t.Run(name, func(t *testing.T) { stress(t, p) })
	}
}

func stress(t *testing.T, p route.Picker) {
	var made, events atomic.Uint64
	chaotic := func(i int) member {
		return member{Name: strconv.Itoa(i), Weight: float64(i + 1), Cost: float64(i), Do: func(ctx context.Context, q string) (string, error) {
			made.Add(1)
			for range rand.IntN(3) {
				runtime.Gosched()
			}
			switch rand.IntN(12) {
			case 0, 1:
				return "", errDown
			case 2:
				return "", errFull
			case 3:
				return "", errBad
			case 4:
				return "", retryError(1)
			case 5:
				panic("chaos")
			}
			return q, ctx.Err()
		}}
	}
	var members []member
	for i := range 4 {
		members = append(members, chaotic(i))
	}
	r, err := route.New(table{Members: members}, route.Config{
		Pick: p, Classify: classify, MaxFailures: 2, Cooldown: 1, MaxCooldown: time.Microsecond, MaxRetryAfter: 1,
		OnStateChange: func(route.StateEvent) { events.Add(1) },
	}, route.WithKey(byKey))
	require.NoError(t, err)
	var group sync.WaitGroup
	for caller := range 6 {
		group.Go(func() {
			for i := range 300 {
				one(t, r, strconv.Itoa(caller*1000+i))
				if i%50 == 0 {
					assert.NoError(t, r.Update(func(tb table) table {
						tb.Members[rand.IntN(4)].Weight = 1 + rand.Float64()
						tb.Rules = []route.Rule[string]{{Use: []route.Share{{Member: strconv.Itoa(i % 4)}, {Member: strconv.Itoa((i + 1) % 4)}}}}
						if i%100 == 0 {
							tb.Rules = nil
						}
						return tb
					}))
				}
			}
		})
	}
	group.Wait()
	checkAccounts(t, r)
	calls := uint64(0)
	for _, m := range r.Stats().Members {
		calls += m.Calls
	}
	assert.Equal(t, made.Load(), calls)
	assert.Equal(t, uint64(1800), r.Stats().Calls)
	assert.Positive(t, events.Load())
}

func one(t *testing.T, r *router, q string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rand.IntN(5) == 0 {
		go cancel()
	}
	defer func() {
		if v := recover(); v != nil && v != "chaos" {
			panic(v)
		}
	}()
	answer, err := r.Do(ctx, q)
	if err == nil {
		assert.Equal(t, q, answer)
		return
	}
	var all *route.Error
	var u *route.UnavailableError
	var own *route.MemberError
	if !errors.As(err, &all) && !errors.As(err, &u) && !errors.As(err, &own) {
		assert.Equal(t, context.Canceled, err)
	}
}

// A probe is alone, with real goroutines. The member's own count is the witness.
func TestStressProbes(t *testing.T) {
	var inside atomic.Int64
	r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: 1, MaxCooldown: 1}, member{Name: "a", Do: func(context.Context, string) (string, error) {
		n := inside.Add(1)
		defer inside.Add(-1)
		if n > 1 {
			return "", errBad
		}
		for range 5 {
			runtime.Gosched()
		}
		return "", errDown // it never recovers: after the first all are probes
	}})
	_, _ = r.Do(t.Context(), "")
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for range 500 {
				_, err := r.Do(t.Context(), "")
				assert.NotErrorIs(t, err, errBad, "two probes at a time")
			}
		})
	}
	group.Wait()
	s := stats(r, "a")
	assert.Equal(t, s.Calls, s.Probes+1)
	checkAccounts(t, r)
}
