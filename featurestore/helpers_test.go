package featurestore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// userAndItem are two entities with a view each, one view of both, and one of none.
func userAndItem() fs.Definitions {
	return fs.Definitions{
		Entities: []fs.Entity{
			{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}},
			{Name: "item", JoinKeys: []fs.JoinKey{{Name: "sku", Kind: fs.String}}},
			{Name: "pair", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}, {Name: "sku", Kind: fs.String}}},
		},
		Views: []fs.View{
			{Name: "profile", Entity: "user", TTL: fs.Duration(time.Hour), Features: []fs.Feature{
				{Name: "age", Kind: fs.Int32},
				{Name: "country", Kind: fs.String, Default: fs.StringValue("??")},
				{Name: "spend", Kind: fs.Float64, Default: fs.Float64Value(1.5)},
				{Name: "taste", Kind: fs.Vector, Dim: 3, Default: fs.VectorValue([]float32{7, 8, 9})},
				{Name: "vip", Kind: fs.Bool},
			}},
			{Name: "stock", Entity: "item", Features: []fs.Feature{
				{Name: "price", Kind: fs.Float32},
				{Name: "left", Kind: fs.Int64, Default: fs.Int64Value(-1)},
				{Name: "since", Kind: fs.Timestamp},
			}},
			{Name: "seen", Entity: "pair", TTL: fs.Duration(time.Minute), Features: []fs.Feature{{Name: "times", Kind: fs.Int64}}},
			{Name: "world", Features: []fs.Feature{{Name: "holiday", Kind: fs.Bool}}},
		},
	}
}

func newOnline(t testing.TB, store fs.Store, defs fs.Definitions, ops map[string]fs.Op) (*fs.Online, *fs.Registry) {
	t.Helper()
	registry, err := fs.NewRegistry("test", fs.WithOps(ops))
	require.NoError(t, err)
	require.NoError(t, registry.Apply(defs))
	if store == nil {
		store = newMemory(t)
	}
	online, err := fs.New(store, registry, fs.Config{})
	require.NoError(t, err)
	return online, registry
}

func newMemory(t testing.TB) *memstore.Store {
	t.Helper()
	store, err := memstore.New(memstore.Config{})
	require.NoError(t, err)
	return store
}

func view(t testing.TB, registry *fs.Registry, name string) *fs.Schema {
	t.Helper()
	schema, err := registry.View(name)
	require.NoError(t, err)
	return schema
}

// put writes one row.
func put(t testing.TB, o *fs.Online, schema *fs.Schema, event time.Time, key []any, pairs ...any) {
	t.Helper()
	k, err := schema.Entity().Key(key...)
	require.NoError(t, err)
	record, err := schema.RecordOf(event, pairs...)
	require.NoError(t, err)
	outcomes, err := o.Write(t.Context(), schema.Name(), []fs.Row{{Key: k, Record: record}})
	require.NoError(t, err)
	require.Equal(t, []fs.Outcome{fs.Written}, outcomes)
}

// wide is a service of one view with n features of a kind, whose rows 0 to rows-1 are in the store.
func wide(t testing.TB, kind fs.Kind, n, rows int) (*fs.Reader, *fs.Online) {
	t.Helper()
	v := fs.View{Name: "wide", Entity: "user"}
	for i := range n {
		v.Features = append(v.Features, fs.Feature{Name: fmt.Sprintf("f%d", i), Kind: kind})
	}
	online, registry := newOnline(t, nil, fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{v},
		Services: []fs.Service{{Name: "model", Version: 1, Features: []string{"wide:*"}}},
	}, nil)
	schema := view(t, registry, "wide")
	batch := make([]fs.Row, rows)
	for id := range batch {
		r := schema.NewRecord(time.Now())
		for i := range n {
			value := fs.Float32Value(float32(id*n + i))
			if kind == fs.Int64 {
				value = fs.Int64Value(int64(id*n + i))
			}
			require.NoError(t, schema.SetValue(r, i, value))
		}
		batch[id] = fs.Row{Key: fs.IntKey(int64(id)), Record: r}
	}
	_, err := online.Write(t.Context(), "wide", batch)
	require.NoError(t, err)
	reader, err := online.Reader("model", 1)
	require.NoError(t, err)
	return reader, online
}

// stub is a store whose Read and Write a test sets; without, it is as the store inside.
type stub struct {
	fs.Store
	read  func(ctx context.Context, lookups []fs.Lookup) error
	write func(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error
}

func (s *stub) Read(ctx context.Context, lookups []fs.Lookup) error {
	if s.read != nil {
		return s.read(ctx, lookups)
	}
	return s.Store.Read(ctx, lookups)
}

func (s *stub) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	if s.write != nil {
		return s.write(ctx, view, rows, outcomes)
	}
	return s.Store.Write(ctx, view, rows, outcomes)
}

// mapStore is a store that is a map and drops nothing by itself, so that what is tested is the reader's TTL and not the store's.
type mapStore struct {
	mu   sync.Mutex
	rows map[mapKey]*fs.Record
}

type mapKey struct {
	view string
	key  fs.Key
}

func newMapStore() *mapStore { return &mapStore{rows: map[mapKey]*fs.Record{}} }

func (s *mapStore) Read(_ context.Context, lookups []fs.Lookup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range lookups {
		l := &lookups[i]
		for j, key := range l.Keys {
			l.Rows[j] = s.rows[mapKey{l.View.Name(), key}]
		}
	}
	return nil
}

func (s *mapStore) Write(_ context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, row := range rows {
		at := mapKey{view.Name(), row.Key}
		outcomes[i] = fs.Stale
		if old := s.rows[at]; old == nil || old.EventNanos() < row.Record.EventNanos() {
			s.rows[at], outcomes[i] = row.Record, fs.Written
		}
	}
	return nil
}

func (s *mapStore) Delete(_ context.Context, view *fs.Schema, keys []fs.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.rows, mapKey{view.Name(), key})
	}
	return nil
}
