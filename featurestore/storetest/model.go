package storetest

import (
	"math/rand/v2"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// testModel does random operations on the store and on a map, and compares what they say.
func testModel(t *testing.T, f *fixture) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := &model{fixture: f, random: rand.New(rand.NewPCG(seed, 0)), rows: map[modelKey]*fs.Record{}}
	for view, keys := range f.oddKeys(t) {
		for _, key := range keys[:min(len(keys), 5)] {
			m.keys = append(m.keys, modelKey{view, key})
		}
	}
	for i := range 5 {
		m.keys = append(m.keys, modelKey{"kinds", fs.IntKey(int64(i))}, modelKey{"more", fs.IntKey(int64(i))})
	}
	for _, values := range f.kindValues() {
		m.values = append(m.values, values)
	}
	for range f.rounds {
		switch m.random.IntN(8) {
		case 0:
			m.delete(t)
		case 1, 2, 3:
			m.read(t)
		default:
			m.write(t)
		}
	}
	for _, k := range m.keys {
		if diff := difference(f.views[k.view], f.read(t, k.view, k.key)[0], m.rows[k]); diff != "" {
			t.Fatalf("in the end: view %q, key %v: %s", k.view, name(k.key), diff)
		}
	}
}

type modelKey struct {
	view string
	key  fs.Key
}

type model struct {
	*fixture
	random *rand.Rand
	keys   []modelKey
	values [][]fs.Value // of the view "kinds"
	rows   map[modelKey]*fs.Record
}

// some are keys of one view, with duplicates.
func (m *model) some(n int) (string, []fs.Key) {
	view := m.keys[m.random.IntN(len(m.keys))].view
	var all, keys []fs.Key
	for _, k := range m.keys {
		if k.view == view {
			all = append(all, k.key)
		}
	}
	for range m.random.IntN(n) + 1 {
		keys = append(keys, all[m.random.IntN(len(all))])
	}
	return view, keys
}

func (m *model) write(t *testing.T) {
	t.Helper()
	view, keys := m.some(6)
	rows, seen := make([]fs.Row, 0, len(keys)), map[fs.Key]bool{}
	var want []fs.Outcome
	for _, key := range keys {
		if seen[key] { // what a store says of several rows of one key may differ: see testBatchOrder
			continue
		}
		seen[key] = true
		row := m.anyRow(t, view, key)
		rows = append(rows, row)
		old := m.rows[modelKey{view, key}]
		if old != nil && old.EventNanos() >= row.Record.EventNanos() {
			want = append(want, fs.Stale)
			continue
		}
		want = append(want, fs.Written)
		m.rows[modelKey{view, key}] = row.Record
	}
	m.fixture.write(t, view, rows, want...)
}

// anyRow is a row of any view, with an event time that is likely to be newer or older than others.
func (m *model) anyRow(t *testing.T, view string, key fs.Key) fs.Row {
	t.Helper()
	event := m.at(m.random.IntN(200))
	if view == "kinds" {
		values := make([]fs.Value, len(m.values[0]))
		for i := range values {
			values[i] = m.values[m.random.IntN(len(m.values))][i]
		}
		return m.rowOf(t, view, key, event, values...)
	}
	values := make([]fs.Value, 3)
	for i := range values {
		if m.random.IntN(4) > 0 {
			values[i] = fs.Int64Value(m.random.Int64())
		}
	}
	return m.rowOf(t, view, key, event, values...)
}

func (m *model) read(t *testing.T) {
	t.Helper()
	var lookups []fs.Lookup
	for range m.random.IntN(3) + 1 {
		view, keys := m.some(8)
		l := m.lookup(view, keys...)
		kept := l.Features[:0]
		for _, i := range l.Features {
			if m.random.IntN(3) > 0 {
				kept = append(kept, i)
			}
		}
		l.Features = kept
		lookups = append(lookups, l)
	}
	m.readLookups(t, lookups...)
	for _, l := range lookups {
		for i, key := range l.Keys {
			if diff := difference(l.View, l.Rows[i], m.rows[modelKey{l.View.Name(), key}], l.Features...); diff != "" {
				t.Fatalf("view %q, key %v, features %v: %s", l.View.Name(), name(key), l.Features, diff)
			}
		}
	}
}

func (m *model) delete(t *testing.T) {
	t.Helper()
	view, keys := m.some(3)
	for _, key := range keys {
		delete(m.rows, modelKey{view, key})
	}
	m.fixture.delete(t, view, keys...)
}
