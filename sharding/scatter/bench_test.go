package scatter_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// memory is a shard that has its values in the process.
func memory(_ context.Context, _ sharding.Node, keys []string) ([]int, error) {
	values := make([]int, len(keys))
	for i, key := range keys {
		values[i] = len(key)
	}
	return values, nil
}

// byHand is the fan-out that one writes: a map of the keys by node, a goroutine for each, and the first error. It has no deadline for a shard, no
// partial answers and no care for duplicates.
func byHand(ctx context.Context, p sharding.Placement, keys []string) ([]int, error) {
	type part struct {
		keys   []string
		places []int
	}
	parts := map[int]*part{}
	for i, key := range keys {
		owner := p.Owner(sharding.Hash(key))
		if parts[owner] == nil {
			parts[owner] = &part{}
		}
		parts[owner].keys = append(parts[owner].keys, key)
		parts[owner].places = append(parts[owner].places, i)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	values := make([]int, len(keys))
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for owner, part := range parts {
		group.Go(func() {
			got, err := memory(ctx, p.Nodes()[owner], part.keys)
			if err != nil {
				once.Do(func() { first = err; cancel() })
				return
			}
			for i, place := range part.places {
				values[place] = got[i]
			}
		})
	}
	group.Wait()
	return values, first
}

func benchKeys() []string {
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%08d", i)
	}
	return keys
}

// BenchmarkDo asks for 100 keys of 10 shards in memory.
func BenchmarkDo(b *testing.B) {
	p, err := sharding.NewRendezvous(makeNodes(10), sharding.RendezvousConfig{})
	require.NoError(b, err)
	keys := benchKeys()
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = byHand(b.Context(), p, keys)
		}
	})
	for name, cfg := range map[string]scatter.Config{"Scatter": {}, "Scatter with ShardTimeout": {ShardTimeout: time.Minute}} {
		s, err := scatter.New(p, memory, cfg)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Do(b.Context(), keys)
			}
		})
	}
}

func TestDoAllocatesLessThanByHand(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, err := sharding.NewRendezvous(makeNodes(10), sharding.RendezvousConfig{})
	require.NoError(t, err)
	s, err := scatter.New(p, memory, scatter.Config{})
	require.NoError(t, err)
	keys := benchKeys()
	hand := testing.AllocsPerRun(200, func() { _, _ = byHand(t.Context(), p, keys) })
	ours := testing.AllocsPerRun(200, func() { _, _ = s.Do(t.Context(), keys) })
	t.Logf("by hand %v, Do %v", hand, ours)
	assert.Less(t, ours, hand)
	// Ten slices of fetch, ten goroutines, the keys and the values; one more now and then, when the collector has emptied the pool.
	assert.LessOrEqual(t, ours, 24.0)
}
