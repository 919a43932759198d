package scatter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

var errShard = errors.New("shard error")

// misbehave does what the byte says; good says whether it answers, if there is time.
func misbehave(what byte, release <-chan struct{}) (good bool, delay time.Duration, f fetch) {
	delay = time.Duration(what>>3) * 100 * time.Millisecond // up to 3.1 s
	wait := func(ctx context.Context) error {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch what & 7 {
	case 0:
		return false, delay, func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) {
			return nil, errors.Join(wait(ctx), errShard)
		}
	case 1:
		return false, delay, func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) {
			_ = wait(ctx)
			panic("chaos")
		}
	case 2:
		return false, delay, func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) { return []string{}, wait(ctx) }
	case 3: // ignores its context
		return false, time.Hour, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			<-release
			return answer(ctx, n, keys)
		}
	case 4: // is too late without having noticed
		return true, delay, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			time.Sleep(delay)
			return answer(ctx, n, keys)
		}
	case 5:
		return false, delay, func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) {
			_ = wait(ctx)
			runtime.Goexit()
			return nil, nil
		}
	default:
		return true, delay, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			if err := wait(ctx); err != nil {
				return nil, err
			}
			return answer(ctx, n, keys)
		}
	}
}

// FuzzOperations has calls whose shards are slow, hang, fail and panic while the placement changes. Each call must end by its deadline, with
// answers that are right and a true account of those that are missing. With room for all shards, and no placement change, those that are in
// time must be there.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{3, 0, 10, 20, 6, 0, 1, 2, 3, 4, 5})
	f.Add([]byte{8, 2, 5, 9, 30, 255, 254, 243, 3, 4, 12, 20, 28})
	f.Add([]byte{4, 1, 0, 0, 99, 3, 3, 3, 3})
	f.Add([]byte{6, 0, 7, 15, 50, 60, 61, 62, 63, 64, 65})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 6 {
			return
		}
		synctest.Test(t, func(t *testing.T) { chaos(t, ops) })
	})
}

func chaos(t *testing.T, ops []byte) {
	shards, fanout := 1+int(ops[0]%12), int(ops[1]%5)
	shardTimeout := time.Duration(ops[2]%32)*100*time.Millisecond + 50*time.Millisecond*time.Duration(ops[2]>>7)
	deadline := time.Duration(1+ops[3]%64)*100*time.Millisecond - 30*time.Millisecond
	nkeys := int(ops[4])
	behaviours := ops[5:]
	release := make(chan struct{})
	behaviour := func(n sharding.Node) byte {
		var i int
		_, _ = fmt.Sscanf(n.Name, "shard-%d", &i)
		return behaviours[i%len(behaviours)]
	}
	before, after := makeTable(t, shards), makeTable(t, shards+2)
	s := newScatter(t, before, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
		_, _, f := misbehave(behaviour(n), release)
		return f(ctx, n, keys)
	}, scatter.Config{MaxFanout: fanout, ShardTimeout: shardTimeout})

	var callers sync.WaitGroup
	for caller := range 3 {
		callers.Go(func() {
			keys := make([]int, nkeys)
			for i := range keys {
				keys[i] = (i * (caller + 7)) % 61
			}
			p := s.Placement()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			start := time.Now()
			values, err := s.Do(ctx, keys)
			assert.LessOrEqual(t, time.Since(start), deadline)
			var missing []int
			if err != nil {
				e := partial(t, err)
				missing = e.Missing()
				assert.NotEmpty(t, missing)
				assert.Equal(t, len(slices.Compact(slices.Clone(missing))), len(missing))
			}
			check(t, p, keys, values, missing)
			for i, key := range keys {
				good, delay, _ := misbehave(behaviour(sharding.Owner(p, key)), nil)
				inTime := delay < deadline && (shardTimeout == 0 || delay < shardTimeout)
				if slices.Contains(missing, i) {
					// A place among MaxFanout may not have been free in time.
					assert.False(t, good && inTime && fanout == 0, "%d is missing", key)
				} else {
					assert.True(t, good && delay <= deadline && (shardTimeout == 0 || delay <= shardTimeout), "%d is not missing", key)
				}
			}
		})
	}
	callers.Wait()
	require.NoError(t, s.SetPlacement(after))
	close(release)
	synctest.Wait()
	time.Sleep(time.Hour) // those that sleep end
	synctest.Wait()
	st := s.Stats()
	assert.Zero(t, st.Stragglers)
	for _, n := range st.Nodes {
		assert.Zero(t, n.InFlight)
	}
	if nkeys > 0 {
		assert.Equal(t, uint64(3), st.Calls)
	}
}

func TestChaos(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		ops := make([]byte, 6+random.IntN(20))
		for i := range ops {
			ops[i] = byte(random.UintN(256))
		}
		synctest.Test(t, func(t *testing.T) { chaos(t, ops) })
	}
}

// Real goroutines: callers, shards that fail or panic, callers who leave, and placements that change.
func TestStress(t *testing.T) {
	placements := []sharding.Placement{makeTable(t, 3), makeTable(t, 8), makeTable(t, 5)}
	s := newScatter(t, placements[0], func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
		for range keys[0] % 4 {
			runtime.Gosched()
		}
		switch (keys[0] + len(keys)) % 11 {
		case 0:
			return nil, errShard
		case 1:
			panic("chaos")
		}
		return answer(ctx, n, keys)
	}, scatter.Config{MaxFanout: 3, ShardTimeout: time.Hour})
	var callers sync.WaitGroup
	for caller := range 6 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 3))
			for range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				keys := make([]int, 1+random.IntN(40))
				for i := range keys {
					keys[i] = random.IntN(50)
				}
				if random.IntN(4) == 0 {
					go func() { runtime.Gosched(); cancel() }()
				}
				values, err := s.Do(ctx, keys)
				cancel()
				var e *scatter.PartialError
				if errors.As(err, &e) {
					assert.NotEmpty(t, e.Missing())
				} else if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					continue
				}
				for i, key := range keys {
					if e == nil || !slices.Contains(e.Missing(), i) {
						assert.Regexp(t, fmt.Sprintf("^%d@shard-", key), values[i])
					} else {
						assert.Empty(t, values[i])
					}
				}
				if random.IntN(20) == 0 {
					assert.NoError(t, s.SetPlacement(placements[random.IntN(len(placements))]))
				}
			}
		})
	}
	callers.Wait()
	for s.Stats().Stragglers > 0 {
		runtime.Gosched()
	}
}
