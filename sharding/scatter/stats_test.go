package scatter_test

import (
	"context"
	"errors"
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
	assert.Equal(t, st.ShardCalls, st.ShardFailures)
	for _, n := range st.Nodes {
		assert.Equal(t, n.Calls, n.Failures, n.Node.Name)
	}
}
