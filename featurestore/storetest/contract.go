package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func testDelete(t *testing.T, f *fixture) {
	one, two := f.row(t, "numbers", fs.IntKey(1), f.at(5), 1), f.row(t, "numbers", fs.IntKey(2), f.at(5), 2)
	f.delete(t, "numbers", one.Key) // nothing there: no error
	f.write(t, "numbers", []fs.Row{one, two}, fs.Written)
	f.delete(t, "numbers", one.Key, fs.IntKey(3), one.Key)
	f.expectNone(t, "numbers", one.Key)
	f.expect(t, "numbers", two)
	// A row with any event time can be written afterwards.
	for _, event := range []int{5, 2, 9} {
		row := f.row(t, "numbers", one.Key, f.at(event), int64(event))
		f.write(t, "numbers", []fs.Row{row}, fs.Written)
		f.expect(t, "numbers", row)
		f.delete(t, "numbers", one.Key)
		f.expectNone(t, "numbers", one.Key)
	}
	// Nothing of the row that was deleted is left in the one that follows.
	full := f.rowOf(t, "kinds", one.Key, f.at(1), f.kindValues()["usual"]...)
	bare := f.rowOf(t, "kinds", one.Key, f.at(2), f.kindValues()["not numbers"]...)
	f.write(t, "kinds", []fs.Row{full}, fs.Written)
	f.delete(t, "kinds", one.Key)
	f.write(t, "kinds", []fs.Row{bare}, fs.Written)
	f.expect(t, "kinds", bare)
}

func testInvalid(t *testing.T, f *fixture) {
	good := f.row(t, "numbers", fs.IntKey(2), f.at(1), 1)
	foreign := f.rowOf(t, "kinds", fs.IntKey(3), f.at(1), f.kindValues()["usual"]...)
	rows := []fs.Row{{Key: fs.IntKey(1)}, good, foreign}
	outcomes := make([]fs.Outcome, len(rows))
	err := f.store.Write(t.Context(), f.views["numbers"], rows, outcomes)
	if !errors.Is(err, fs.ErrRow) {
		t.Fatalf("the error of a row without a record is %v, want an ErrRow", err)
	}
	for i, want := range []fs.Outcome{fs.Invalid, fs.Written, fs.Invalid} {
		if outcomes[i] != want {
			t.Fatalf("row %d is %v, want %v", i, outcomes[i], want)
		}
	}
	f.expect(t, "numbers", good)
	f.expectNone(t, "numbers", fs.IntKey(1), fs.IntKey(3))
}

func testContext(t *testing.T, f *fixture) {
	row := f.row(t, "numbers", fs.IntKey(1), f.at(1), 1)
	kept := f.row(t, "numbers", fs.IntKey(2), f.at(1), 2)
	f.write(t, "numbers", []fs.Row{kept}, fs.Written)
	gone := errors.New("gone")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer stop()
	for name, end := range map[string]struct {
		ctx  context.Context
		want error
	}{"cancelled": {cancelled, gone}, "past its deadline": {late, context.DeadlineExceeded}} {
		outcomes := make([]fs.Outcome, 1)
		if err := f.store.Write(end.ctx, f.views["numbers"], []fs.Row{row}, outcomes); !errors.Is(err, end.want) {
			t.Errorf("Write with a context that is %s: %v, want %v", name, err, end.want)
		}
		if outcomes[0] != fs.Failed {
			t.Errorf("Write with a context that is %s: the row is %v, want failed", name, outcomes[0])
		}
		if err := f.store.Read(end.ctx, []fs.Lookup{f.lookup("numbers", kept.Key)}); !errors.Is(err, end.want) {
			t.Errorf("Read with a context that is %s: %v, want %v", name, err, end.want)
		}
		if err := f.store.Delete(end.ctx, f.views["numbers"], []fs.Key{kept.Key}); !errors.Is(err, end.want) {
			t.Errorf("Delete with a context that is %s: %v, want %v", name, err, end.want)
		}
	}
	f.expect(t, "numbers", kept)
	f.expectNone(t, "numbers", row.Key)
}

func testNothing(t *testing.T, f *fixture) {
	if err := f.store.Read(t.Context(), nil); err != nil {
		t.Errorf("Read without lookups: %v", err)
	}
	if err := f.store.Read(t.Context(), []fs.Lookup{f.lookup("numbers")}); err != nil {
		t.Errorf("Read without keys: %v", err)
	}
	if err := f.store.Write(t.Context(), f.views["numbers"], nil, nil); err != nil {
		t.Errorf("Write without rows: %v", err)
	}
	if err := f.store.Delete(t.Context(), f.views["numbers"], nil); err != nil {
		t.Errorf("Delete without keys: %v", err)
	}
}

func testHuge(t *testing.T, f *fixture) {
	n := 10 * f.rounds
	rows, keys := make([]fs.Row, n), make([]fs.Key, n)
	for i := range rows {
		keys[i] = fs.IntKey(int64(i))
		rows[i] = f.row(t, "numbers", keys[i], f.at(i), int64(i))
	}
	f.write(t, "numbers", rows, fs.Written)
	got := f.read(t, "numbers", keys...)
	for i := range rows {
		if diff := difference(f.views["numbers"], got[i], rows[i].Record); diff != "" {
			t.Fatalf("row %d: %s", i, diff)
		}
	}
	f.delete(t, "numbers", keys...)
	f.expectNone(t, "numbers", keys...)
}

// testSlices: a store keeps the records, but not the slices that it was given.
func testSlices(t *testing.T, f *fixture) {
	rows := []fs.Row{f.row(t, "numbers", fs.IntKey(1), f.at(1), 1), f.row(t, "numbers", fs.IntKey(2), f.at(1), 2)}
	want := append([]fs.Row(nil), rows...)
	f.write(t, "numbers", rows, fs.Written)
	clear(rows)
	l := f.lookup("numbers", fs.IntKey(1), fs.IntKey(2))
	f.readLookups(t, l)
	got := append([]*fs.Record(nil), l.Rows...)
	clear(l.Keys)
	clear(l.Rows)
	clear(l.Features)
	keys := []fs.Key{fs.IntKey(3)}
	f.delete(t, "numbers", keys...)
	clear(keys)
	for i := range want {
		if diff := difference(f.views["numbers"], got[i], want[i].Record); diff != "" {
			t.Fatalf("row %d: %s", i, diff)
		}
		f.expect(t, "numbers", want[i])
	}
}

func testClose(t *testing.T, f *fixture) {
	closer, ok := f.store.(interface{ Close() error })
	if !ok {
		t.Skip("the store has no method Close() error")
	}
	row := f.row(t, "numbers", fs.IntKey(1), f.at(1), 1)
	f.write(t, "numbers", []fs.Row{row}, fs.Written)
	for range 2 {
		if err := closer.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	outcomes := make([]fs.Outcome, 1)
	if err := f.store.Write(t.Context(), f.views["numbers"], []fs.Row{row}, outcomes); !errors.Is(err, fs.ErrClosed) || outcomes[0] != fs.Failed {
		t.Errorf("Write after Close: %v, %v; want failed, ErrClosed", outcomes[0], err)
	}
	if err := f.store.Read(t.Context(), []fs.Lookup{f.lookup("numbers", row.Key)}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close: %v, want ErrClosed", err)
	}
	if err := f.store.Delete(t.Context(), f.views["numbers"], []fs.Key{row.Key}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Delete after Close: %v, want ErrClosed", err)
	}
}
