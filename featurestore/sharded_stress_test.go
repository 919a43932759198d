package featurestore_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// wild is a store that may do anything to a call: fail, take its time and heed its context or not, panic, end its goroutine. Whatever it does, what it
// has been given is its own until it returns.
type wild struct{ fs.Store }

func (w wild) act(ctx context.Context) error {
	switch rand.IntN(12) {
	case 0:
		return errStore
	case 1:
		panic(errStore)
	case 2:
		runtime.Goexit()
	case 3, 4:
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // does not heed it
	case 5:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
		}
	}
	return nil
}

func (w wild) Read(ctx context.Context, lookups []fs.Lookup) error {
	if err := w.act(ctx); err != nil {
		return err
	}
	for i := range lookups {
		if rand.IntN(8) == 0 && len(lookups[i].Keys) > 0 {
			lookups[i].Fail(rand.IntN(len(lookups[i].Keys)), errStore)
		}
	}
	return w.Store.Read(context.WithoutCancel(ctx), lookups)
}

func (w wild) Write(ctx context.Context, view *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
	if err := w.act(ctx); err != nil {
		return err
	}
	return w.Store.Write(context.WithoutCancel(ctx), view, rows, outcomes)
}

func (w wild) Delete(ctx context.Context, view *fs.Schema, keys []fs.Key) error {
	if err := w.act(ctx); err != nil {
		return err
	}
	return w.Store.Delete(context.WithoutCancel(ctx), view, keys)
}

// No row is ever another key's or another view's, none is both there and failed, and nothing that is late touches what the caller has: the race detector
// looks for that.
func TestShardedOverWildStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts, other := streamViews(t)
		const keys, n = 40, 5
		_, stores := cluster(t, n)
		_, owners := byKey(counts, n)
		calm, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 3}, fs.WithOwners(owners))
		require.NoError(t, err)
		writeAll(t, calm, counts, keys)
		writeAll(t, calm, other, keys)
		for i := range stores {
			stores[i] = wild{stores[i]}
		}
		s, err := fs.NewSharded(stores, nil, fs.ShardedConfig{
			Replicas: 3, WriteQuorum: 2, ShardTimeout: 10 * time.Millisecond, HedgeAfter: 5 * time.Millisecond, HedgeBudget: 1, MaxFanout: 2,
		}, fs.WithOwners(owners))
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 300 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rand.IntN(60))*time.Millisecond)
					switch rand.IntN(4) {
					case 0:
						i := rand.Int64N(keys)
						outcomes := make([]fs.Outcome, 2)
						_ = s.Write(ctx, counts, []fs.Row{streamRow(counts, i, i+100), streamRow(counts, i, i+100)}, outcomes)
						for _, o := range outcomes {
							require.Contains(t, []fs.Outcome{fs.Written, fs.Stale, fs.Failed}, o)
						}
					case 1:
						_ = s.Delete(ctx, counts, []fs.Key{fs.IntKey(keys + 1), fs.IntKey(keys + 2)})
					default:
						readWild(ctx, t, s, counts, other, keys)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		for _, shard := range s.Stats().Shards {
			require.Zero(t, shard.InFlight)
		}
	})
}

func readWild(ctx context.Context, t *testing.T, s fs.Store, counts, other *fs.Schema, keys int) {
	ids := make([]int64, 1+rand.IntN(20))
	for i := range ids {
		ids[i] = rand.Int64N(int64(keys)) // with duplicates
	}
	lookups := append(lookup(counts, ids...), lookup(other, ids...)...)
	if rand.IntN(2) == 0 {
		lookups[1].Keys = lookups[0].Keys
	}
	err := s.Read(ctx, lookups)
	for _, l := range lookups {
		for i, id := range ids {
			failed := err != nil || l.Errs != nil && l.Errs[i] != nil
			if r := l.Rows[i]; !failed {
				require.NotNil(t, r)
				require.Equal(t, id+100, r.EventNanos())
				require.Equal(t, fs.Int64Value(id+100), l.View.Value(r, 0))
			}
		}
	}
	clear(lookups[0].Keys) // they are the caller's again
}
