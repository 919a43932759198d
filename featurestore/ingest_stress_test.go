package featurestore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// Senders, flushes, readers of positions and a Close at the same time: every row that was accepted has one end.
func TestIngestConcurrentUse(t *testing.T) {
	view, _ := streamViews(t)
	for _, shutdown := range []bool{true, false} {
		var calls atomic.Int64
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error {
			if calls.Add(1)%3 == 0 {
				return errStore
			}
			return nil
		}}
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{
			MaxSize: 7, MaxQueue: 30, MaxWait: time.Microsecond, Backoff: time.Microsecond, MaxBackoff: time.Millisecond,
		}, dead.option())
		var accepted, stored, failed atomic.Int64
		var senders sync.WaitGroup
		for g := range int64(4) {
			senders.Go(func() {
				for i := range int64(400) {
					err := in.SendAck(context.Background(), streamRow(view, i%20, 1+g*1000+i), func(err error) {
						if err == nil {
							stored.Add(1)
						} else {
							failed.Add(1)
						}
					})
					if err == nil {
						accepted.Add(1)
					} else if !errors.Is(err, fs.ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		source := in.Source()
		senders.Go(func() {
			last := int64(0)
			for i := range int64(400) {
				if source.Send(context.Background(), i+1, streamRow(view, i%20, 5000+i)) == nil {
					accepted.Add(1)
					stored.Add(1)
				}
				position, _ := source.Position()
				if position < last {
					t.Error("the position went back")
				}
				last = position
				if i%50 == 0 {
					_ = in.Flush(context.Background())
				}
			}
		})
		if shutdown {
			senders.Wait()
			require.NoError(t, in.Shutdown(context.Background()))
			position, _ := source.Position()
			require.EqualValues(t, 400, position)
		} else {
			for calls.Load() < 50 {
				require.NoError(t, in.Flush(context.Background()))
			}
		}
		_ = in.Close()
		senders.Wait()
		for _, d := range dead.get() {
			if d.Source != nil {
				stored.Add(-1)
				failed.Add(1)
			}
		}
		require.Equal(t, accepted.Load(), stored.Load()+failed.Load())
		require.EqualValues(t, len(dead.get()), failed.Load())
		st := in.Stats()
		require.EqualValues(t, accepted.Load(), st.Accepted)
		require.Zero(t, st.Buffered)
	}
}
