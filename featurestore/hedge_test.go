package featurestore_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// replicated makes a Sharded over n stores with two replicas, the second the next store, and rows for keys.
func replicated(t testing.TB, n, keys int, cfg fs.ShardedConfig) (*fs.Sharded, *fs.Schema, []*scripted) {
	t.Helper()
	view, _ := streamViews(t)
	shards, stores := cluster(t, n)
	_, owners := byKey(view, n)
	cfg.Replicas = 2
	s, err := fs.NewSharded(stores, nil, cfg, fs.WithOwners(owners))
	require.NoError(t, err)
	writeAll(t, s, view, keys)
	return s, view, shards
}

func sleeps(d time.Duration, cancelled *atomic.Int64) func(context.Context, []fs.Lookup) error {
	return func(ctx context.Context, _ []fs.Lookup) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			cancelled.Add(1)
			return ctx.Err()
		}
	}
}

// The first owner is slow: after HedgeAfter the others are asked for its keys, the first good answer counts, and the slow call is cancelled.
func TestHedgeTheFirstAnswerCountsAndTheLoserIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 3, 6, fs.ShardedConfig{HedgeAfter: 10 * time.Millisecond})
		var cancelled atomic.Int64
		shards[0].onRead = sleeps(time.Minute, &cancelled)
		l := lookup(view, 0, 1, 2, 3)
		began := time.Now()
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, 10*time.Millisecond, time.Since(began))
		require.Equal(t, []int64{100, 101, 102, 103}, eventsOf(l[0]))
		synctest.Wait()
		require.EqualValues(t, 1, cancelled.Load())
		st := s.Stats()
		require.EqualValues(t, 1, st.Hedges)
		require.EqualValues(t, 1, st.HedgeWins)
		require.EqualValues(t, 1, st.Abandoned)
		require.Zero(t, st.Shards[0].Failed)
		require.Zero(t, st.Shards[0].InFlight)
	})
}

// The hedge is slower than the call: the call's answer counts, and Read does not wait for the hedge.
func TestHedgeLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 3, 3, fs.ShardedConfig{HedgeAfter: 10 * time.Millisecond})
		var cancelled atomic.Int64
		shards[0].onRead, shards[1].onRead = sleeps(15*time.Millisecond, &cancelled), sleeps(time.Minute, &cancelled)
		began := time.Now()
		l := lookup(view, 0)
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, 15*time.Millisecond, time.Since(began))
		require.Equal(t, []int64{100}, eventsOf(l[0]))
		synctest.Wait()
		require.EqualValues(t, 1, cancelled.Load())
		require.EqualValues(t, 1, s.Stats().Hedges)
		require.Zero(t, s.Stats().HedgeWins)
	})
}

// The late result of a loser that ignores its context never reaches the caller's slices, nor memory that is in use again.
func TestHedgeLateLoserTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 2, 4, fs.ShardedConfig{HedgeAfter: time.Millisecond})
		bogus := view.NewRecord(time.Unix(0, 666))
		var first atomic.Bool
		shards[0].onRead = func(_ context.Context, l []fs.Lookup) error {
			if first.CompareAndSwap(false, true) {
				time.Sleep(time.Minute)
				for i := range l[0].Rows {
					l[0].Rows[i] = bogus
					l[0].Keys[i] = fs.IntKey(1)
				}
			}
			return nil
		}
		l := lookup(view, 0, 2)
		require.NoError(t, s.Read(t.Context(), l))
		results := make(chan []int64)
		for range 3 {
			go func() {
				var last []int64
				for range 200 {
					a := lookup(view, 0, 2)
					_ = s.Read(context.Background(), a)
					time.Sleep(time.Second)
					last = eventsOf(a[0])
				}
				results <- last
			}()
		}
		for range 3 {
			require.Equal(t, []int64{100, 102}, <-results)
		}
		require.Equal(t, []int64{100, 102}, eventsOf(l[0]))
		require.Equal(t, fs.IntKey(0), l[0].Keys[0])
	})
}

func TestFailoverIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 3, 6, fs.ShardedConfig{HedgeAfter: time.Hour})
		shards[0].onRead = func(context.Context, []fs.Lookup) error { return errStore }
		shards[1].onRead = func(_ context.Context, l []fs.Lookup) error { // of the whole call or of a key
			for i, k := range l[0].Keys {
				if k == fs.IntKey(4) {
					l[0].Fail(i, errStore)
				}
			}
			return nil
		}
		began := time.Now()
		l := lookup(view, 0, 1, 2, 3, 4, 5)
		require.NoError(t, s.Read(t.Context(), l))
		require.Zero(t, time.Since(began))
		require.Equal(t, []int64{100, 101, 102, 103, 104, 105}, eventsOf(l[0]))
		require.Nil(t, l[0].Errs)
		require.EqualValues(t, 2, s.Stats().Failovers)
		require.Zero(t, s.Stats().Hedges)

		shards[1].onRead = func(context.Context, []fs.Lookup) error { return errStore }
		l = lookup(view, 0, 1, 2)
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, []int64{0, 101, 102}, eventsOf(l[0]), "both replicas of key 0 have failed")
		require.Equal(t, &fs.ShardError{Shard: 1, Err: errStore}, l[0].Errs[0], "the last one's error")
	})
}

// A call that fails while its hedge runs waits for that, and the other way round.
func TestHedgeAndFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 3, 3, fs.ShardedConfig{HedgeAfter: 10 * time.Millisecond})
		shards[0].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(15 * time.Millisecond); return errStore }
		shards[1].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(20 * time.Millisecond); return nil }
		began := time.Now()
		l := lookup(view, 0)
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, 30*time.Millisecond, time.Since(began))
		require.Equal(t, []int64{100}, eventsOf(l[0]))
		require.Zero(t, s.Stats().Failovers)

		shards[0].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(50 * time.Millisecond); return nil }
		shards[1].onRead = func(context.Context, []fs.Lookup) error { return errStore }
		began = time.Now()
		l = lookup(view, 0)
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, 50*time.Millisecond, time.Since(began))
		require.Equal(t, []int64{100}, eventsOf(l[0]))
	})
}

// While a call that is needed has returned too, giving up the one that is not must not throw its answer away.
func TestHedgeManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 5, 50, fs.ShardedConfig{HedgeAfter: time.Millisecond, HedgeBudget: 1})
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, sh := range shards {
			sh.onRead = func(ctx context.Context, _ []fs.Lookup) error {
				select {
				case <-time.After(time.Duration(time.Now().UnixNano()/1e6*7919%5) * time.Millisecond):
				case <-ctx.Done():
				}
				return nil // a good answer although it was cancelled
			}
		}
		for range 300 {
			keys := make([]int64, 1+rnd.IntN(20))
			want := make([]int64, len(keys))
			for i := range keys {
				keys[i] = rnd.Int64N(50)
				want[i] = keys[i] + 100
			}
			l := lookup(view, keys...)
			require.NoError(t, s.Read(t.Context(), l))
			require.Nil(t, l[0].Errs)
			require.Equal(t, want, eventsOf(l[0]))
			time.Sleep(time.Millisecond)
		}
		require.NotZero(t, s.Stats().HedgeWins)
		require.NotZero(t, s.Stats().Abandoned)
	})
}

func TestHedgeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 2, 2, fs.ShardedConfig{HedgeAfter: time.Millisecond, HedgeBudget: 0.1})
		defer time.Sleep(time.Second)
		shards[0].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(5 * time.Millisecond); return nil }
		for range 200 {
			l := lookup(view, 0)
			require.NoError(t, s.Read(t.Context(), l))
			require.Equal(t, []int64{100}, eventsOf(l[0]))
		}
		st := s.Stats()
		require.EqualValues(t, 10+19, st.Hedges, "ten to begin with, less than one of which the first call can earn, and a tenth of 200")
		require.EqualValues(t, 200, st.Hedges+st.HedgesDenied)
		// A denied hedge is still there to fail over to.
		shards[0].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(5 * time.Millisecond); return errStore }
		for range 5 {
			l := lookup(view, 0)
			require.NoError(t, s.Read(t.Context(), l))
			require.Equal(t, []int64{100}, eventsOf(l[0]))
		}
		require.NotZero(t, s.Stats().Failovers)
	})
}

// A loser is cancelled when its keys are answered, not when the whole read is.
func TestHedgeLoserIsCancelledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 4, 4, fs.ShardedConfig{HedgeAfter: 10 * time.Millisecond})
		began := time.Now()
		var after atomic.Int64
		shards[0].onRead = func(ctx context.Context, _ []fs.Lookup) error {
			<-ctx.Done()
			after.Store(int64(time.Since(began)))
			return ctx.Err()
		}
		slow := func(context.Context, []fs.Lookup) error { time.Sleep(time.Second); return nil }
		shards[2].onRead, shards[3].onRead = slow, slow
		l := lookup(view, 0, 2)
		require.NoError(t, s.Read(t.Context(), l))
		require.Equal(t, []int64{100, 102}, eventsOf(l[0]))
		require.Equal(t, time.Second, time.Since(began))
		require.Equal(t, 10*time.Millisecond, time.Duration(after.Load()))
		time.Sleep(time.Second)
	})
}

