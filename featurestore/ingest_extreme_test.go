package featurestore_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

const forever = time.Duration(math.MaxInt64)

// A row that may wait for ever waits; it does not go at once because the sum has no room.
func TestIngestMaxAgeOfForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 3, MaxWait: forever, WriteTimeout: forever, MaxFuture: forever, AllowedLateness: forever})
		defer in.Close()
		time.Sleep(time.Second)
		send(t, in, streamRow(view, 1, 1), streamRow(view, 2, 1))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Empty(t, s.sizes(), "no batch is full")
		send(t, in, streamRow(view, 3, 1))
		synctest.Wait()
		require.Equal(t, []int{3}, s.sizes())
		send(t, in, streamRow(view, 4, 1))
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, []int{3, 1}, s.sizes())
	})
}

// The same for a row that is to be tried again.
func TestIngestBackoffOfForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error { return errStore }}
		in := newIngest(t, s, view, fs.IngestConfig{Backoff: forever, MaxBackoff: forever})
		time.Sleep(forever / 2) // the sum of this and half of the back-off has no room
		for i := range int64(20) {
			send(t, in, streamRow(view, i, 1))
			require.ErrorIs(t, in.Flush(cut(t)), errStore)
		}
		require.EqualValues(t, 20, in.Stats().Batches, "one attempt each")
		require.ErrorIs(t, in.Close(), fs.ErrClosed)
	})
}

// cut is a context that ends, with errStore, when all goroutines of the bubble wait.
func cut(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStore)
	t.Cleanup(cancel)
	return ctx
}

// What Send is given stays as it was, although the rows of an older version of the view are converted.
func TestSourceSendLeavesTheCallersRowsAlone(t *testing.T) {
	registry, err := fs.NewRegistry("test")
	require.NoError(t, err)
	user := []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}}
	features := []fs.Feature{{Name: "count", Kind: fs.Int64}}
	require.NoError(t, registry.Apply(fs.Definitions{Entities: user, Views: []fs.View{{Name: "counts", Entity: "user", Features: features}}}))
	old, err := registry.View("counts")
	require.NoError(t, err)
	features = append(features, fs.Feature{Name: "more", Kind: fs.Int64})
	require.NoError(t, registry.Apply(fs.Definitions{Entities: user, Views: []fs.View{{Name: "counts", Entity: "user", Features: features}}}))
	view, err := registry.View("counts")
	require.NoError(t, err)

	in := newIngest(t, streamMem(t), view, fs.IngestConfig{})
	rows := []fs.Row{streamRow(old, 1, 1), streamRow(old, 2, 1)}
	was := append([]fs.Row(nil), rows...)
	require.NoError(t, in.Source().Send(t.Context(), 1, rows...))
	require.NoError(t, in.Shutdown(t.Context()))
	for i := range rows {
		require.Same(t, was[i].Record, rows[i].Record)
	}
}

func TestIngestCountsWhatAnEndedContextRejects(t *testing.T) {
	view, _ := streamViews(t)
	in := newIngest(t, streamMem(t), view, fs.IngestConfig{})
	defer in.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStore)
	require.ErrorIs(t, in.Send(ctx, streamRow(view, 1, 1)), errStore)
	require.EqualValues(t, 1, in.Stats().Rejected)
	require.ErrorIs(t, in.Source().Send(ctx, 1, streamRow(view, 1, 1), streamRow(view, 2, 1)), errStore)
	require.EqualValues(t, 3, in.Stats().Rejected)
}
