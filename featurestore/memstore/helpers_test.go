package memstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// schema makes the schema of a view "stats" of the entity user.
func schema(t testing.TB, ttl time.Duration, features ...fs.Feature) *fs.Schema {
	t.Helper()
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	require.NoError(t, registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{{Name: "stats", Entity: "user", TTL: fs.Duration(ttl), Features: features}},
	}))
	view, err := registry.View("stats")
	require.NoError(t, err)
	return view
}

func counts(t testing.TB, ttl time.Duration) *fs.Schema {
	return schema(t, ttl, fs.Feature{Name: "count", Kind: fs.Int64})
}

// row is one with a single feature, whose value is the event time.
func row(t testing.TB, view *fs.Schema, key fs.Key, event int64) fs.Row {
	t.Helper()
	r := view.NewRecord(time.Unix(0, event))
	require.NoError(t, view.SetValue(r, 0, fs.Int64Value(event)))
	return fs.Row{Key: key, Record: r}
}

func write(t testing.TB, s fs.Store, view *fs.Schema, rows ...fs.Row) []fs.Outcome {
	t.Helper()
	outcomes := make([]fs.Outcome, len(rows))
	require.NoError(t, s.Write(t.Context(), view, rows, outcomes))
	return outcomes
}

func read(t testing.TB, s fs.Store, view *fs.Schema, keys ...fs.Key) []*fs.Record {
	t.Helper()
	lookups := []fs.Lookup{{View: view, Features: []int{0}, Keys: keys, Rows: make([]*fs.Record, len(keys))}}
	require.NoError(t, s.Read(t.Context(), lookups))
	require.Nil(t, lookups[0].Errs)
	return lookups[0].Rows
}

func open(t testing.TB, cfg memstore.Config) *memstore.Store {
	t.Helper()
	s, err := memstore.New(cfg)
	require.NoError(t, err)
	return s
}
