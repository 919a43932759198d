package featurestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// stuck is a store whose writes wait for the end of their context.
func stuck(t testing.TB) *scripted {
	return &scripted{Store: streamMem(t), onWrite: func(ctx context.Context, _ []fs.Row, _ []fs.Outcome) error {
		<-ctx.Done()
		return ctx.Err()
	}}
}

func TestIngestBufferIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := stuck(t)
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{MaxQueue: 4, MaxSize: 2}, dead.option())
		for i := range int64(4) {
			send(t, in, streamRow(view, i, 1))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		results := make(chan error, 2)
		go func() { results <- in.Send(ctx, streamRow(view, 9, 1)) }()
		go func() { results <- in.Send(t.Context(), streamRow(view, 9, 1)) }()
		synctest.Wait()
		require.Equal(t, 4, in.Stats().Buffered)
		cancel(errStore)
		require.Equal(t, errStore, <-results)
		require.Error(t, in.Close())
		require.Equal(t, fs.ErrClosed, <-results)
		require.Len(t, dead.get(), 4)
		require.EqualValues(t, 2, in.Stats().Rejected)

		in = newIngest(t, stuck(t), view, fs.IngestConfig{MaxQueue: 2, RejectWhenFull: true})
		require.ErrorIs(t, in.Source().Send(t.Context(), 1, streamRow(view, 1, 1), streamRow(view, 2, 1), streamRow(view, 3, 1)), fs.ErrQueueFull)
		send(t, in, streamRow(view, 1, 1), streamRow(view, 2, 1))
		require.Equal(t, fs.ErrQueueFull, in.Send(t.Context(), streamRow(view, 3, 1)))
		require.Error(t, in.Close())
	})
}

func TestIngestRoomIsFreedByTheEndOfRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		in := newIngest(t, streamMem(t), view, fs.IngestConfig{MaxQueue: 2, MaxAttempts: 1})
		for i := range int64(10) {
			send(t, in, streamRow(view, i, 1))
		}
		require.NoError(t, in.Shutdown(t.Context()))
		require.EqualValues(t, 10, in.Stats().Written)
		require.Equal(t, fs.ErrClosed, in.Send(t.Context(), streamRow(view, 1, 1)))
	})
}

func TestIngestCloseHandsOverWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		s.onWrite = func(ctx context.Context, rows []fs.Row, outcomes []fs.Outcome) error {
			switch rows[0].Key {
			case fs.IntKey(1): // is stored after all
				<-ctx.Done()
				return s.Store.Write(context.WithoutCancel(ctx), view, rows, outcomes)
			case fs.IntKey(2): // runs
				<-ctx.Done()
				return context.Cause(ctx)
			case fs.IntKey(3): // will be tried again
				return errStore
			}
			return nil
		}
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 1, Concurrency: 3, MaxQueue: 10}, dead.option())
		source := in.Source()
		acks := make([]error, 0)
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 3, 1), func(err error) { acks = append(acks, err) }))
		synctest.Wait()
		for i, key := range []int64{5, 1, 2, 2, 4} { // the last waits for a place
			require.NoError(t, source.Send(t.Context(), int64(i), streamRow(view, key, int64(i+1))))
			synctest.Wait()
		}
		closed := make(chan error)
		for range 2 {
			go func() { closed <- in.Close() }()
		}
		err := <-closed
		require.Same(t, err, <-closed)
		require.ErrorIs(t, err, fs.ErrClosed)
		var unstored *fs.UnstoredError
		require.ErrorAs(t, err, &unstored)
		keys := func(rows []fs.Row) (keys []fs.Key) {
			for _, r := range rows {
				keys = append(keys, r.Key)
			}
			return keys
		}
		want := []fs.Key{fs.IntKey(3), fs.IntKey(2), fs.IntKey(2), fs.IntKey(4)}
		require.Equal(t, want, keys(unstored.Rows))
		var rows []fs.Row
		for _, d := range dead.get() {
			require.ErrorIs(t, d.Err, fs.ErrClosed)
			rows = append(rows, d.Row)
		}
		require.Equal(t, want, keys(rows))
		require.ErrorIs(t, dead.all[0].Err, errStore)
		require.Len(t, acks, 1)
		require.ErrorIs(t, acks[0], fs.ErrClosed)
		require.Equal(t, []int64{2, 0, 0, 0, 1}, events(t, s, view, 1, 2, 3, 4, 5))
		position, ok := source.Position()
		require.True(t, ok)
		require.EqualValues(t, 1, position, "the rows after it are to be read again")
		require.Same(t, err, in.Flush(t.Context()))
		require.Zero(t, in.Stats().Buffered)
	})
}

func TestIngestShutdownGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error {
			time.Sleep(2 * time.Second)
			return nil
		}}
		in := newIngest(t, s, view, fs.IngestConfig{MaxWait: time.Hour})
		send(t, in, streamRow(view, 1, 1))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStore)
		defer cancel()
		require.Equal(t, errStore, in.Flush(ctx), "it does not wait for the batch to fill, and not for ever")
		require.Equal(t, errStore, in.Shutdown(ctx))
		require.Equal(t, fs.ErrClosed, in.Send(t.Context(), streamRow(view, 1, 1)))
		require.NoError(t, in.Shutdown(t.Context()), "the row has gone on")
		require.Equal(t, []int64{1}, events(t, s, view, 1))
		require.NoError(t, in.Close())
		require.NoError(t, in.Shutdown(t.Context()))
	})
}

