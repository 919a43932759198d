package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
)

const (
	writers = 4
	readers = 3
)

// group runs functions at the same time and fails the test with the first of their errors.
type group struct {
	sync.WaitGroup
	once sync.Once
	err  error
}

func (g *group) run(f func() error) {
	g.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

// testWriters: writers of one entity, each with event times of its own in random order. The newest wins; each reader sees event times that never go
// back, and rows whose values come from one write.
func testWriters(t *testing.T, f *fixture) {
	view, key := f.views["numbers"], fs.IntKey(1)
	var writing, reading group
	var done atomic.Bool
	each := max(f.rounds/writers, 1)
	newest := f.at(each * writers)
	var told atomic.Bool // that the newest was written
	for w := range writers {
		order := rand.New(rand.NewPCG(1, uint64(w))).Perm(each)
		rows := make([]fs.Row, each)
		for i, n := range order {
			event := n*writers + w + 1
			rows[i] = f.row(t, "numbers", key, f.at(event), f.at(event).UnixNano())
		}
		writing.run(func() error {
			for i := range rows {
				var outcome [1]fs.Outcome
				if err := f.store.Write(t.Context(), view, rows[i:i+1], outcome[:]); err != nil {
					return err
				}
				if outcome[0] == fs.Written && rows[i].Record.EventNanos() == newest.UnixNano() {
					told.Store(true)
				}
			}
			return nil
		})
	}
	for range readers {
		reading.run(func() error {
			var last int64
			for stop := false; !stop; {
				stop = done.Load() // one more read after the last write
				r, err := f.readOne(t.Context(), view, key)
				if err != nil {
					return err
				}
				if r == nil {
					if last != 0 {
						return fmt.Errorf("the row has gone")
					}
					continue
				}
				if r.EventNanos() < last {
					return fmt.Errorf("the event time went back from %d to %d", last, r.EventNanos())
				}
				last = r.EventNanos()
				if err := whole(view, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
	for _, err := range []error{writing.err, reading.err} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.expect(t, "numbers", f.row(t, "numbers", key, newest, newest.UnixNano()))
	if !told.Load() {
		t.Fatal("the row with the newest event time is there, but its writer was not told so")
	}
}

// whole expects that all values of a row are its event time.
func whole(view *fs.Schema, r *fs.Record) error {
	for i := range view.Features() {
		if v := view.Value(r, i); v.IsNull() || v.Int() != r.EventNanos() {
			return fmt.Errorf("the row is torn: event time %d, but feature %d is %v", r.EventNanos(), i, v)
		}
	}
	return nil
}

// readOne is for other goroutines than that of the test.
func (f *fixture) readOne(ctx context.Context, view *fs.Schema, key fs.Key) (*fs.Record, error) {
	lookups := []fs.Lookup{{View: view, Features: []int{0, 1, 2}, Keys: []fs.Key{key}, Rows: make([]*fs.Record, 1)}}
	if err := f.store.Read(ctx, lookups); err != nil {
		return nil, err
	}
	if lookups[0].Errs != nil && lookups[0].Errs[0] != nil {
		return nil, lookups[0].Errs[0]
	}
	return lookups[0].Rows[0], nil
}

// testManyWriters: batches of overlapping entities. In the end each has the newest of its rows, and of rows with equal event times, which differ by
// writer, exactly one was written.
func testManyWriters(t *testing.T, f *fixture) {
	const keys, batch = 20, 10
	view := f.views["more"]
	rounds := max(f.rounds/(writers*batch), 1)
	var writing group
	var mu sync.Mutex
	newest := map[fs.Key]int64{}
	stored := map[fs.Key]map[int64]int{}
	for w := range writers {
		random := rand.New(rand.NewPCG(2, uint64(w)))
		batches := make([][]fs.Row, rounds)
		for i := range batches {
			for range batch {
				event := f.at(random.IntN(2 * rounds))
				key := fs.IntKey(int64(random.IntN(keys)))
				batches[i] = append(batches[i], f.row(t, "more", key, event, event.UnixNano()))
				newest[key] = max(newest[key], event.UnixNano())
			}
		}
		writing.run(func() error {
			for _, rows := range batches {
				outcomes := make([]fs.Outcome, len(rows))
				if err := f.store.Write(t.Context(), view, rows, outcomes); err != nil {
					return err
				}
				mu.Lock()
				for i, o := range outcomes {
					if o == fs.Written {
						if stored[rows[i].Key] == nil {
							stored[rows[i].Key] = map[int64]int{}
						}
						stored[rows[i].Key][rows[i].Record.EventNanos()]++
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	writing.Wait()
	if writing.err != nil {
		t.Fatal(writing.err)
	}
	for key, event := range newest {
		got := f.read(t, "more", key)[0]
		if got == nil || got.EventNanos() != event {
			t.Fatalf("key %v: the newest event time is %d, the row is %v", name(key), event, got)
		}
		if err := whole(view, got); err != nil {
			t.Fatalf("key %v: %v", name(key), err)
		}
		if stored[key][event] != 1 {
			t.Fatalf("key %v: %d writers were told that they wrote event time %d, want 1", name(key), stored[key][event], event)
		}
	}
}

// testDeleters: writes and deletes of one entity at the same time. What is read is whole or not there.
func testDeleters(t *testing.T, f *fixture) {
	view, key := f.views["numbers"], fs.IntKey(1)
	n := max(f.rounds/4, 1)
	rows := make([]fs.Row, n)
	for i := range rows {
		rows[i] = f.row(t, "numbers", key, f.at(i), f.at(i).UnixNano())
	}
	var all group
	all.run(func() error {
		for i := range rows {
			if err := f.store.Write(t.Context(), view, rows[i:i+1], make([]fs.Outcome, 1)); err != nil {
				return err
			}
		}
		return nil
	})
	all.run(func() error {
		for range n {
			if err := f.store.Delete(t.Context(), view, []fs.Key{key}); err != nil {
				return err
			}
		}
		return nil
	})
	all.run(func() error {
		for range n {
			r, err := f.readOne(t.Context(), view, key)
			if err != nil {
				return err
			}
			if r != nil {
				if err := whole(view, r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	all.Wait()
	if all.err != nil {
		t.Fatal(all.err)
	}
	last := f.row(t, "numbers", key, f.at(n), 1)
	f.write(t, "numbers", []fs.Row{last}, fs.Written)
	f.expect(t, "numbers", last)
}
