package featurestore_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

var errStore = errors.New("store down")

// streamViews are the schemas of the views "counts" and "other" of the entity user, which have one feature each.
func streamViews(t testing.TB) (counts, other *fs.Schema) {
	t.Helper()
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	feature := []fs.Feature{{Name: "count", Kind: fs.Int64}}
	require.NoError(t, registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views: []fs.View{
			{Name: "counts", Entity: "user", Features: feature},
			{Name: "other", Entity: "user", Features: append(feature, fs.Feature{Name: "text", Kind: fs.String})},
		},
	}))
	counts, err = registry.View("counts")
	require.NoError(t, err)
	other, err = registry.View("other")
	require.NoError(t, err)
	return counts, other
}

// streamRow has the event time as its value.
func streamRow(view *fs.Schema, key, event int64) fs.Row {
	r := view.NewRecord(time.Unix(0, event))
	if err := view.SetValue(r, 0, fs.Int64Value(event)); err != nil {
		panic(err)
	}
	return fs.Row{Key: fs.IntKey(key), Record: r}
}

func streamMem(t testing.TB) *memstore.Store {
	t.Helper()
	s, err := memstore.New(memstore.Config{Shards: 4})
	require.NoError(t, err)
	return s
}

// scripted is a store whose calls go through a script first. An error of it is the call's.
type scripted struct {
	fs.Store
	onWrite  func(ctx context.Context, rows []fs.Row, outcomes []fs.Outcome) error
	onRead   func(ctx context.Context, lookups []fs.Lookup) error
	onDelete func(ctx context.Context, keys []fs.Key) error

	mu      sync.Mutex
	batches [][]fs.Row
}

func (s *scripted) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	s.mu.Lock()
	s.batches = append(s.batches, append([]fs.Row(nil), rows...))
	s.mu.Unlock()
	if s.onWrite != nil {
		if err := s.onWrite(ctx, rows, outcomes); err != nil {
			return err
		}
		if len(outcomes) > 0 && outcomes[0] != 0 {
			return nil // the script has done it all
		}
	}
	return s.Store.Write(ctx, view, rows, outcomes)
}

func (s *scripted) Read(ctx context.Context, lookups []fs.Lookup) error {
	if s.onRead != nil {
		if err := s.onRead(ctx, lookups); err != nil {
			return err
		}
	}
	return s.Store.Read(ctx, lookups)
}

func (s *scripted) Delete(ctx context.Context, view *fs.Schema, keys []fs.Key) error {
	if s.onDelete != nil {
		if err := s.onDelete(ctx, keys); err != nil {
			return err
		}
	}
	return s.Store.Delete(ctx, view, keys)
}

// sizes are the numbers of rows of the calls of Write so far.
func (s *scripted) sizes() (sizes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// events reads the event times of keys, 0 for a row that is not there.
func events(t testing.TB, s fs.Store, view *fs.Schema, keys ...int64) []int64 {
	t.Helper()
	l := lookup(view, keys...)
	require.NoError(t, s.Read(context.Background(), l))
	require.Nil(t, l[0].Errs)
	return eventsOf(l[0])
}

func lookup(view *fs.Schema, keys ...int64) []fs.Lookup {
	l := fs.Lookup{View: view, Features: []int{0}, Rows: make([]*fs.Record, len(keys))}
	for _, k := range keys {
		l.Keys = append(l.Keys, fs.IntKey(k))
	}
	return []fs.Lookup{l}
}

func eventsOf(l fs.Lookup) []int64 {
	got := make([]int64, len(l.Rows))
	for i, r := range l.Rows {
		if r != nil {
			got[i] = r.EventNanos()
		}
	}
	return got
}

// letters collects dead letters.
type letters struct {
	mu  sync.Mutex
	all []fs.DeadLetter
}

func (l *letters) option() fs.IngestOption {
	return fs.WithDeadLetter(func(d fs.DeadLetter) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, d)
	})
}

func (l *letters) get() []fs.DeadLetter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]fs.DeadLetter(nil), l.all...)
}

func goexit() { runtime.Goexit() }
