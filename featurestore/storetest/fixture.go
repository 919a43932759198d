package storetest

import (
	"fmt"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// fixture is a store with views of several entities.
type fixture struct {
	*suite
	store fs.Store
	now   time.Time
	views map[string]*fs.Schema
}

const (
	vectorDim = 3
	brief     = 2 * time.Hour // TTL of the view "brief"
)

// definitions are what the tests use. The view "kinds" has a feature of each kind, "wide" has more than fit one word of a bit set, the others
// have three integers.
func definitions() fs.Definitions {
	kinds := fs.View{Name: "kinds", Entity: "user"}
	for k := fs.Int64; k.Valid(); k++ {
		f := fs.Feature{Name: k.String() + "_feature", Kind: k}
		if k == fs.Vector {
			f.Dim = vectorDim
		}
		kinds.Features = append(kinds.Features, f)
	}
	wide := fs.View{Name: "wide", Entity: "user"}
	for i := range 130 {
		wide.Features = append(wide.Features, fs.Feature{Name: fmt.Sprintf("f%03d", i), Kind: fs.Int64})
	}
	numbers := func(name, entity string, ttl time.Duration) fs.View {
		return fs.View{Name: name, Entity: entity, TTL: fs.Duration(ttl), Features: []fs.Feature{
			{Name: "a", Kind: fs.Int64}, {Name: "b", Kind: fs.Int64}, {Name: "c", Kind: fs.Int64},
		}}
	}
	return fs.Definitions{
		Entities: []fs.Entity{
			{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}},
			{Name: "city", JoinKeys: []fs.JoinKey{{Name: "city_id", Kind: fs.Int32}}},
			{Name: "item", JoinKeys: []fs.JoinKey{{Name: "item_id", Kind: fs.String}}},
			{Name: "blob", JoinKeys: []fs.JoinKey{{Name: "digest", Kind: fs.Bytes}}},
			// The join keys are not in the order of their names.
			{Name: "pair", JoinKeys: []fs.JoinKey{{Name: "right", Kind: fs.String}, {Name: "left", Kind: fs.String}}},
			{Name: "mixed", JoinKeys: []fs.JoinKey{
				{Name: "n", Kind: fs.Int64}, {Name: "b", Kind: fs.Bytes}, {Name: "i", Kind: fs.Int32}, {Name: "s", Kind: fs.String},
			}},
		},
		Views: []fs.View{
			kinds, wide,
			numbers("numbers", "user", 0), numbers("more", "user", 0), numbers("brief", "user", brief), numbers("none", "", 0),
			numbers("city", "city", 0), numbers("item", "item", 0), numbers("blob", "blob", 0), numbers("pair", "pair", 0),
			numbers("mixed", "mixed", 0),
		},
	}
}

func newFixture(t *testing.T, s *suite, store fs.Store) *fixture {
	t.Helper()
	if store == nil {
		t.Fatal("storetest: no store")
	}
	registry, err := fs.NewRegistry("storetest")
	if err == nil {
		err = registry.Apply(definitions())
	}
	f := &fixture{suite: s, store: store, now: time.Now().Truncate(time.Hour), views: map[string]*fs.Schema{}}
	for _, v := range definitions().Views {
		if err == nil {
			f.views[v.Name], err = registry.View(v.Name)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// at is an event time: n units of the store's precision after an hour that has begun.
func (f *fixture) at(n int) time.Time { return f.now.Add(time.Duration(n) * f.event) }

// row is one of a view with three integers, which are all v.
func (f *fixture) row(t *testing.T, view string, key fs.Key, event time.Time, v int64) fs.Row {
	t.Helper()
	return f.rowOf(t, view, key, event, fs.Int64Value(v), fs.Int64Value(v), fs.Int64Value(v))
}

func (f *fixture) rowOf(t *testing.T, view string, key fs.Key, event time.Time, values ...fs.Value) fs.Row {
	t.Helper()
	r := f.views[view].NewRecord(event)
	for i, v := range values {
		if err := f.views[view].SetValue(r, i, v); err != nil {
			t.Fatal(err)
		}
	}
	return fs.Row{Key: key, Record: r}
}

// key makes one of a view's entity.
func (f *fixture) key(t *testing.T, view string, values ...any) fs.Key {
	t.Helper()
	key, err := f.views[view].Entity().Key(values...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write expects that all rows have these outcomes, and no error.
func (f *fixture) write(t *testing.T, view string, rows []fs.Row, want ...fs.Outcome) {
	t.Helper()
	outcomes := make([]fs.Outcome, len(rows))
	if err := f.store.Write(t.Context(), f.views[view], rows, outcomes); err != nil {
		t.Fatalf("Write: %v", err)
	}
	for i, o := range outcomes {
		if w := want[min(i, len(want)-1)]; o != w {
			t.Fatalf("Write: row %d of %d is %v, want %v", i, len(rows), o, w)
		}
	}
}

// lookup asks for all features of a view.
func (f *fixture) lookup(view string, keys ...fs.Key) fs.Lookup {
	l := fs.Lookup{View: f.views[view], Keys: keys, Rows: make([]*fs.Record, len(keys))}
	for i := range l.View.Features() {
		l.Features = append(l.Features, i)
	}
	return l
}

func (f *fixture) readLookups(t *testing.T, lookups ...fs.Lookup) {
	t.Helper()
	if err := f.store.Read(t.Context(), lookups); err != nil {
		t.Fatalf("Read: %v", err)
	}
	for i := range lookups {
		for j, err := range lookups[i].Errs {
			if err != nil {
				t.Fatalf("Read: lookup %d, key %d: %v", i, j, err)
			}
		}
	}
}

func (f *fixture) read(t *testing.T, view string, keys ...fs.Key) []*fs.Record {
	t.Helper()
	l := f.lookup(view, keys...)
	f.readLookups(t, l)
	return l.Rows
}

// expect expects that the row of a key is this one.
func (f *fixture) expect(t *testing.T, view string, want fs.Row) {
	t.Helper()
	got := f.read(t, view, want.Key)[0]
	if diff := difference(f.views[view], got, want.Record); diff != "" {
		t.Fatalf("view %q, key %v: %s", view, name(want.Key), diff)
	}
}

func (f *fixture) expectNone(t *testing.T, view string, keys ...fs.Key) {
	t.Helper()
	for i, r := range f.read(t, view, keys...) {
		if r != nil {
			t.Fatalf("view %q, key %v: there is a row, with event time %v", view, name(keys[i]), r.EventTime())
		}
	}
}

// difference says in what a record is not the one that is wanted, by all its features or by some.
func difference(s *fs.Schema, got, want *fs.Record, features ...int) string {
	switch {
	case got == nil && want == nil:
		return ""
	case got == nil:
		return fmt.Sprintf("there is no row, want one with event time %v", want.EventTime())
	case want == nil:
		return fmt.Sprintf("there is a row with event time %v", got.EventTime())
	case got.EventNanos() != want.EventNanos():
		return fmt.Sprintf("event time %v, want %v", got.EventTime(), want.EventTime())
	}
	if features == nil {
		for i := range s.Features() {
			features = append(features, i)
		}
	}
	for _, i := range features {
		if g, w := s.Value(got, i), s.Value(want, i); !g.Equal(w) {
			return fmt.Sprintf("feature %q is %v, want %v", s.Features()[i].Name, g, w)
		}
	}
	return ""
}

// name is a key for people to read: keys may be long, and need not be text.
func name(key fs.Key) string { return fmt.Sprintf("%.60q", fmt.Sprint(key)) }