// The delay is learned: calls of 1 to 100 ms, so that 0.9 of them take up to 90 ms.
func TestHedgeQuantileIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, view, shards := replicated(t, 2, 2, fs.ShardedConfig{HedgeQuantile: 0.9, HedgeBudget: 1})
		rnd := rand.New(rand.NewPCG(1, 2))
		shards[0].onRead = func(context.Context, []fs.Lookup) error {
			time.Sleep(time.Duration(1+rnd.IntN(100)) * time.Millisecond)
			return nil
		}
		for range 64 {
			require.NoError(t, s.Read(t.Context(), lookup(view, 0)))
		}
		require.Zero(t, s.Stats().Hedges, "nothing is known yet")
		for range 500 {
			require.NoError(t, s.Read(t.Context(), lookup(view, 0)))
			synctest.Wait()
			time.Sleep(200 * time.Millisecond) // the loser ignores its context
		}
		hedges := s.Stats().Hedges
		require.Greater(t, hedges, uint64(20))
		require.Less(t, hedges, uint64(100))
		shards[0].onRead = func(context.Context, []fs.Lookup) error { time.Sleep(time.Minute); return nil }
		began := time.Now()
		require.NoError(t, s.Read(t.Context(), lookup(view, 0)))
		took := time.Since(began)
		require.Greater(t, took, 75*time.Millisecond)
		require.Less(t, took, 110*time.Millisecond)
		time.Sleep(2 * time.Minute)
	})
}

func TestReplicasWriteRules(t *testing.T) {
	view, _ := streamViews(t)
	for _, c := range []struct {
		quorum       int
		first, other fs.Outcome // 0: an error of the store
		want         fs.Outcome
	}{
		{0, fs.Written, fs.Written, fs.Written},
		{0, fs.Stale, fs.Written, fs.Stale},
		{0, fs.Written, fs.Stale, fs.Written},
		{0, fs.Stale, fs.Stale, fs.Stale},
		{0, fs.Written, 0, fs.Failed},
		{0, fs.Written, fs.Failed, fs.Failed},
		{1, fs.Written, 0, fs.Written},
		{1, 0, fs.Stale, fs.Stale},
		{1, 0, 0, fs.Failed},
		{1, fs.Written, fs.Invalid, fs.Invalid},
	} {
		shards, stores := cluster(t, 2)
		_, owners := byKey(view, 2)
		s, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2, WriteQuorum: c.quorum}, fs.WithOwners(owners))
		require.NoError(t, err)
		for i, o := range []fs.Outcome{c.first, c.other} {
			shards[i].onWrite = func(_ context.Context, _ []fs.Row, outcomes []fs.Outcome) error {
				outcomes[0] = o
				if o == fs.Failed || o == fs.Invalid || o == 0 {
					return errStore
				}
				return nil
			}
		}
		outcomes := make([]fs.Outcome, 1)
		err = s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 1)}, outcomes)
		require.Equal(t, c.want, outcomes[0], "%+v", c)
		if c.want == fs.Failed || c.want == fs.Invalid {
			require.ErrorIs(t, err, errStore)
			var shard *fs.ShardError
			require.ErrorAs(t, err, &shard)
		} else {
			require.NoError(t, err, "%+v", c)
		}
	}
	s, view, shards := replicated(t, 2, 2, fs.ShardedConfig{WriteQuorum: 1})
	require.Equal(t, []int64{100, 101}, events(t, shards[1], view, 0, 1), "both have all")
	shards[1].onDelete = func(context.Context, []fs.Key) error { return errStore }
	require.ErrorIs(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(0)}), errStore, "it would come back")
	shards[1].onDelete = nil
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(0)}))
	require.Equal(t, []int64{0, 101}, events(t, shards[1], view, 0, 1))
	shards[0].onWrite = func(_ context.Context, _ []fs.Row, outcomes []fs.Outcome) error {
		outcomes[0] = fs.Written
		panic("half way")
	}
	outcomes := make([]fs.Outcome, 1)
	require.NoError(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 1)}, outcomes))
	require.Equal(t, fs.Written, outcomes[0], "by the other")
	shards[1].onWrite = shards[0].onWrite
	require.Error(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 2)}, outcomes))
	require.Equal(t, fs.Failed, outcomes[0], "what a method has left that did not return is not believed")
}
