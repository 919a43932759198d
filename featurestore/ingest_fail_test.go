package featurestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func TestIngestRetriesWithBackoffUntilStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		began := time.Now()
		var at []time.Duration
		s := &scripted{Store: streamMem(t)}
		s.onWrite = func(context.Context, []fs.Row, []fs.Outcome) error {
			if at = append(at, time.Since(began)); len(at) < 8 {
				return errStore
			}
			return nil
		}
		in := newIngest(t, s, view, fs.IngestConfig{MaxWait: 1, Backoff: time.Second, MaxBackoff: 10 * time.Second})
		defer in.Close()
		acked := false
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 1, 1), func(err error) { acked = err == nil }))
		require.NoError(t, in.Flush(t.Context()))
		require.True(t, acked)
		for i, seconds := range []int{1, 2, 4, 8, 10, 10, 10} {
			longest := time.Duration(seconds) * time.Second
			wait := at[i+1] - at[i]
			require.True(t, wait > longest/2-1 && wait <= longest, "attempt %d after %v", i+2, wait)
		}
		require.EqualValues(t, 7, in.Stats().Retried)
		require.EqualValues(t, 7, in.Stats().BatchesFailed)
	})
}

// While rows wait for their next attempt others go on: they hold no place.
func TestIngestRowsThatFailDoNotBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		s.onWrite = func(_ context.Context, rows []fs.Row, _ []fs.Outcome) error {
			if rows[0].Key == fs.IntKey(1) {
				return errStore
			}
			return nil
		}
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 1, MaxQueue: 10, Concurrency: 1, Backoff: time.Hour, MaxBackoff: time.Hour})
		send(t, in, streamRow(view, 1, 1), streamRow(view, 2, 1))
		synctest.Wait()
		require.Equal(t, []int64{0, 1}, events(t, s, view, 1, 2))
		require.Equal(t, 1, in.Stats().Retrying)
		require.Error(t, in.Close())
	})
}

func TestIngestDeadLetterAfterMaxAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error { return errStore }}
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{MaxAttempts: 3}, dead.option())
		defer in.Close()
		var acks []error
		ack := func(err error) { acks = append(acks, err) }
		// Two of one key: the one that the other stands for has its attempts too, and its own end.
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 1, 1), ack))
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 1, 2), ack))
		require.NoError(t, in.Flush(t.Context()))
		require.Len(t, s.sizes(), 3)
		require.Len(t, dead.get(), 2)
		for _, d := range dead.get() {
			require.ErrorIs(t, d.Err, errStore)
			require.Equal(t, 3, d.Attempts)
		}
		require.Equal(t, []error{errStore, errStore}, acks)
		require.EqualValues(t, 2, in.Stats().DeadLetters)
	})
}

func TestIngestPanicAndGoexitOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		calls := 0
		s := &scripted{Store: streamMem(t)}
		s.onWrite = func(_ context.Context, _ []fs.Row, outcomes []fs.Outcome) error {
			switch calls++; calls {
			case 1:
				outcomes[0] = fs.Written // not to be believed
				panic(errStore)
			case 2:
				goexit()
			}
			return nil
		}
		in := newIngest(t, s, view, fs.IngestConfig{Concurrency: 1})
		send(t, in, streamRow(view, 1, 1))
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, 3, calls)
		require.Equal(t, []int64{1}, events(t, s, view, 1))
		require.NoError(t, in.Close())
	})
}

// A callback that ends its goroutine takes no other row's end away, and the batch's place is free again.
func TestIngestGoexitOfCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t), onWrite: func(_ context.Context, rows []fs.Row, _ []fs.Outcome) error {
			if rows[0].Record.EventNanos() == 666 {
				return errStore
			}
			return nil
		}}
		handed := 0
		in := newIngest(t, s, view, fs.IngestConfig{Concurrency: 1, MaxAttempts: 1}, fs.WithDeadLetter(func(fs.DeadLetter) { handed++; goexit() }))
		source := in.Source()
		acked := 0
		ack := func(error) { acked++; goexit() }
		for i := range int64(3) {
			require.NoError(t, in.SendAck(t.Context(), streamRow(view, i, 5), ack))
		}
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, 3, acked)
		require.NoError(t, source.Send(t.Context(), 1, streamRow(view, 1, 700)))
		require.NoError(t, in.Flush(t.Context()))
		require.NoError(t, source.Send(t.Context(), 2, streamRow(view, 1, 666)))
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 2, 666), ack))
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, 2, handed)
		require.Equal(t, 4, acked)
		position, _ := source.Position()
		require.EqualValues(t, 1, position, "the hook has not returned: nobody says that it has the row")
		require.NoError(t, in.Close())
	})
}

func TestIngestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		calls := 0
		s := &scripted{Store: streamMem(t), onWrite: func(ctx context.Context, _ []fs.Row, _ []fs.Outcome) error {
			if calls++; calls == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		in := newIngest(t, s, view, fs.IngestConfig{WriteTimeout: time.Second})
		defer in.Close()
		began := time.Now()
		send(t, in, streamRow(view, 1, 1))
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, 2, calls)
		require.Less(t, time.Since(began), 2*time.Second)
	})
}

func TestIngestStoreWithoutOutcome(t *testing.T) {
	view, _ := streamViews(t)
	var dead letters
	in := newIngest(t, silent{}, view, fs.IngestConfig{MaxAttempts: 1}, dead.option())
	defer in.Close()
	send(t, in, streamRow(view, 1, 1))
	require.NoError(t, in.Flush(t.Context()))
	require.ErrorIs(t, dead.get()[0].Err, fs.ErrNoOutcome)
}

type silent struct{ fs.Store }

func (silent) Write(context.Context, *fs.Schema, []fs.Row, []fs.Outcome) error { return nil }
