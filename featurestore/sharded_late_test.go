package featurestore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// A store that ignores its context is left behind: its late answer goes to memory of its own, also when the Sharded is used again meanwhile.
func TestShardedTimeoutAndLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		shards, stores := cluster(t, 2)
		owner, _ := byKey(view, 2)
		s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{ShardTimeout: time.Second})
		require.NoError(t, err)
		writeAll(t, s, view, 4)
		bogus := view.NewRecord(time.Unix(0, 666))
		var slow atomic.Bool
		slow.Store(true)
		shards[1].onRead = func(_ context.Context, l []fs.Lookup) error {
			if slow.Load() {
				time.Sleep(time.Minute)
				for i := range l[0].Rows {
					l[0].Rows[i] = bogus
					l[0].Fail(i, errStore)
					l[0].Keys[i] = fs.IntKey(9)
				}
				l[0].Features[0]++
			}
			return nil
		}
		l := lookup(view, 0, 1, 2, 3)
		began := time.Now()
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, []int64{100, 0, 102, 0}, eventsOf(l[0]))
		require.ErrorIs(t, l[0].Errs[1], fs.ErrShardTimeout)
		require.ErrorIs(t, l[0].Errs[1], context.DeadlineExceeded)
		st := s.Stats()
		require.EqualValues(t, 1, st.Abandoned)
		require.EqualValues(t, 1, st.Shards[1].TimedOut)
		require.Equal(t, 1, st.Shards[1].InFlight)
		slow.Store(false)
		var again [][]fs.Lookup
		for range 5 {
			a := lookup(view, 0, 1, 2, 3)
			require.NoError(t, s.Read(t.Context(), a))
			again = append(again, a)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for _, a := range again {
			require.Equal(t, []int64{100, 101, 102, 103}, eventsOf(a[0]))
			require.Nil(t, a[0].Errs)
		}
		require.Equal(t, []int64{100, 0, 102, 0}, eventsOf(l[0]))
		require.Equal(t, fs.IntKey(1), l[0].Keys[1])
		require.Zero(t, s.Stats().Shards[1].InFlight)
	})
}

// An answer that comes at the moment of the time-out is taken or left behind; it does not turn up in another read.
func TestShardedAnswerAtTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		shards, stores := cluster(t, 3)
		owner, _ := byKey(view, 3)
		s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{ShardTimeout: time.Second})
		require.NoError(t, err)
		writeAll(t, s, view, 9)
		for _, sh := range shards {
			sh.onRead = func(context.Context, []fs.Lookup) error { time.Sleep(time.Second); return nil }
		}
		taken, left := 0, 0
		for i := range int64(600) {
			l := lookup(view, i%9, (i+1)%9, (i+2)%9)
			err := s.Read(t.Context(), l)
			for j, r := range l[0].Rows {
				switch {
				case r != nil:
					require.Equal(t, (i+int64(j))%9+100, r.EventNanos())
					taken++
				case err == nil:
					require.ErrorIs(t, l[0].Errs[j], fs.ErrShardTimeout)
					left++
				default:
					require.ErrorIs(t, err, fs.ErrShardTimeout)
					left++
				}
			}
		}
		time.Sleep(time.Second)
		t.Log(taken, left)
	})
}

func TestShardedEndOfTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		shards, stores := cluster(t, 3)
		owner, _ := byKey(view, 3)
		s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{MaxFanout: 2})
		require.NoError(t, err)
		writeAll(t, s, view, 3)
		stubborn := func(context.Context, []fs.Lookup) error { time.Sleep(time.Minute); return nil }
		shards[1].onRead = stubborn
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStore)
		defer cancel()
		l := lookup(view, 0, 1)
		began := time.Now()
		require.NoError(t, s.Read(ctx, l), "what is there counts")
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, []int64{100, 0}, eventsOf(l[0]))
		require.ErrorIs(t, l[0].Errs[1], errStore)

		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for _, sh := range shards {
			sh.onRead = stubborn
		}
		calls := func() (n uint64) {
			for _, sh := range s.Stats().Shards {
				n += sh.Calls
			}
			return n
		}
		before := calls()
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errStore)
		defer cancel()
		require.Equal(t, errStore, s.Read(ctx, lookup(view, 0, 1, 2)), "one of them has not even been called")
		require.EqualValues(t, 2, calls()-before)

		var stuckWrite atomic.Bool
		shards[0].onWrite = func(context.Context, []fs.Row, []fs.Outcome) error {
			stuckWrite.Store(true)
			time.Sleep(time.Minute)
			return nil
		}
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errStore)
		defer cancel()
		outcomes := make([]fs.Outcome, 2)
		err = s.Write(ctx, view, []fs.Row{streamRow(view, 0, 900), streamRow(view, 1, 900)}, outcomes)
		require.ErrorIs(t, err, errStore)
		require.Equal(t, []fs.Outcome{fs.Failed, fs.Written}, outcomes)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, []fs.Outcome{fs.Failed, fs.Written}, outcomes, "the late answer has not changed it")
	})
}
