package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

var allKinds = []fs.Feature{
	{Name: "int64", Kind: fs.Int64},
	{Name: "float64", Kind: fs.Float64},
	{Name: "float32", Kind: fs.Float32},
	{Name: "bool", Kind: fs.Bool},
	{Name: "string", Kind: fs.String},
	{Name: "bytes", Kind: fs.Bytes},
	{Name: "timestamp", Kind: fs.Timestamp},
	{Name: "vector", Kind: fs.Vector, Dim: 3},
	{Name: "int32", Kind: fs.Int32},
}

var driver = fs.Entity{Name: "driver", JoinKeys: []fs.JoinKey{{Name: "driver_id", Kind: fs.Int64}}}

// define makes the schemas of views, in their order.
func define(tb testing.TB, project string, entities []fs.Entity, views ...fs.View) []*fs.Schema {
	tb.Helper()
	registry, err := fs.NewRegistry(project)
	require.NoError(tb, err)
	require.NoError(tb, registry.Apply(fs.Definitions{Project: project, Entities: entities, Views: views}))
	schemas := make([]*fs.Schema, len(views))
	for i, v := range views {
		schemas[i], err = registry.View(v.Name)
		require.NoError(tb, err)
	}
	return schemas
}

// view makes one view of drivers in project p.
func view(tb testing.TB, name string, ttl time.Duration, features ...fs.Feature) *fs.Schema {
	tb.Helper()
	return define(tb, "p", []fs.Entity{driver}, fs.View{Name: name, Entity: "driver", TTL: fs.Duration(ttl), Features: features})[0]
}

// connect makes a client that is closed with the test.
func connect(tb testing.TB, option rueidis.ClientOption) rueidis.Client {
	tb.Helper()
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	require.NoError(tb, err)
	tb.Cleanup(client.Close)
	return client
}

// open starts a server and a store on it.
func open(tb testing.TB, config redisstore.Config) (*redisstore.Store, *redistest.Server) {
	tb.Helper()
	server := redistest.Start(tb)
	return on(tb, config, server.Addr), server
}

func on(tb testing.TB, config redisstore.Config, addrs ...string) *redisstore.Store {
	tb.Helper()
	store, err := redisstore.New(connect(tb, rueidis.ClientOption{InitAddress: addrs}), config)
	require.NoError(tb, err)
	return store
}

// row is a row whose features have these values; null where there are none.
func row(tb testing.TB, schema *fs.Schema, key fs.Key, event time.Time, values ...fs.Value) fs.Row {
	tb.Helper()
	r := schema.NewRecord(event)
	for i, v := range values {
		require.NoError(tb, schema.SetValue(r, i, v))
	}
	return fs.Row{Key: key, Record: r}
}

func write(tb testing.TB, store fs.Store, schema *fs.Schema, rows ...fs.Row) []fs.Outcome {
	tb.Helper()
	outcomes := make([]fs.Outcome, len(rows))
	require.NoError(tb, store.Write(tb.Context(), schema, rows, outcomes))
	return outcomes
}

// lookup wants all features of a view.
func lookup(schema *fs.Schema, keys ...fs.Key) fs.Lookup {
	l := fs.Lookup{View: schema, Keys: keys, Rows: make([]*fs.Record, len(keys))}
	for i := range schema.Features() {
		l.Features = append(l.Features, i)
	}
	return l
}

func read(tb testing.TB, store fs.Store, schema *fs.Schema, keys ...fs.Key) []*fs.Record {
	tb.Helper()
	l := lookup(schema, keys...)
	require.NoError(tb, store.Read(tb.Context(), []fs.Lookup{l}))
	return l.Rows
}

func at(seconds, nanos int64) time.Time { return time.Unix(seconds, nanos).UTC() }

// redisClient is a client that is never used.
type redisClient struct{ rueidis.Client }
