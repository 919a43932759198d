package storetest

import (
	"math"
	"strings"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func testViews(t *testing.T, f *fixture) {
	key := fs.IntKey(1)
	numbers, more := f.row(t, "numbers", key, f.at(1), 1), f.row(t, "more", key, f.at(2), 2)
	f.write(t, "numbers", []fs.Row{numbers}, fs.Written)
	f.expectNone(t, "more", key)
	f.write(t, "more", []fs.Row{more}, fs.Written)
	f.expect(t, "numbers", numbers)
	f.expect(t, "more", more)
	f.expectNone(t, "kinds", key)
	f.expectNone(t, "city", key) // another entity with an equal key

	// Many views of one entity in one read, each with its own keys.
	kinds := f.rowOf(t, "kinds", fs.IntKey(2), f.at(3), f.kindValues()["usual"]...)
	f.write(t, "kinds", []fs.Row{kinds}, fs.Written)
	lookups := []fs.Lookup{
		f.lookup("more", key), f.lookup("kinds", key, kinds.Key), f.lookup("numbers", fs.IntKey(9), key), f.lookup("wide", key), f.lookup("item"),
	}
	f.readLookups(t, lookups...)
	for i, want := range [][]*fs.Record{{more.Record}, {nil, kinds.Record}, {nil, numbers.Record}, {nil}, {}} {
		for j := range want {
			if diff := difference(lookups[i].View, lookups[i].Rows[j], want[j]); diff != "" {
				t.Fatalf("lookup %d, key %d: %s", i, j, diff)
			}
		}
	}
}

func testNoEntity(t *testing.T, f *fixture) {
	row := f.row(t, "none", fs.Key{}, f.at(1), 1)
	f.write(t, "none", []fs.Row{row}, fs.Written)
	f.expect(t, "none", row)
	newer := f.row(t, "none", f.key(t, "none"), f.at(2), 2)
	f.write(t, "none", []fs.Row{row, newer}, fs.Stale, fs.Written)
	f.expect(t, "none", newer)
	f.delete(t, "none", fs.Key{})
	f.expectNone(t, "none", fs.Key{})
}

// oddKeys are keys that differ, by the view.
func (f *fixture) oddKeys(t *testing.T) map[string][]fs.Key {
	t.Helper()
	keys := map[string][]fs.Key{}
	add := func(view string, values ...any) { keys[view] = append(keys[view], f.key(t, view, values...)) }
	for _, n := range []int64{0, 1, -1, 255, 256, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		add("numbers", n)
		if n >= math.MinInt32 && n <= math.MaxInt32 {
			add("city", int32(n))
		}
	}
	odd := []string{
		"", " ", "a", "A", "a ", "a\x00", "\x00", "\x00\x00", "ab", "Zürich", "Zu\u0308rich", ":", "a:b", "{a}", "{a}b", "*", "%", "'\"\\", "\r\n", "1",
		"__dummy_id", strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 5000),
	}
	for _, s := range odd {
		add("item", s)
		add("blob", []byte(s))
	}
	for _, b := range [][]byte{{255}, {254}, {255, 254}, {0xc3}, {0xc3, 0x28}, {1, 0, 0, 0, 0, 0, 0, 0}} {
		add("blob", b)
	}
	// Pairs whose parts put together are equal.
	for _, p := range [][2]string{{"", ""}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}, {"c", "ab"}, {"\x00", ""}, {"", "\x00"}} {
		add("pair", p[0], p[1])
	}
	add("mixed", int64(0), []byte(nil), int32(0), "")
	add("mixed", int64(1), []byte(nil), int32(0), "")
	add("mixed", int64(0), []byte{0}, int32(0), "")
	add("mixed", int64(0), []byte(nil), int32(1), "")
	add("mixed", int64(-1), []byte{255, 0}, int32(-1), "x")
	add("mixed", int64(math.MinInt64), []byte("x"), int32(math.MinInt32), "\x00")
	add("none")
	return keys
}

// testKeys writes to all odd keys of a view, then looks whether each has its own row.
func testKeys(t *testing.T, f *fixture) {
	for view, keys := range f.oddKeys(t) {
		rows := make([]fs.Row, len(keys))
		for i, key := range keys {
			rows[i] = f.row(t, view, key, f.at(i), int64(i))
		}
		f.expectNone(t, view, keys...)
		f.write(t, view, rows, fs.Written)
		got := f.read(t, view, keys...)
		for i := range keys {
			if diff := difference(f.views[view], got[i], rows[i].Record); diff != "" {
				t.Fatalf("view %q, key %d, %v: %s", view, i, name(keys[i]), diff)
			}
		}
		for i, key := range keys {
			if i%2 == 0 {
				f.delete(t, view, key)
			}
		}
		for i, r := range f.read(t, view, keys...) {
			want := rows[i].Record
			if i%2 == 0 {
				want = nil
			}
			if diff := difference(f.views[view], r, want); diff != "" {
				t.Fatalf("view %q, key %d, %v, after deletes: %s", view, i, name(keys[i]), diff)
			}
		}
	}
}

// testAlike: the same key of several entities.
func testAlike(t *testing.T, f *fixture) {
	views := []string{"numbers", "more", "city", "item", "blob", "none"}
	for i, view := range views {
		key := fs.IntKey(7)
		switch view {
		case "item", "blob":
			key = fs.StringKey("7")
		case "none":
			key = fs.Key{}
		}
		row := f.row(t, view, key, f.at(len(views)-i), int64(i))
		f.write(t, view, []fs.Row{row}, fs.Written)
		f.expect(t, view, row)
	}
	f.delete(t, "city", fs.IntKey(7))
	f.delete(t, "item", fs.StringKey("7"))
	for _, view := range []string{"numbers", "more"} {
		if f.read(t, view, fs.IntKey(7))[0] == nil {
			t.Fatalf("view %q: the row has gone with that of another view", view)
		}
	}
	if f.read(t, "blob", fs.StringKey("7"))[0] == nil {
		t.Fatal("view \"blob\": the row has gone with that of another view")
	}
}

func (f *fixture) delete(t *testing.T, view string, keys ...fs.Key) {
	t.Helper()
	if err := f.store.Delete(t.Context(), f.views[view], keys); err != nil {
		t.Fatalf("Delete: %v", err)
	}
}
