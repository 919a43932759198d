package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/redisstore"
)

// TestAServerWithoutMemory refuses writes for now; that is no fault of the row.
func TestAServerWithoutMemory(t *testing.T) {
	store, server := open(t, redisstore.Config{})
	client := connect(t, rueidis.ClientOption{InitAddress: []string{server.Addr}})
	schema := view(t, "v", time.Hour, number)
	r := row(t, schema, fs.IntKey(1), time.Now(), fs.Int64Value(1))
	limit := func(bytes string) {
		require.NoError(t, client.Do(t.Context(), client.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", bytes).Build()).Error())
	}
	limit("1")
	outcomes := make([]fs.Outcome, 1)
	err := store.Write(t.Context(), schema, []fs.Row{r}, outcomes)
	require.ErrorIs(t, err, redisstore.ErrUnavailable)
	assert.Equal(t, []fs.Outcome{fs.Failed}, outcomes)
	limit("0")
	assert.Equal(t, []fs.Outcome{fs.Written}, write(t, store, schema, r))
}
