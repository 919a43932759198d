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

func newIngest(t testing.TB, s fs.Store, view *fs.Schema, cfg fs.IngestConfig, opts ...fs.IngestOption) *fs.Ingest {
	t.Helper()
	in, err := fs.NewIngest(s, view, cfg, opts...)
	require.NoError(t, err)
	return in
}

func send(t testing.TB, in *fs.Ingest, rows ...fs.Row) {
	t.Helper()
	for _, r := range rows {
		require.NoError(t, in.Send(t.Context(), r))
	}
}

func TestIngestSendsAFullBatchAtOnceAndTheRestByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 3, MaxWait: time.Second})
		defer in.Close()
		for i := range int64(5) {
			send(t, in, streamRow(view, i, 100))
		}
		synctest.Wait()
		require.Equal(t, []int{3}, s.sizes())
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []int{3}, s.sizes())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []int{3, 2}, s.sizes())
		require.Equal(t, []int64{100, 100, 100, 100, 100}, events(t, s, view, 0, 1, 2, 3, 4))
		st := in.Stats()
		require.Equal(t, fs.IngestStats{Accepted: 5, Written: 5, Batches: 2, NewestEvent: time.Unix(0, 100).UTC()}, st)
	})
}

// A row that waits for its next attempt sets the timer far ahead; one that comes afterwards must not wait for that.
func TestIngestAgeOfAFreshRowIsNotThatOfARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		fail := true
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error {
			if fail {
				return errStore
			}
			return nil
		}}
		in := newIngest(t, s, view, fs.IngestConfig{MaxWait: time.Second, Backoff: time.Hour, MaxBackoff: time.Hour})
		defer in.Close()
		send(t, in, streamRow(view, 1, 1))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		fail = false
		send(t, in, streamRow(view, 2, 1))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []int64{0, 1}, events(t, s, view, 1, 2))
	})
}

func TestIngestBoundsBatchesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		release := make(chan struct{})
		s := &scripted{Store: streamMem(t), onWrite: func(context.Context, []fs.Row, []fs.Outcome) error { <-release; return nil }}
		in := newIngest(t, s, view, fs.IngestConfig{MaxSize: 1, MaxQueue: 10, Concurrency: 2})
		for i := range int64(5) {
			send(t, in, streamRow(view, i, 1))
		}
		synctest.Wait()
		require.Len(t, s.sizes(), 2)
		require.Equal(t, 2, in.Stats().InFlight)
		release <- struct{}{}
		synctest.Wait()
		require.Len(t, s.sizes(), 3)
		close(release)
		require.NoError(t, in.Shutdown(t.Context()))
		require.Len(t, s.sizes(), 5)
	})
}

func TestIngestCoalescesRowsOfOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		in := newIngest(t, s, view, fs.IngestConfig{})
		defer in.Close()
		acked := 0
		first := streamRow(view, 1, 30) // of equal event times the first counts
		for _, r := range []fs.Row{streamRow(view, 1, 10), first, streamRow(view, 1, 20), streamRow(view, 1, 30), streamRow(view, 2, 5)} {
			require.NoError(t, in.SendAck(t.Context(), r, func(err error) { require.NoError(t, err); acked++ }))
		}
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, []int{2}, s.sizes())
		require.Same(t, first.Record, s.batches[0][0].Record)
		require.Equal(t, 5, acked)
		st := in.Stats()
		require.EqualValues(t, 2, st.Written)
		require.EqualValues(t, 3, st.Superseded)
		require.Zero(t, st.Buffered)
	})
}

// What an invalid row stood for is not invalid.
func TestIngestInvalidRowDoesNotTakeOthersWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := &scripted{Store: streamMem(t)}
		s.onWrite = func(ctx context.Context, rows []fs.Row, outcomes []fs.Outcome) error {
			err := error(nil)
			for i, r := range rows {
				if r.Record.EventNanos() == 30 {
					outcomes[i], err = fs.Invalid, errStore
				} else {
					one := make([]fs.Outcome, 1)
					require.NoError(t, s.Store.Write(ctx, view, rows[i:i+1], one))
					outcomes[i] = one[0]
				}
			}
			return err
		}
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{}, dead.option())
		defer in.Close()
		send(t, in, streamRow(view, 1, 10), streamRow(view, 1, 20), streamRow(view, 1, 30), streamRow(view, 2, 7))
		require.NoError(t, in.Flush(t.Context()))
		require.Equal(t, []int64{20, 7}, events(t, s, view, 1, 2))
		require.Len(t, dead.get(), 1)
		require.EqualValues(t, 30, dead.all[0].Row.Record.EventNanos())
		require.Equal(t, 1, dead.all[0].Attempts)
		require.Equal(t, fs.Invalid, dead.all[0].Outcome)
		require.ErrorIs(t, dead.all[0].Err, fs.ErrRow)
		require.ErrorIs(t, dead.all[0].Err, errStore)
	})
}

func TestIngestRefusesRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, other := streamViews(t)
		in := newIngest(t, streamMem(t), view, fs.IngestConfig{MaxFuture: time.Minute})
		defer in.Close()
		now := time.Now()
		at := func(event time.Time) fs.Row { return fs.Row{Key: fs.IntKey(1), Record: view.NewRecord(event)} }
		for name, c := range map[string]struct {
			row  fs.Row
			want error
		}{
			"no record":         {fs.Row{Key: fs.IntKey(1)}, fs.ErrRow},
			"of another view":   {fs.Row{Key: fs.IntKey(1), Record: other.NewRecord(now)}, fs.ErrRow},
			"no event time":     {at(time.Time{}), fs.ErrRow},
			"event time 0":      {at(time.Unix(0, 0)), fs.ErrRow},
			"too far ahead":     {at(now.Add(time.Minute + 1)), fs.ErrRow},
			"key of another":    {fs.Row{Key: fs.StringKey("x"), Record: view.NewRecord(now)}, fs.ErrKey},
			"just about future": {at(now.Add(time.Minute)), nil},
		} {
			require.ErrorIs(t, in.Send(t.Context(), c.row), c.want, name)
		}
		require.EqualValues(t, 6, in.Stats().Rejected)
		require.EqualValues(t, 1, in.Stats().Accepted)
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errStore)
		require.Equal(t, errStore, in.Send(gone, at(now)))
		require.Equal(t, errStore, in.Flush(gone))
	})
}

func TestIngestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		s := streamMem(t)
		var dead letters
		in := newIngest(t, s, view, fs.IngestConfig{AllowedLateness: 10, DropLate: true}, dead.option())
		source := in.Source()
		require.NoError(t, source.Send(t.Context(), 1, streamRow(view, 1, 100), streamRow(view, 2, 90), streamRow(view, 3, 89)))
		require.Len(t, dead.get(), 1, "handed over before Send has returned")
		require.ErrorIs(t, dead.all[0].Err, fs.ErrLate)
		require.Same(t, source, dead.all[0].Source)
		require.EqualValues(t, 1, dead.all[0].Position)
		var late error
		require.NoError(t, in.SendAck(t.Context(), streamRow(view, 4, -1<<62), func(err error) { late = err }))
		require.Equal(t, fs.ErrLate, late)
		require.NoError(t, in.Shutdown(t.Context()))
		require.Equal(t, []int64{100, 90, 0, 0}, events(t, s, view, 1, 2, 3, 4))
		position, ok := source.Position()
		require.True(t, ok && position == 1)
		require.EqualValues(t, 2, in.Stats().Late)

		in = newIngest(t, s, view, fs.IngestConfig{})
		send(t, in, streamRow(view, 5, 50), streamRow(view, 6, 50), streamRow(view, 7, 49))
		require.NoError(t, in.Shutdown(t.Context()))
		require.EqualValues(t, 1, in.Stats().Late)
		require.Equal(t, []int64{50, 50, 49}, events(t, s, view, 5, 6, 7))
	})
}

func TestIngestConfigErrors(t *testing.T) {
	view, _ := streamViews(t)
	s := streamMem(t)
	for name, cfg := range map[string]fs.IngestConfig{
		"MaxSize":           {MaxSize: -1},
		"MaxWait":           {MaxWait: -1},
		"Concurrency":       {Concurrency: -1},
		"MaxQueue":          {MaxQueue: -1},
		"less than":         {MaxSize: 10, MaxQueue: 9},
		"WriteTimeout":      {WriteTimeout: -1},
		"MaxAttempts":       {MaxAttempts: -1},
		"Backoff":           {Backoff: -1},
		"MaxBackoff":        {Backoff: 2, MaxBackoff: 1},
		"MaxFuture":         {MaxFuture: -1},
		"AllowedLateness":   {AllowedLateness: -1},
		"needs Allowed":     {DropLate: true},
		"needs WithDeadLet": {DropLate: true, AllowedLateness: 1},
	} {
		_, err := fs.NewIngest(s, view, cfg)
		require.ErrorContains(t, err, name)
	}
	for _, err := range []error{
		second(fs.NewIngest(nil, view, fs.IngestConfig{})),
		second(fs.NewIngest(s, nil, fs.IngestConfig{})),
		second(fs.NewIngest(s, view, fs.IngestConfig{}, nil)),
		second(fs.NewIngest(s, view, fs.IngestConfig{}, fs.WithDeadLetter(nil))),
	} {
		require.Error(t, err)
	}
	for _, cfg := range []fs.IngestConfig{{MaxQueue: 3}, {MaxSize: math.MaxInt}, {Backoff: time.Hour}, {MaxBackoff: 1}} {
		in, err := fs.NewIngest(s, view, cfg)
		require.NoError(t, err)
		send(t, in, streamRow(view, 1, 1))
		require.NoError(t, in.Shutdown(t.Context()))
		require.NoError(t, in.Close())
	}
}

func second[T any](_ T, err error) error { return err }
