package redisstore_test

import (
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
	"github.com/scalable-ai/patterns/featurestore/storetest"
	"github.com/scalable-ai/patterns/internal/redistest"
)

// fresh empties the servers before each part of the suite.
func fresh(client rueidis.Client, config redisstore.Config, servers ...*redistest.Server) func(t *testing.T) featurestore.Store {
	return func(t *testing.T) featurestore.Store {
		for _, s := range servers {
			s.Do(t, "FLUSHALL")
		}
		store, err := redisstore.New(client, config)
		require.NoError(t, err)
		return store
	}
}

func TestConformance(t *testing.T) {
	server := redistest.Start(t)
	client := connect(t, rueidis.ClientOption{InitAddress: []string{server.Addr}})
	storetest.Run(t, fresh(client, redisstore.Config{}, server), storetest.WithRounds(300))
}

func TestConformanceOfACluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	client := connect(t, rueidis.ClientOption{InitAddress: cluster.Addrs()})
	masters := cluster.Nodes[:cluster.Masters]
	for name, config := range map[string]redisstore.Config{"": {}, "waiting for a replica": {Replicas: 1}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, fresh(client, config, masters...), storetest.WithRounds(100))
		})
	}
}

func TestConformanceWithASentinel(t *testing.T) {
	sentinel := redistest.StartSentinel(t)
	client := connect(t, rueidis.ClientOption{
		InitAddress: []string{sentinel.Addr}, Sentinel: rueidis.SentinelOption{MasterSet: sentinel.Name},
	})
	storetest.Run(t, fresh(client, redisstore.Config{Replicas: 1}, sentinel.Master), storetest.WithRounds(100))
}
