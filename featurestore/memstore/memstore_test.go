package memstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

func TestConfigs(t *testing.T) {
	for name, cfg := range map[string]memstore.Config{
		"MaxRows": {MaxRows: -1}, "MaxBytes": {MaxBytes: -1}, "Shards": {Shards: -1}, "more than": {Shards: memstore.MaxShards + 1},
	} {
		_, err := memstore.New(cfg)
		assert.ErrorContains(t, err, name)
	}
	for _, cfg := range []memstore.Config{{}, {Shards: 1}, {Shards: 3}, {MaxRows: 1}, {MaxBytes: 1}} {
		s := open(t, cfg)
		view := counts(t, 0)
		for i := range int64(100) {
			write(t, s, view, row(t, view, fs.IntKey(i), 1))
		}
		assert.NotNil(t, read(t, s, view, fs.IntKey(99))[0], "%+v", cfg)
	}
}

func TestTheNewestEventTimeWins(t *testing.T) {
	s, view := open(t, memstore.Config{}), counts(t, 0)
	key := fs.IntKey(7)
	assert.Equal(t, []fs.Outcome{fs.Written, fs.Stale, fs.Written, fs.Stale},
		write(t, s, view, row(t, view, key, 5), row(t, view, key, 5), row(t, view, key, 6), row(t, view, key, 1)))
	assert.Equal(t, int64(6), read(t, s, view, key)[0].EventNanos())
	event, ok := s.EventTime(view, key)
	assert.Equal(t, int64(6), event)
	assert.True(t, ok)
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{key}))
	assert.Nil(t, read(t, s, view, key)[0])
	_, ok = s.EventTime(view, key)
	assert.False(t, ok)
	assert.Equal(t, memstore.Stats{Keys: 2, Found: 1, Written: 2, Stale: 2}, s.Stats())
}

func TestWhatDoesNotFitIsInvalid(t *testing.T) {
	s, view := open(t, memstore.Config{}), counts(t, 0)
	other := schema(t, 0, fs.Feature{Name: "name", Kind: fs.String})
	rows := []fs.Row{{Key: fs.IntKey(1)}, row(t, view, fs.IntKey(2), 1), {Key: fs.IntKey(3), Record: other.NewRecord(time.Unix(0, 1))}}
	outcomes := make([]fs.Outcome, len(rows))
	err := s.Write(t.Context(), view, rows, outcomes)
	assert.ErrorIs(t, err, fs.ErrRow)
	assert.ErrorContains(t, err, "row 0")
	assert.ErrorContains(t, err, "row 2")
	assert.Equal(t, []fs.Outcome{fs.Invalid, fs.Written, fs.Invalid}, outcomes)
	assert.Error(t, s.Write(t.Context(), view, rows, outcomes[:1]))
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.Error(t, s.Read(t.Context(), []fs.Lookup{{View: view, Keys: make([]fs.Key, 1)}}))
}

func TestAContextThatHasEnded(t *testing.T) {
	s, view := open(t, memstore.Config{}), counts(t, 0)
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	outcomes := make([]fs.Outcome, 1)
	assert.ErrorIs(t, s.Write(ctx, view, []fs.Row{row(t, view, fs.IntKey(1), 1)}, outcomes), gone)
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.ErrorIs(t, s.Read(ctx, nil), gone)
	assert.ErrorIs(t, s.Delete(ctx, view, nil), gone)
	assert.Zero(t, s.Stats().Rows)
}

func TestReadDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s, view := open(t, memstore.Config{MaxRows: 1000}), counts(t, 0)
	lookups := []fs.Lookup{{View: view, Features: []int{0}, Keys: make([]fs.Key, perCall), Rows: make([]*fs.Record, perCall)}}
	for i := range lookups[0].Keys {
		lookups[0].Keys[i] = fs.IntKey(int64(i))
		write(t, s, view, row(t, view, fs.IntKey(int64(i)), 1))
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = s.Read(context.Background(), lookups) }))
	assert.NotContains(t, lookups[0].Rows, (*fs.Record)(nil))
}
