package storetest

import (
	"math"
	"strings"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func testEmpty(t *testing.T, f *fixture) {
	f.expectNone(t, "none", fs.Key{})
	f.expectNone(t, "numbers", fs.IntKey(1), fs.IntKey(2), fs.IntKey(1))
	f.expectNone(t, "item", fs.StringKey(""), fs.StringKey("x"))
}

// kindValues are rows of the view "kinds": values in the order of the kinds.
func (f *fixture) kindValues() map[string][]fs.Value {
	ts := func(t time.Time) fs.Value { return fs.TimestampValue(t.Truncate(f.timestamp)) }
	long := strings.Repeat("long, ", 10_000)
	inf32 := float32(math.Inf(1))
	null := fs.Value{}
	return map[string][]fs.Value{
		"nothing": {null, null, null, null, null, null, null, null, null},
		"usual": {
			fs.Int64Value(7), fs.Float64Value(0.1), fs.Float32Value(0.92739803), fs.BoolValue(true), fs.StringValue("Zürich"),
			fs.BytesValue([]byte{0, 255, 10}), ts(f.now.Add(123456789)), fs.VectorValue([]float32{1, -2, 0.5}), fs.Int32Value(-7),
		},
		"zeros": {
			fs.Int64Value(0), fs.Float64Value(0), fs.Float32Value(0), fs.BoolValue(false), fs.StringValue(""), fs.BytesValue(nil),
			ts(time.Unix(0, 0)), fs.VectorValue(make([]float32, vectorDim)), fs.Int32Value(0),
		},
		"largest": {
			fs.Int64Value(math.MaxInt64), fs.Float64Value(math.MaxFloat64), fs.Float32Value(math.MaxFloat32), null, fs.StringValue(long),
			fs.BytesValue([]byte(long)), ts(time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC)),
			fs.VectorValue([]float32{math.MaxFloat32, inf32, math.SmallestNonzeroFloat32}), fs.Int32Value(math.MaxInt32),
		},
		"smallest": {
			fs.Int64Value(math.MinInt64), fs.Float64Value(math.SmallestNonzeroFloat64), fs.Float32Value(-math.MaxFloat32), null,
			fs.StringValue("\x00"), fs.BytesValue([]byte{0}), ts(time.Date(1679, 1, 1, 0, 0, 0, 0, time.UTC)),
			fs.VectorValue([]float32{-inf32, -0.1, 0}), fs.Int32Value(math.MinInt32),
		},
		"not numbers": {
			null, fs.Float64Value(math.NaN()), fs.Float32Value(float32(math.NaN())), null, null, null, null,
			fs.VectorValue([]float32{float32(math.NaN()), 0, 0}), null,
		},
		"infinite":      {null, fs.Float64Value(math.Inf(-1)), fs.Float32Value(inf32), null, null, null, null, null, null},
		"negative zero": {null, fs.Float64Value(math.Copysign(0, -1)), fs.Float32Value(float32(math.Copysign(0, -1))), null, null, null, null, null, null},
	}
}

