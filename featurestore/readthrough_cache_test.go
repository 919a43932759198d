package featurestore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
	fs "github.com/scalable-ai/patterns/featurestore"
)

// A read that begins after a write does not see the older row, although a load that began before is still under way.
func TestReadThroughAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		mem := streamMem(t)
		hold := make(chan struct{})
		var loads atomic.Int32
		load, err := fs.NewLoader(mem, view)
		require.NoError(t, err)
		l1, err := cache.NewBulk(func(ctx context.Context, keys []fs.Key) ([]*fs.Record, error) {
			rows, err := load(ctx, keys)
			if loads.Add(1) == 1 {
				<-hold
			}
			return rows, err
		}, cache.Config{Size: 100})
		require.NoError(t, err)
		defer l1.Close()
		s, err := fs.NewReadThrough(mem, view, l1.GetAll, fs.WithInvalidate(l1.Delete))
		require.NoError(t, err)
		outcomes := make([]fs.Outcome, 1)
		require.NoError(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 1, 1)}, outcomes))
		old := make(chan error, 1)
		go func() { old <- s.Read(context.Background(), lookup(view, 1)) }()
		time.Sleep(time.Second)
		require.EqualValues(t, 1, loads.Load())
		require.NoError(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 1, 2)}, outcomes))
		time.AfterFunc(time.Minute, func() { close(hold) })
		require.Equal(t, []int64{2}, events(t, s, view, 1))
		require.NoError(t, <-old)
		require.Equal(t, []int64{2}, events(t, s, view, 1), "what the old load has found is not kept")
	})
}
