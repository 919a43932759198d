package boltstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

func define(view fs.View) (*fs.Schema, error) {
	registry, err := fs.NewRegistry("test")
	if err != nil {
		return nil, err
	}
	view.Entity = "user"
	err = registry.Apply(fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}}, Views: []fs.View{view},
	})
	if err != nil {
		return nil, err
	}
	return registry.View(view.Name)
}

func schema(t testing.TB, view fs.View) *fs.Schema {
	t.Helper()
	s, err := define(view)
	require.NoError(t, err)
	return s
}

func counts(t testing.TB) *fs.Schema {
	return schema(t, fs.View{Name: "counts", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}})
}

// row has the event time as the value of its first feature.
func row(view *fs.Schema, key, event int64) fs.Row {
	r := view.NewRecord(time.Unix(0, event))
	if err := view.SetValue(r, 0, fs.Int64Value(event)); err != nil {
		panic(err)
	}
	return fs.Row{Key: fs.IntKey(key), Record: r}
}

func write(t testing.TB, s fs.Store, view *fs.Schema, rows ...fs.Row) []fs.Outcome {
	t.Helper()
	outcomes := make([]fs.Outcome, len(rows))
	require.NoError(t, s.Write(t.Context(), view, rows, outcomes))
	return outcomes
}

// writeOne is for other goroutines than that of the test.
func writeOne(t testing.TB, s fs.Store, view *fs.Schema, row fs.Row) {
	outcomes := make([]fs.Outcome, 1)
	assert.NoError(t, s.Write(t.Context(), view, []fs.Row{row}, outcomes))
	assert.Equal(t, fs.Written, outcomes[0])
}

// event is the event time of a row, 0 if it is not there.
func event(t testing.TB, s fs.Store, view *fs.Schema, key int64) int64 {
	t.Helper()
	if r := read(t, s, view, key); r != nil {
		require.Equal(t, r.EventNanos(), view.Value(r, 0).Int())
		return r.EventNanos()
	}
	return 0
}

func read(t testing.TB, s fs.Store, view *fs.Schema, key int64) *fs.Record {
	t.Helper()
	lookups := []fs.Lookup{{View: view, Features: []int{0}, Keys: []fs.Key{fs.IntKey(key)}, Rows: make([]*fs.Record, 1)}}
	require.NoError(t, s.Read(t.Context(), lookups))
	require.Nil(t, lookups[0].Errs)
	return lookups[0].Rows[0]
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "features.db") }

func open(t testing.TB, path string, cfg boltstore.Config, views ...*fs.Schema) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path, cfg, views...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}
