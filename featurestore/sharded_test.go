package featurestore_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// The hashes decide where rows are: they must never change.
func TestShardHashIsStable(t *testing.T) {
	user, pair := &fs.Entity{Name: "user", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.Int64}}}, &fs.Entity{
		Name: "pair", JoinKeys: []fs.JoinKey{{Name: "user", Kind: fs.Int64}, {Name: "item", Kind: fs.String}},
	}
	composite, err := pair.Key(7, "abc")
	require.NoError(t, err)
	for _, c := range []struct {
		entity *fs.Entity
		key    fs.Key
		want   uint64
	}{
		{user, fs.IntKey(1001), 0x8e33d0da1d0dff3c},
		{user, fs.StringKey("a"), 0xc37ad7e330515242},
		{&fs.Entity{Name: "item"}, fs.IntKey(1001), 0xd648909519dbcd98},
		{&fs.Entity{}, fs.Key{}, 0x5149774f0dcd2f3d},
		{pair, composite, 0x1b17ba1136b57312},
	} {
		require.Equal(t, c.want, fs.ShardHash(c.entity, c.key), "%v %v", c.entity.Name, c.key)
	}
	if !raceEnabled {
		require.Zero(t, testing.AllocsPerRun(100, func() { fs.ShardHash(pair, composite) }))
	}
}

// byKey makes the owner of an integer key its remainder, which the tests can foresee. It returns the owner function and that of the replicas that
// follow it.
func byKey(view *fs.Schema, shards int) (owner func(uint64) int, owners func([]int, uint64, int) []int) {
	of := map[uint64]int{}
	for i := range int64(2000) {
		of[fs.ShardHash(view.Entity(), fs.IntKey(i))] = int(i) % shards
	}
	owner = func(hash uint64) int { return of[hash] }
	owners = func(dst []int, hash uint64, k int) []int {
		for i := range k {
			dst = append(dst, (of[hash]+i)%shards)
		}
		return dst
	}
	return owner, owners
}

// cluster makes n scripted stores.
func cluster(t testing.TB, n int) (shards []*scripted, stores []fs.Store) {
	for range n {
		s := &scripted{Store: streamMem(t)}
		shards, stores = append(shards, s), append(stores, s)
	}
	return shards, stores
}

func writeAll(t testing.TB, s fs.Store, view *fs.Schema, keys int) {
	t.Helper()
	rows := make([]fs.Row, keys)
	for i := range rows {
		rows[i] = streamRow(view, int64(i), int64(i)+100)
	}
	outcomes := make([]fs.Outcome, keys)
	require.NoError(t, s.Write(context.Background(), view, rows, outcomes))
	for _, o := range outcomes {
		require.Equal(t, fs.Written, o)
	}
}

func TestShardedReadsWhatItWrites(t *testing.T) {
	view, other := streamViews(t)
	shards, stores := cluster(t, 3)
	owner, _ := byKey(view, 3)
	s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{MaxFanout: 2})
	require.NoError(t, err)
	writeAll(t, s, view, 10)
	writeAll(t, s, other, 4)
	for i, shard := range shards {
		require.Equal(t, []int64{int64(100 + i), 0}, events(t, shard, view, int64(i), int64(i+1)), "a row is in its own store")
	}
	lookups := append(lookup(view, 9, 3, 3, 77, 0), lookup(other, 2)...)
	lookups = append(lookups, fs.Lookup{View: other, Keys: lookups[0].Keys, Rows: make([]*fs.Record, 5)}) // the same keys of another view
	require.NoError(t, s.Read(t.Context(), lookups))
	require.Equal(t, []int64{109, 103, 103, 0, 100}, eventsOf(lookups[0]))
	require.Equal(t, []int64{102}, eventsOf(lookups[1]))
	require.Equal(t, []int64{0, 103, 103, 0, 100}, eventsOf(lookups[2]))
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(3), fs.IntKey(4)}))
	require.Equal(t, []int64{0, 0, 105}, events(t, s, view, 3, 4, 5))
	for _, l := range [][]fs.Lookup{nil, lookup(view)} {
		require.NoError(t, s.Read(t.Context(), l))
	}
	require.NoError(t, s.Write(t.Context(), view, nil, nil))
	require.NoError(t, s.Delete(t.Context(), view, nil))
}

