package redisstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/internal/redistest"
)

func TestBadConfigs(t *testing.T) {
	_, err := redisstore.New(nil, redisstore.Config{})
	require.Error(t, err)
	server := redistest.Start(t)
	on(t, redisstore.Config{Timeout: time.Microsecond, Replicas: 1}, server.Addr)
	client := on(t, redisstore.Config{}, server.Addr)
	require.NotNil(t, client)
	for _, c := range []redisstore.Config{
		{KeyTTL: -1}, {Timeout: -1}, {Replicas: -1}, {ReplicaTimeout: -1},
		{KeyTTL: time.Microsecond}, {ReplicaTimeout: time.Second},
		{Replicas: 1, ReplicaTimeout: time.Microsecond}, {Replicas: 1, ReplicaTimeout: 2 * time.Second, Timeout: time.Second},
	} {
		_, err := redisstore.New(redisClient{}, c)
		assert.ErrorContains(t, err, "redisstore: Config.", "%+v", c)
	}
}

// The key lives as long as the view that needs it longest, also when a row is skipped as stale, and none of the others shortens that.
func TestKeysExpire(t *testing.T) {
	const day = 24 * time.Hour
	server := redistest.Start(t)
	schemas := define(t, "p", []fs.Entity{driver},
		fs.View{Name: "short", Entity: "driver", TTL: fs.Duration(time.Hour), Features: []fs.Feature{number}},
		fs.View{Name: "long", Entity: "driver", TTL: fs.Duration(day), Features: []fs.Feature{number}},
		fs.View{Name: "ever", Entity: "driver", Features: []fs.Feature{number}})
	short, long, ever := schemas[0], schemas[1], schemas[2]
	key := unhex(t, driverKey)
	ttl := func() time.Duration {
		ms := server.Do(t, "PTTL", key).(int64)
		if ms < 0 {
			return time.Duration(ms)
		}
		return time.Duration(ms) * time.Millisecond
	}
	near := func(want time.Duration) {
		t.Helper()
		assert.InDelta(t, want, ttl(), float64(time.Minute))
	}
	store := on(t, redisstore.Config{}, server.Addr)
	put := func(s *redisstore.Store, schema *fs.Schema, event time.Time) fs.Outcome {
		return write(t, s, schema, row(t, schema, fs.IntKey(1001), event))[0]
	}
	old := time.Now().Add(-1000 * day)

	put(store, short, old)
	near(time.Hour) // counted from the write: the row keeps out older ones
	server.Do(t, "PEXPIRE", key, "60000")
	assert.Equal(t, fs.Stale, put(store, short, old))
	near(time.Hour) // a stale row prolongs it too
	put(store, long, old)
	near(day)
	put(store, short, old.Add(1))
	near(day) // another view still needs it
	put(store, short, time.Now().Add(3*day))
	near(3*day + time.Hour) // the TTL counts from an event time that is still to come
	put(store, ever, old)
	assert.Equal(t, time.Duration(-1), ttl())
	put(store, short, old)
	assert.Equal(t, time.Duration(-1), ttl())

	server.Do(t, "FLUSHALL")
	week := on(t, redisstore.Config{KeyTTL: 7 * day}, server.Addr)
	put(week, ever, old)
	near(7 * day)
	put(week, short, old)
	near(7 * day)
	server.Do(t, "PERSIST", key) // as Feast leaves a key without key_ttl_seconds
	put(week, ever, old)
	near(7 * day)
	put(on(t, redisstore.Config{KeyTTL: time.Hour}, server.Addr), long, old)
	near(7 * day)
	server.Do(t, "DEL", key)
	put(on(t, redisstore.Config{KeyTTL: time.Hour}, server.Addr), long, old)
	near(day)
	server.Do(t, "DEL", key)
	put(store, short, time.Unix(0, 1<<63-1)) // without an overflow
	assert.Greater(t, ttl(), 90*365*day)
}