func TestIngestFlushWaitsForWhatWasThereOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		in := newIngest(t, s, view, fs.IngestConfig{MaxWait: time.Hour})
		require.NoError(t, in.Flush(t.Context()))
		send(t, in, streamRow(view, 1, 1))
		require.NoError(t, in.Flush(t.Context()))
		began := time.Now()
		send(t, in, streamRow(view, 2, 1))
		synctest.Wait()
		require.Len(t, s.sizes(), 1)
		require.NoError(t, in.Shutdown(t.Context()))
		require.Zero(t, time.Since(began))
	})
}

// A panic in a callback goes to the caller whose goroutine it is on, and takes no other row's end away.
func TestIngestPanicOfTheDeadLetterHookInClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		handed := 0
		in := newIngest(t, stuck(t), view, fs.IngestConfig{}, fs.WithDeadLetter(func(fs.DeadLetter) {
			if handed++; handed == 1 {
				panic("hook")
			}
		}))
		send(t, in, streamRow(view, 1, 1), streamRow(view, 2, 1), streamRow(view, 3, 1))
		require.PanicsWithValue(t, "hook", func() { _ = in.Close() })
		require.Equal(t, 3, handed)
		require.ErrorIs(t, in.Close(), fs.ErrClosed)
		require.Zero(t, in.Stats().Buffered)
	})
}

func TestSourcePositionIsContiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		release := map[fs.Key]chan error{}
		for i := range int64(6) {
			release[fs.IntKey(i)] = make(chan error)
		}
		s := &scripted{Store: streamMem(t), onWrite: func(_ context.Context, rows []fs.Row, _ []fs.Outcome) error { return <-release[rows[0].Key] }}
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 1, Concurrency: 10, MaxAttempts: 1, MaxQueue: 10}, dead.option())
		source, other := in.Source(), in.Source()
		_, ok := source.Position()
		require.False(t, ok)
		at := func(want int64) {
			t.Helper()
			synctest.Wait()
			position, ok := source.Position()
			require.True(t, ok)
			require.Equal(t, want, position)
		}
		ctx := t.Context()
		require.NoError(t, other.Send(ctx, 1, streamRow(view, 0, 1)))
		require.NoError(t, source.Send(ctx, 5))
		at(5)
		require.NoError(t, source.Send(ctx, 10, streamRow(view, 1, 1), streamRow(view, 2, 1)))
		require.NoError(t, source.Send(ctx, 20, streamRow(view, 3, 1)))
		require.NoError(t, source.Send(ctx, 30))
		require.ErrorIs(t, source.Send(ctx, 30, streamRow(view, 4, 1)), fs.ErrPosition)
		require.ErrorIs(t, source.Send(ctx, 31, fs.Row{}), fs.ErrRow)
		require.NoError(t, source.Send(ctx, 40, streamRow(view, 4, 1)))
		at(5)
		release[fs.IntKey(3)] <- nil
		at(5)
		release[fs.IntKey(1)] <- nil
		at(5)
		release[fs.IntKey(2)] <- errStore // a dead letter is done too
		at(30)
		require.Len(t, dead.get(), 1)
		release[fs.IntKey(4)] <- nil
		at(40)
		_, ok = other.Position()
		require.False(t, ok)
		release[fs.IntKey(0)] <- nil
		require.NoError(t, in.Shutdown(ctx))
	})
}

func TestSourcePositionStopsBeforeARowThatNobodyHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t), onWrite: func(_ context.Context, rows []fs.Row, _ []fs.Outcome) error {
			if rows[0].Key == fs.IntKey(2) {
				return errStore
			}
			return nil
		}}
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 1, MaxAttempts: 1})
		source, first := in.Source(), in.Source()
		for i := range int64(5) {
			require.NoError(t, source.Send(t.Context(), i, streamRow(view, i, 1)))
		}
		require.NoError(t, first.Send(t.Context(), 7, streamRow(view, 2, 1)))
		require.NoError(t, in.Shutdown(t.Context()))
		position, ok := source.Position()
		require.True(t, ok)
		require.EqualValues(t, 1, position)
		_, ok = first.Position()
		require.False(t, ok)
	})
}

// What fails because Close ends its context has not used up its attempts: it is a row that Close has found.
func TestIngestCloseIsNoFailedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		var dead letters
		in := newIngest(t, stuck(t), view, fs.IngestConfig{MaxAttempts: 1}, dead.option())
		source := in.Source()
		require.NoError(t, source.Send(t.Context(), 1, streamRow(view, 1, 1)))
		time.Sleep(time.Second)
		var unstored *fs.UnstoredError
		require.ErrorAs(t, in.Close(), &unstored)
		require.Len(t, unstored.Rows, 1)
		require.ErrorIs(t, dead.get()[0].Err, fs.ErrClosed)
		_, ok := source.Position()
		require.False(t, ok)
	})
}

// Who waits for room is not kept waiting by a Shutdown that takes its time.
func TestIngestShutdownRejectsThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		in := newIngest(t, stuck(t), view, fs.IngestConfig{MaxQueue: 1})
		send(t, in, streamRow(view, 1, 1))
		waited := make(chan error, 1)
		go func() { waited <- in.Send(context.Background(), streamRow(view, 2, 1)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		var after time.Duration
		var rejected error
		go func() { rejected = <-waited; after = time.Since(began) }()
		require.Error(t, in.Shutdown(ctx))
		require.Error(t, in.Close())
		synctest.Wait()
		require.Equal(t, fs.ErrClosed, rejected)
		require.Zero(t, after)
	})
}
