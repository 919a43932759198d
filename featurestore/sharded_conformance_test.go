package featurestore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/storetest"
)

// A Sharded is a store like any other, with replicas and without, and so is a ReadThrough over it. Hedged reads are not: while a row is being written to its replicas, one may
// not have it after another had.
func TestShardedConformance(t *testing.T) {
	owners := fs.WithOwners(func(dst []int, hash uint64, k int) []int {
		for i := range k {
			dst = append(dst, int((hash+uint64(i))%4))
		}
		return dst
	})
	for name, c := range map[string]struct {
		cfg  fs.ShardedConfig
		opts []fs.ShardedOption
	}{
		"plain":    {cfg: fs.ShardedConfig{MaxFanout: 3}},
		"timeout":  {cfg: fs.ShardedConfig{ShardTimeout: time.Hour}},
		"replicas": {cfg: fs.ShardedConfig{Replicas: 3, HedgeAfter: time.Hour}, opts: []fs.ShardedOption{owners}},
	} {
		open := func(t *testing.T) fs.Store {
			s, err := fs.NewSharded([]fs.Store{streamMem(t), streamMem(t), streamMem(t), streamMem(t)}, func(hash uint64) int { return int(hash % 4) }, c.cfg, c.opts...)
			require.NoError(t, err)
			return s
		}
		t.Run(name, func(t *testing.T) { storetest.Run(t, open, storetest.WithRounds(300)) })
		t.Run(name+" behind a cache of another view", func(t *testing.T) {
			view, _ := streamViews(t)
			storetest.Run(t, func(t *testing.T) fs.Store {
				r, err := fs.NewReadThrough(open(t), view, func(context.Context, []fs.Key) ([]*fs.Record, error) { return nil, errors.New("not asked") })
				require.NoError(t, err)
				return r
			}, storetest.WithRounds(100))
		})
	}
}