func TestShardedStale(t *testing.T) {
	view, _ := streamViews(t)
	_, stores := cluster(t, 3)
	owner, _ := byKey(view, 3)
	s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
	require.NoError(t, err)
	writeAll(t, s, view, 3)
	outcomes := make([]fs.Outcome, 3)
	require.NoError(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 1), streamRow(view, 1, 500), streamRow(view, 2, 1)}, outcomes))
	require.Equal(t, []fs.Outcome{fs.Stale, fs.Written, fs.Stale}, outcomes)
	require.Error(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 1)}, nil))
}

func TestShardedPartialResults(t *testing.T) {
	for name, fail := range map[string]func(context.Context, []fs.Lookup) error{
		"error":  func(context.Context, []fs.Lookup) error { return errStore },
		"panic":  func(context.Context, []fs.Lookup) error { panic(errStore) },
		"goexit": func(context.Context, []fs.Lookup) error { runtime.Goexit(); return nil },
	} {
		view, _ := streamViews(t)
		shards, stores := cluster(t, 3)
		owner, _ := byKey(view, 3)
		s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
		require.NoError(t, err)
		writeAll(t, s, view, 6)
		shards[1].onRead = fail
		l := lookup(view, 0, 1, 2, 3, 4)
		require.NoError(t, s.Read(t.Context(), l), name)
		require.Equal(t, []int64{100, 0, 102, 103, 0}, eventsOf(l[0]))
		for i, failed := range []bool{false, true, false, false, true} {
			require.Equal(t, failed, l[0].Errs[i] != nil)
		}
		var shard *fs.ShardError
		require.ErrorAs(t, l[0].Errs[4], &shard)
		require.Equal(t, 1, shard.Shard)
		if name == "goexit" {
			require.ErrorIs(t, shard, fs.ErrGoexit)
		} else {
			require.ErrorIs(t, shard, errStore)
		}
		for _, sh := range shards {
			sh.onRead = fail
		}
		l = lookup(view, 0, 1)
		err = s.Read(t.Context(), l)
		require.ErrorAs(t, err, &shard)
		require.Nil(t, l[0].Errs)
		require.EqualValues(t, 2, s.Stats().Shards[1].Failed)
		require.Zero(t, s.Stats().Shards[1].InFlight)
	}
}

// Errors of keys may be of a type that cannot be compared.
func TestShardedErrorsOfKeys(t *testing.T) {
	view, _ := streamViews(t)
	shards, stores := cluster(t, 2)
	owner, _ := byKey(view, 2)
	s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
	require.NoError(t, err)
	for _, sh := range shards {
		sh.onRead = func(_ context.Context, l []fs.Lookup) error {
			for i := range l[0].Keys {
				l[0].Fail(i, fs.KeyErrors{errStore})
			}
			return nil
		}
	}
	err = s.Read(t.Context(), lookup(view, 0, 1, 2, 3))
	require.ErrorIs(t, err, errStore)
	shards[0].onRead = nil
	l := lookup(view, 0, 1, 2, 3)
	require.NoError(t, s.Read(t.Context(), l))
	require.Equal(t, []error{nil, &fs.ShardError{Shard: 1, Err: fs.KeyErrors{errStore}}, nil, &fs.ShardError{Shard: 1, Err: fs.KeyErrors{errStore}}}, l[0].Errs)
}

