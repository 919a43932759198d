package route_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

func byKey(q string) string { return q }

func newSticky(t testing.TB, salt string, members ...member) *router {
	t.Helper()
	r, err := route.New(table{Members: members}, route.Config{Pick: route.Sticky(salt), MaxFailures: 1}, route.WithKey(byKey))
	require.NoError(t, err)
	return r
}

// owners asks for the keys 0 to n-1.
func owners(t testing.TB, r *router, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		var err error
		names[i], err = r.Do(t.Context(), strconv.Itoa(i))
		require.NoError(t, err)
	}
	return names
}

func heavy(name string, weight float64) member {
	m := says(name)
	m.Weight = weight
	return m
}

func TestStickySharesFollowWeights(t *testing.T) {
	const n = 20000
	counts := map[string]int{}
	for _, name := range owners(t, newSticky(t, "s", heavy("a", 1), heavy("b", 2), heavy("c", 5)), n) {
		counts[name]++
	}
	near(t, n, 0.125, counts["a"])
	near(t, n, 0.25, counts["b"])
	near(t, n, 0.625, counts["c"])
}

func TestStickyDoesNotDependOnOrderOrTime(t *testing.T) {
	a := owners(t, newSticky(t, "s", heavy("a", 1), heavy("b", 2), heavy("c", 5)), 500)
	b := owners(t, newSticky(t, "s", heavy("c", 5), heavy("a", 1), heavy("b", 2)), 500)
	assert.Equal(t, a, b)
}

// Two salts place independently of each other: those whom one experiment sends to a are not all sent to a by the other.
func TestStickySalt(t *testing.T) {
	const n = 10000
	one := owners(t, newSticky(t, "one", says("a"), says("b")), n)
	two := owners(t, newSticky(t, "two", says("a"), says("b")), n)
	both := 0
	for i := range one {
		if one[i] == "a" && two[i] == "a" {
			both++
		}
	}
	near(t, n, 0.25, both)
}

// Only keys that must move do.
func TestStickyMovesFew(t *testing.T) {
	const n = 20000
	r := newSticky(t, "s", heavy("a", 1), heavy("b", 1), heavy("c", 2))
	before := owners(t, r, n)
	moved := func(change func(table) table, gains, loses map[string]bool, share float64) {
		t.Helper()
		require.NoError(t, r.Update(change))
		after := owners(t, r, n)
		count := 0
		for i := range before {
			if before[i] != after[i] {
				count++
				assert.True(t, gains[after[i]] || loses[before[i]], "%s → %s", before[i], after[i])
			}
		}
		near(t, n, share, count)
		before = after
	}
	set := func(f func(table) []member) func(table) table {
		return func(tb table) table { tb.Members = f(tb); return tb }
	}
	only := func(name string) map[string]bool { return map[string]bool{name: true} }
	moved(set(func(tb table) []member { return append(tb.Members, heavy("d", 4)) }), only("d"), nil, 0.5)
	moved(set(func(tb table) []member { tb.Members[3].Weight = 1; return tb.Members }), nil, only("d"), 0.5-0.2)
	moved(set(func(tb table) []member { return tb.Members[1:] }), nil, only("a"), 0.2)
	moved(set(func(tb table) []member { tb.Members[0].Weight = 5; return tb.Members }), only("b"), nil, 5./8-1./4)
}

// A member that is put aside gives its keys to the others, moves no others, and gets them back.
func TestStickyWhileAMemberIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		r := newSticky(t, "s", fails("a", &err), says("b"), says("c"))
		before := owners(t, r, 300)
		err = errDown
		during := owners(t, r, 300)
		taken := map[string]int{}
		for i := range before {
			if before[i] == "a" {
				taken[during[i]]++
			} else {
				assert.Equal(t, before[i], during[i])
			}
		}
		assert.Zero(t, taken["a"])
		assert.Positive(t, taken["b"])
		assert.Positive(t, taken["c"])
		time.Sleep(time.Hour)
		err = nil
		assert.Equal(t, before, owners(t, r, 300))
	})
}

func TestStickyExtremeWeights(t *testing.T) {
	for _, name := range owners(t, newSticky(t, "s", heavy("a", 1e-100), heavy("b", 1e100)), 100) {
		assert.Equal(t, "b", name)
	}
	for _, weight := range []float64{1e-100, 1e100} {
		got := map[string]int{}
		for _, name := range owners(t, newSticky(t, "s", heavy("a", weight), heavy("b", weight)), 1000) {
			got[name]++
		}
		assert.InDelta(t, 500, got["a"], 100, "%v", weight)
	}
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		err := errDown
		old := fails("a", &err)
		r := newRouter(t, route.Config{MaxFailures: 1}, old, hangsUntil("b", release))
		done := make(chan string)
		go func() { answer, _ := r.Do(t.Context(), ""); done <- answer }()
		synctest.Wait()
		require.Equal(t, 1, stats(r, "b").InFlight)

		require.NoError(t, r.Update(func(tb table) table {
			tb.Members[0].Name = "changed" // a copy
			return table{Members: []member{old, says("c")}}
		}))
		assert.Equal(t, route.Cooling, stats(r, "a").State, "the name keeps its health")
		answer, got := r.Do(t.Context(), "")
		require.NoError(t, got)
		assert.Equal(t, "c", answer)
		close(release)
		assert.Equal(t, "b", <-done, "it finished on the old table")

		require.ErrorContains(t, r.Update(func(table) table { return table{} }), "no members")
		require.ErrorContains(t, r.Update(nil), "nil function")
		require.ErrorContains(t, r.Update(func(tb table) table {
			tb.Rules = []route.Rule[string]{{Name: "r", Use: []route.Share{{Member: "b"}}}}
			return tb
		}), `rule "r" uses member "b"`)
		assert.Len(t, r.Stats().Members, 2, "a table that is wrong changes nothing")
	})
}

// No update is lost.
func TestConcurrentUpdates(t *testing.T) {
	r := newRouter(t, route.Config{}, says("a"))
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 25 {
				assert.NoError(t, r.Update(func(tb table) table {
					runtime.Gosched()
					tb.Members = append(tb.Members, says(fmt.Sprint(i, "/", j)))
					return tb
				}))
			}
		})
	}
	group.Wait()
	assert.Len(t, r.Stats().Members, 101)
}

func hangsUntil(name string, release <-chan struct{}) member {
	m := says(name)
	answer := m.Do
	m.Do = func(ctx context.Context, q string) (string, error) {
		select {
		case <-release:
			return answer(ctx, q)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return m
}
