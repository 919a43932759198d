package redisstore_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// reader reads the whole view of a bench.
func (b *bench) reader(tb testing.TB) *fs.Reader {
	tb.Helper()
	registry, err := fs.NewRegistry("p")
	require.NoError(tb, err)
	require.NoError(tb, registry.Apply(fs.Definitions{
		Project: "p", Entities: []fs.Entity{driver}, Views: []fs.View{b.schema.View()},
		Services: []fs.Service{{Name: "s", Version: 1, Features: []string{"v:*"}}},
	}))
	online, err := fs.New(b.store, registry, fs.Config{})
	require.NoError(tb, err)
	reader, err := online.Reader("s", 0)
	require.NoError(tb, err)
	return reader
}

// A matrix is filled from records whose memory is used again.
func TestMatrixHasNothingOfAnEarlierOne(t *testing.T) {
	b := newBench(t, 3, 4)
	reader := b.reader(t)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("driver_id", 0, 1, 2)}}
	var m fs.Matrix
	require.NoError(t, reader.Matrix(t.Context(), req, &m))
	assert.Equal(t, []float32{0, 0, 0, 0, 0, 1, 2, 3, 0, 2, 4, 6}, m.Data)
	assert.NotContains(t, m.Present, false)

	require.NoError(t, b.store.Delete(t.Context(), b.schema, b.keys[:1]))
	write(t, b.store, b.schema, row(t, b.schema, b.keys[1], time.Now().Add(time.Second), fs.Value{}, fs.Float32Value(7)))
	require.NoError(t, reader.Matrix(t.Context(), req, &m))
	assert.Equal(t, []bool{false, false, false, false, false, true, false, false, true, true, true, true}, m.Present)
	for i, x := range m.Data {
		assert.Equal(t, !m.Present[i], math.IsNaN(float64(x)), i)
	}
	assert.Equal(t, float32(7), m.Data[5])
	assert.Equal(t, []float32{0, 2, 4, 6}, m.Row(2))
}

// The values of 100 rows with 50 features are 20 kB; what a matrix takes beside the client is less, for there are no new records.
func TestMatrixMakesNoRecords(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newBench(t, 100, 50)
	reader := b.reader(t)
	ids := make([]int64, 100)
	for i := range ids {
		ids[i] = int64(i)
	}
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("driver_id", ids...)}}
	var m fs.Matrix
	least := math.Inf(1) // the client's pools miss now and then, for a whole round
	for range 5 {
		matrix := bytesPerRun(50, func() {
			if err := reader.Matrix(context.Background(), req, &m); err != nil {
				t.Fatal(err)
			}
		})
		least = min(least, matrix-bytesPerRun(50, func() { b.raw(t) }))
	}
	assert.Less(t, least, 14e3)
}

// bytesPerRun is how many bytes f allocates on average.
func bytesPerRun(runs int, f func()) float64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(runs)
}
