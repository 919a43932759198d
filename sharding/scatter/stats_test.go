package scatter_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// Shards that were not called because the caller's context had ended have not failed.
func TestStatsCountOnlyCallsThatWereMade(t *testing.T) {
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := newScatter(t, makeTable(t, 3), func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) {
		cancel(why)
		<-ctx.Done()
		return nil, ctx.Err()
	}, scatter.Config{MaxFanout: 1})
	_, err := s.Do(ctx, makeKeys(30))
	require.ErrorIs(t, err, why)
	e := partial(t, err)
	assert.Equal(t, 3, e.Calls)
	assert.Len(t, e.Shards, 3)
	assert.Len(t, e.Missing(), 30)
	st := s.Stats()
	assert.Equal(t, st.ShardCalls, st.ShardCallsFailed)
	for _, n := range st.Nodes {
		assert.Equal(t, n.Calls, n.Failed, n.Node.Name)
	}
}

// ended is a context that has ended without its Done saying so yet.
type ended struct {
	context.Context
	yes *atomic.Bool
}

func (c ended) Err() error {
	if c.yes.Load() {
		return context.Canceled
	}
	return nil
}

// No shard is called once the caller's context has ended, though a place among MaxFanout becomes free in the same moment.
func TestNoCallAfterTheEndOfTheContext(t *testing.T) {
	ctx := ended{context.Background(), new(atomic.Bool)}
	p := makeTable(t, 3)
	s := newScatter(t, p, func(_ context.Context, n sharding.Node, keys []int) ([]string, error) {
		ctx.yes.Store(true)
		return answer(ctx, n, keys)
	}, scatter.Config{MaxFanout: 1})
	values, err := s.Do(ctx, makeKeys(30))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, uint64(1), s.Stats().ShardCalls)
	e := partial(t, err)
	assert.Len(t, e.Shards, 2)
	check(t, p, makeKeys(30), values, e.Missing())
}

// Calls that return in the moment in which they are given up do not make the gauge negative.
func TestAbandonedIsNeverNegative(t *testing.T) {
	var s *scatter.Scatter[int, string]
	s = newScatter(t, makeTable(t, 8), func(ctx context.Context, _ sharding.Node, _ []int) ([]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, scatter.Config{OnShard: func(scatter.ShardEvent) { assert.GreaterOrEqual(t, s.Stats().Stragglers, 0) }})
	for range 3000 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, err := s.Do(ctx, makeKeys(30))
		require.ErrorIs(t, err, context.Canceled)
	}
	for s.Stats().Stragglers > 0 {
		runtime.Gosched()
	}
}