// A single shard is called on the caller's goroutine, and its errors have its name all the same.
func TestShardedDirect(t *testing.T) {
	view, _ := streamViews(t)
	shards, stores := cluster(t, 2)
	owner, _ := byKey(view, 2)
	s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
	require.NoError(t, err)
	shards[1].onRead = func(_ context.Context, l []fs.Lookup) error { l[0].Fail(1, errStore); return nil }
	l := lookup(view, 1, 3)
	require.NoError(t, s.Read(t.Context(), l))
	require.Nil(t, l[0].Errs[0])
	require.Equal(t, &fs.ShardError{Shard: 1, Err: errStore}, l[0].Errs[1])
	shards[1].onRead = func(context.Context, []fs.Lookup) error { return errStore }
	require.Equal(t, &fs.ShardError{Shard: 1, Err: errStore}, s.Read(t.Context(), lookup(view, 1)))
	shards[1].onRead = func(context.Context, []fs.Lookup) error { panic("p") }
	require.PanicsWithValue(t, "p", func() { _ = s.Read(t.Context(), lookup(view, 1)) })
	require.Zero(t, s.Stats().Shards[1].InFlight)
	require.EqualValues(t, 2, s.Stats().Shards[1].Failed)
	ctx, cancel := context.WithCancelCause(t.Context())
	shards[1].onRead = func(ctx context.Context, _ []fs.Lookup) error { cancel(errStore); return ctx.Err() }
	require.Equal(t, errStore, s.Read(ctx, lookup(view, 1)))
	require.Equal(t, errStore, s.Read(ctx, lookup(view, 1)))
	require.Equal(t, errStore, s.Delete(ctx, view, []fs.Key{fs.IntKey(1)}))
	outcomes := make([]fs.Outcome, 1)
	require.Equal(t, errStore, s.Write(ctx, view, []fs.Row{streamRow(view, 1, 1)}, outcomes))
	require.Equal(t, fs.Failed, outcomes[0])
}

func TestShardedOwnerOutOfRange(t *testing.T) {
	view, _ := streamViews(t)
	_, stores := cluster(t, 2)
	for _, bad := range []int{-1, 2, math.MaxInt, math.MinInt} {
		s, err := fs.NewSharded(stores, func(uint64) int { return bad }, fs.ShardedConfig{})
		require.NoError(t, err)
		r, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2}, fs.WithOwners(func(dst []int, _ uint64, _ int) []int { return append(dst, 0, bad) }))
		require.NoError(t, err)
		for _, s := range []*fs.Sharded{s, r} {
			require.ErrorIs(t, s.Read(t.Context(), lookup(view, 1)), fs.ErrOwner)
			require.ErrorIs(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 1, 1)}, make([]fs.Outcome, 1)), fs.ErrOwner)
			require.ErrorIs(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(1)}), fs.ErrOwner)
		}
	}
	none, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2}, fs.WithOwners(func(dst []int, _ uint64, _ int) []int { return dst }))
	require.NoError(t, err)
	require.ErrorIs(t, none.Read(t.Context(), lookup(view, 1)), fs.ErrOwner)
}

// One store that is named twice would make a quorum of two by itself.
func TestShardedOwnerTwice(t *testing.T) {
	view, _ := streamViews(t)
	_, stores := cluster(t, 3)
	s, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 3}, fs.WithOwners(func(dst []int, _ uint64, _ int) []int { return append(dst, 1, 0, 1) }))
	require.NoError(t, err)
	outcomes := make([]fs.Outcome, 1)
	require.ErrorIs(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 1, 1)}, outcomes), fs.ErrOwner)
	require.Equal(t, fs.Failed, outcomes[0])
	require.Equal(t, []int64{0}, events(t, stores[1], view, 1))
	more, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2}, fs.WithOwners(func(dst []int, _ uint64, _ int) []int { return append(dst, 1, 0, 1) }))
	require.NoError(t, err)
	require.NoError(t, more.Write(t.Context(), view, []fs.Row{streamRow(view, 1, 1)}, outcomes), "what goes beyond Replicas is not looked at")
}

func TestShardedFanoutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, _ := streamViews(t)
		shards, stores := cluster(t, 6)
		owner, _ := byKey(view, 6)
		var running, most atomic.Int64
		for _, sh := range shards {
			sh.onRead = func(context.Context, []fs.Lookup) error {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Second)
				running.Add(-1)
				return nil
			}
		}
		s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{MaxFanout: 2})
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, s.Read(t.Context(), lookup(view, 0, 1, 2, 3, 4, 5)))
		require.EqualValues(t, 2, most.Load())
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestShardedConfigErrors(t *testing.T) {
	_, stores := cluster(t, 2)
	owner := func(uint64) int { return 0 }
	owners := fs.WithOwners(func(dst []int, _ uint64, _ int) []int { return dst })
	for name, c := range map[string]struct {
		cfg  fs.ShardedConfig
		opts []fs.ShardedOption
	}{
		"MaxFanout":                {cfg: fs.ShardedConfig{MaxFanout: -1}},
		"ShardTimeout":             {cfg: fs.ShardedConfig{ShardTimeout: -1}},
		"Replicas is negative":     {cfg: fs.ShardedConfig{Replicas: -1}},
		"Replicas needs":           {cfg: fs.ShardedConfig{Replicas: 2}},
		"WithOwners needs":         {opts: []fs.ShardedOption{owners}},
		"the most is":              {cfg: fs.ShardedConfig{Replicas: 17}, opts: []fs.ShardedOption{owners}},
		"WriteQuorum is":           {cfg: fs.ShardedConfig{WriteQuorum: -1}},
		"WriteQuorum 2":            {cfg: fs.ShardedConfig{WriteQuorum: 2}},
		"HedgeAfter is":            {cfg: fs.ShardedConfig{HedgeAfter: -1}},
		"need Replicas":            {cfg: fs.ShardedConfig{HedgeAfter: 1}},
		"HedgeQuantile is NaN":     {cfg: fs.ShardedConfig{HedgeQuantile: math.NaN()}},
		"HedgeQuantile is 1":       {cfg: fs.ShardedConfig{HedgeQuantile: 1}},
		"HedgeBudget is NaN":       {cfg: fs.ShardedConfig{HedgeBudget: math.NaN()}},
		"HedgeBudget is 1.5":       {cfg: fs.ShardedConfig{HedgeBudget: 1.5}},
		"HedgeBudget needs":        {cfg: fs.ShardedConfig{HedgeBudget: 0.5}},
		"nil option":               {opts: []fs.ShardedOption{nil}},
		"WithOwners: nil function": {opts: []fs.ShardedOption{fs.WithOwners(nil)}},
	} {
		_, err := fs.NewSharded(stores, owner, c.cfg, c.opts...)
		require.ErrorContains(t, err, name)
	}
	require.Error(t, second(fs.NewSharded(nil, owner, fs.ShardedConfig{})))
	require.Error(t, second(fs.NewSharded([]fs.Store{nil}, owner, fs.ShardedConfig{})))
	require.Error(t, second(fs.NewSharded(stores, nil, fs.ShardedConfig{})))
	require.Equal(t, errStore, errors.Unwrap(&fs.ShardError{Err: errStore}))
}

func TestShardedAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	view, _ := streamViews(t)
	stores := []fs.Store{streamMem(t), streamMem(t), streamMem(t), streamMem(t)}
	owner, owners := byKey(view, 4)
	run := func(s *fs.Sharded, keys ...int64) float64 {
		l := lookup(view, keys...)
		ctx := context.Background()
		return testing.AllocsPerRun(500, func() {
			clear(l[0].Rows)
			if err := s.Read(ctx, l); err != nil || l[0].Rows[0] == nil {
				t.Fatal(err)
			}
		})
	}
	s, err := fs.NewSharded(stores, owner, fs.ShardedConfig{})
	require.NoError(t, err)
	r, err := fs.NewSharded(stores, nil, fs.ShardedConfig{Replicas: 2, HedgeAfter: time.Hour}, fs.WithOwners(owners))
	require.NoError(t, err)
	writeAll(t, r, view, 8)
	require.Zero(t, run(s, 0, 4))
	require.LessOrEqual(t, run(s, 0, 1, 2, 3, 4, 5, 6, 7), 1.0)
	require.LessOrEqual(t, run(r, 0, 1, 2, 3, 4, 5, 6, 7), 4*6.0, "the contexts")
}
