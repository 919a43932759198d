package redisstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// TestUsage shows the package in use. It is a test because an example cannot skip where there is no Redis.
func TestUsage(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t) // yours is there already

	registry, err := featurestore.NewRegistry("rides")
	require.NoError(t, err)
	require.NoError(t, registry.Apply(featurestore.Definitions{
		Project:  "rides",
		Entities: []featurestore.Entity{{Name: "driver", JoinKeys: []featurestore.JoinKey{{Name: "driver_id", Kind: featurestore.Int64}}}},
		Views: []featurestore.View{{
			Name: "driver_stats", Entity: "driver", TTL: featurestore.Duration(24 * time.Hour),
			Features: []featurestore.Feature{{Name: "rating", Kind: featurestore.Float32}, {Name: "trips", Kind: featurestore.Int64}},
		}},
	}))
	view, err := registry.View("driver_stats")
	require.NoError(t, err)

	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	require.NoError(t, err)
	defer client.Close()
	store, err := redisstore.New(client, redisstore.Config{Timeout: time.Second})
	require.NoError(t, err)

	record := view.NewRecord(time.Now())
	require.NoError(t, view.SetValue(record, view.Index("rating"), featurestore.Float32Value(4.5)))
	outcomes := make([]featurestore.Outcome, 1)
	require.NoError(t, store.Write(ctx, view, []featurestore.Row{{Key: featurestore.IntKey(1001), Record: record}}, outcomes))
	assert.Equal(t, featurestore.Written, outcomes[0])

	lookups := []featurestore.Lookup{{
		View: view, Features: []int{0, 1}, Keys: []featurestore.Key{featurestore.IntKey(1001), featurestore.IntKey(1002)}, Rows: make([]*featurestore.Record, 2),
	}}
	require.NoError(t, store.Read(ctx, lookups))
	assert.Equal(t, "4.5", view.Value(lookups[0].Rows[0], 0).String())
	assert.Equal(t, "null", view.Value(lookups[0].Rows[0], 1).String())
	assert.Nil(t, lookups[0].Rows[1])
}