func testKinds(t *testing.T, f *fixture) {
	var rows []fs.Row
	for _, values := range f.kindValues() {
		rows = append(rows, f.rowOf(t, "kinds", fs.IntKey(int64(len(rows))), f.at(len(rows)), values...))
	}
	// Each kind alone as well, so that it does not hang on its neighbours.
	for i, v := range f.kindValues()["usual"] {
		values := make([]fs.Value, i+1)
		values[i] = v
		rows = append(rows, f.rowOf(t, "kinds", fs.IntKey(int64(len(rows))), f.at(len(rows)), values...))
	}
	f.write(t, "kinds", rows, fs.Written)
	for _, row := range rows {
		f.expect(t, "kinds", row)
	}
	view := f.views["wide"]
	wide := view.NewRecord(f.at(1))
	for i := 0; i < len(view.Features()); i += 3 {
		if err := view.SetValue(wide, i, fs.Int64Value(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	f.write(t, "wide", []fs.Row{{Key: fs.IntKey(1), Record: wide}}, fs.Written)
	f.expect(t, "wide", fs.Row{Key: fs.IntKey(1), Record: wide})
}

// testReplace: a feature that the newer row does not have is null afterwards, whatever it was.
func testReplace(t *testing.T, f *fixture) {
	values := f.kindValues()
	for i, name := range []string{"usual", "not numbers", "zeros", "nothing", "largest", "infinite"} {
		row := f.rowOf(t, "kinds", fs.IntKey(1), f.at(i), values[name]...)
		f.write(t, "kinds", []fs.Row{row}, fs.Written)
		f.expect(t, "kinds", row)
	}
}

func testSubset(t *testing.T, f *fixture) {
	row := f.rowOf(t, "kinds", fs.IntKey(1), f.at(1), f.kindValues()["usual"]...)
	f.write(t, "kinds", []fs.Row{row}, fs.Written)
	view := f.views["kinds"]
	for _, features := range [][]int{{0}, {4}, {8}, {1, 7}, {0, 3, 5, 8}, {}} {
		l := fs.Lookup{View: view, Features: features, Keys: []fs.Key{row.Key, fs.IntKey(2)}, Rows: make([]*fs.Record, 2)}
		f.readLookups(t, l)
		if diff := difference(view, l.Rows[0], row.Record, features...); diff != "" {
			t.Fatalf("features %v: %s", features, diff)
		}
		if l.Rows[1] != nil {
			t.Fatalf("features %v: there is a row that was never written", features)
		}
	}
}

func testDuplicates(t *testing.T, f *fixture) {
	one, two := f.row(t, "numbers", fs.IntKey(1), f.at(1), 10), f.row(t, "numbers", fs.IntKey(2), f.at(2), 20)
	f.write(t, "numbers", []fs.Row{one, two}, fs.Written)
	keys := []fs.Key{one.Key, two.Key, one.Key, fs.IntKey(3), one.Key, fs.IntKey(3)}
	rows := f.read(t, "numbers", keys...)
	for i, want := range []*fs.Record{one.Record, two.Record, one.Record, nil, one.Record, nil} {
		if diff := difference(f.views["numbers"], rows[i], want); diff != "" {
			t.Fatalf("key %d: %s", i, diff)
		}
	}
	// The same view in two lookups of one read.
	lookups := []fs.Lookup{f.lookup("numbers", one.Key), f.lookup("numbers", two.Key, one.Key)}
	f.readLookups(t, lookups...)
	for i, got := range []*fs.Record{lookups[0].Rows[0], lookups[1].Rows[1]} {
		if diff := difference(f.views["numbers"], got, one.Record); diff != "" {
			t.Fatalf("lookup %d: %s", i, diff)
		}
	}
}

func testEventTimes(t *testing.T, f *fixture) {
	key := fs.IntKey(1)
	first := f.row(t, "numbers", key, f.at(5), 1)
	f.write(t, "numbers", []fs.Row{first}, fs.Written)
	f.write(t, "numbers", []fs.Row{f.row(t, "numbers", key, f.at(5), 2)}, fs.Stale)
	f.write(t, "numbers", []fs.Row{f.row(t, "numbers", key, f.at(4), 3)}, fs.Stale)
	f.expect(t, "numbers", first)
	newer := f.row(t, "numbers", key, f.at(6), 4)
	f.write(t, "numbers", []fs.Row{newer}, fs.Written)
	f.expect(t, "numbers", newer)
	f.write(t, "numbers", []fs.Row{first, f.row(t, "numbers", fs.IntKey(2), f.at(1), 5)}, fs.Stale, fs.Written)
	f.expect(t, "numbers", newer)
}

// testBatchOrder: each row counts after those before it in the batch. Of the rows that are not the newest of their key a store may say either that they
// were written and then replaced, or that they were stale from the first.
func testBatchOrder(t *testing.T, f *fixture) {
	for key, order := range [][]int{{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {2, 1, 3}, {3, 3, 3}, {1, 3, 3}} {
		var rows []fs.Row
		newest := -1
		for i, event := range order {
			rows = append(rows, f.row(t, "numbers", fs.IntKey(int64(key)), f.at(event), int64(i)))
			if newest < 0 || event > order[newest] {
				newest = i
			}
		}
		outcomes := make([]fs.Outcome, len(rows))
		if err := f.store.Write(t.Context(), f.views["numbers"], rows, outcomes); err != nil {
			t.Fatal(err)
		}
		for i, o := range outcomes {
			if ok := o == fs.Written && i <= newest || o == fs.Stale && i != newest; !ok {
				t.Fatalf("order %v: row %d of event time %d is %v", order, i, order[i], o)
			}
		}
		f.expect(t, "numbers", rows[newest])
	}
}

func testExtremes(t *testing.T, f *fixture) {
	for i, event := range []time.Time{
		time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Unix(1, 0),
		time.Unix(1, 0).Add(f.event), time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC).Add(-f.event), time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC),
		time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		row := f.row(t, "numbers", fs.IntKey(1), event.Truncate(f.event), int64(i))
		f.write(t, "numbers", []fs.Row{row}, fs.Written)
		f.expect(t, "numbers", row)
		f.write(t, "numbers", []fs.Row{row}, fs.Stale)
	}
}

func testTTL(t *testing.T, f *fixture) {
	fresh := f.row(t, "brief", fs.IntKey(1), time.Now().Add(time.Hour-brief).Truncate(f.event), 1)
	old := f.row(t, "brief", fs.IntKey(2), time.Now().Add(-time.Hour-brief).Truncate(f.event), 2)
	ancient := f.row(t, "numbers", fs.IntKey(3), f.now.AddDate(-50, 0, 0).Truncate(f.event), 3)
	outcomes := make([]fs.Outcome, 2)
	if err := f.store.Write(t.Context(), f.views["brief"], []fs.Row{fresh, old}, outcomes); err != nil {
		t.Fatal(err)
	}
	if outcomes[0] != fs.Written || outcomes[1] != fs.Written && outcomes[1] != fs.Stale {
		t.Fatalf("outcomes %v", outcomes)
	}
	f.write(t, "numbers", []fs.Row{ancient}, fs.Written)
	f.expect(t, "brief", fresh)
	f.expect(t, "numbers", ancient) // no TTL: for ever
	if got := f.read(t, "brief", old.Key)[0]; got != nil {
		f.expect(t, "brief", old) // the reader sees from the event time that it has expired
	}
	// The key is as good as any.
	renewed := f.row(t, "brief", old.Key, f.at(0), 4)
	f.write(t, "brief", []fs.Row{renewed}, fs.Written)
	f.expect(t, "brief", renewed)
}
