package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

func TestWorldIsTheSameEachTime(t *testing.T) {
	now := time.Now()
	w := newWorld(7, 300, 200, now)
	assert.Equal(t, w, newWorld(7, 300, 200, now))
	assert.NotEqual(t, w.users, newWorld(8, 300, 200, now).users)
	first, again := w.stream(userActivity), w.stream(userActivity)
	assert.Equal(t, first, again)
}

func TestWorldHasAllThatCanBeMissing(t *testing.T) {
	w := newWorld(1, 20_000, 20_000, time.Now())
	share := func(n int) float64 { return float64(n) / 20_000 }
	var unknown, noCountry, old, uncounted, unpriced, oldStats int
	for i := range w.users {
		u, it := &w.users[i], &w.items[i]
		for count, is := range map[*int]bool{
			&unknown: !u.known, &noCountry: u.country == "", &old: u.activityAge >= activityTTL,
			&uncounted: !it.counted, &unpriced: !it.priced, &oldStats: it.statsAge >= statsTTL,
		} {
			if is {
				*count++
			}
		}
		assert.False(t, u.activityAge > 20*time.Hour && u.activityAge < 25*time.Hour, "no row expires during a run")
		assert.False(t, it.statsAge > 5*time.Hour && it.statsAge < 7*time.Hour)
	}
	assert.InDelta(t, 0.02, share(unknown), 0.005)
	assert.InDelta(t, 0.05, share(noCountry), 0.005)
	assert.InDelta(t, 0.06, share(old), 0.005)
	assert.InDelta(t, 0.02, share(uncounted), 0.005)
	assert.InDelta(t, 0.04, share(unpriced), 0.005)
	assert.InDelta(t, 0.03, share(oldStats), 0.005)
}

func TestAsker(t *testing.T) {
	w := newWorld(1, 300, 200, time.Now())
	a, b := newAsker(w, 200), newAsker(w, 200)
	for n := range 10 { // a has asked before, b has not
		a.ask(streamServe, n)
	}
	b.ask(streamServe, 9)
	assert.Equal(t, b.items, a.items)
	assert.Equal(t, b.user, a.user)
	sorted := slices.Sorted(slices.Values(a.items))
	assert.Len(t, slices.Compact(sorted), 200, "all different")
	b.ask(streamTrain, 9)
	assert.NotEqual(t, b.items, a.items)

	clicked, chances := make([]bool, 200), make([]float64, 200)
	var clicks, expected float64
	for n := range 200 {
		a.ask(streamServe, n)
		a.clicks(streamServe, n, clicked, chances)
		for i, c := range clicked {
			expected += chances[i]
			if c {
				clicks++
			}
		}
	}
	assert.InEpsilon(t, expected, clicks, 0.05)
}

func TestStream(t *testing.T) {
	w := newWorld(1, 1000, 500, time.Now())
	for _, view := range viewNames {
		s := w.stream(view)
		newest := map[int32]time.Duration{}
		copies, order, late := 0, 0, 0
		seen := map[event]bool{}
		for i, e := range s.events {
			if i > 0 {
				assert.GreaterOrEqual(t, e.arrival, s.events[i-1].arrival)
				if e.at < s.events[i-1].at {
					order++
				}
			}
			for _, before := range s.events[:i] {
				if before.at-e.at > allowedLateness {
					late++
					break
				}
			}
			if at, ok := newest[e.id]; !ok || e.at > at {
				newest[e.id] = e.at
			}
			e.arrival = 0
			if seen[e] {
				copies++
			}
			seen[e] = true
		}
		assert.Equal(t, []int{copies, order, late}, []int{s.copies, s.order, s.late}, view)
		assert.Positive(t, min(copies, order, late), view)
		for id := range w.entities(view) {
			age, ok := w.newest(view, id)
			at, sent := newest[int32(id)]
			require.Equal(t, ok, sent, "%s %d", view, id)
			if ok {
				require.Equal(t, -age, at, "%s %d", view, id)
			}
		}
	}
}

// filled is a store in memory that has a world's rows.
func filled(t *testing.T) (*world, *fs.Registry, *maker, *fs.Online) {
	t.Helper()
	w := newWorld(1, 300, 200, time.Now())
	registry, err := fs.NewRegistry("test", fs.WithOps(transform.Ops()))
	require.NoError(t, err)
	require.NoError(t, registry.Apply(definitions()))
	m, err := newMaker(w, registry)
	require.NoError(t, err)
	store, err := memstore.New(memstore.Config{})
	require.NoError(t, err)
	streams := make([]stream, len(viewNames))
	for i, view := range viewNames {
		streams[i] = w.stream(view)
	}
	in, err := ingest(t.Context(), store, registry, m, streams)
	require.NoError(t, err)
	assert.Equal(t, uint64(in.sent), in.written+in.stale+in.superseded)
	online, err := fs.New(store, registry, config())
	require.NoError(t, err)
	return w, registry, m, online
}

// TestVerifyFindsWrongRows has each view hold the second newest row of one entity, the values of another's, or none.
func TestVerifyFindsWrongRows(t *testing.T) {
	for _, view := range viewNames {
		w, _, m, online := filled(t)
		rows, err := verify(t.Context(), online, w)
		require.NoError(t, err)
		assert.Equal(t, 4*300, rows)

		id := 0
		for {
			age, ok := w.newest(view, id)
			if ok && (view != userActivity || age < activityTTL) && (view != itemStats || age < statsTTL) {
				break
			}
			id++
		}
		age, _ := w.newest(view, id)
		for name, e := range map[string]event{
			"older":         {id: int32(id), version: 1, at: -age - rhythms[view].gap},
			"older values":  {id: int32(id), version: 1, at: -age},
			"another time":  {id: int32(id), at: -age - time.Nanosecond},
			"another's row": {id: int32(id + 100), at: -age},
		} {
			row, err := m.row(view, e)
			require.NoError(t, err)
			row.Key = fs.IntKey(int64(id))
			require.NoError(t, online.Delete(t.Context(), view, []fs.Key{row.Key}))
			outcomes, err := online.Write(t.Context(), view, []fs.Row{row})
			require.NoError(t, err)
			require.Equal(t, []fs.Outcome{fs.Written}, outcomes)
			_, err = verify(t.Context(), online, w)
			require.ErrorIs(t, err, errWrong, "%s: %s", view, name)
		}
		require.NoError(t, online.Delete(t.Context(), view, []fs.Key{fs.IntKey(int64(id))}))
		_, err = verify(t.Context(), online, w)
		require.ErrorIs(t, err, errWrong, "%s: no row", view)
	}
}

func TestCheckCounts(t *testing.T) {
	s := &stream{events: make([]event, 6), late: 1}
	good := fs.IngestStats{Accepted: 6, Written: 3, Stale: 2, Superseded: 1, Late: 1}
	require.NoError(t, check(s, good))
	for _, spoil := range []func(*fs.IngestStats){
		func(g *fs.IngestStats) { g.Written-- },
		func(g *fs.IngestStats) { g.Accepted++ },
		func(g *fs.IngestStats) { g.Late++ },
		func(g *fs.IngestStats) { g.DeadLetters++ },
		func(g *fs.IngestStats) { g.Rejected++ },
	} {
		bad := good
		spoil(&bad)
		assert.ErrorIs(t, check(s, bad), errCount)
	}
}
