package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/boltstore"
)

func TestConfigs(t *testing.T) {
	for name, cfg := range map[string]boltstore.Config{
		"MaxRows": {MaxRows: -1}, "MaxBytes": {MaxBytes: -1}, "Shards": {Shards: -1}, "Shards is more": {Shards: 1 << 20},
		"MaxFileBytes": {MaxFileBytes: -1}, "LockTimeout": {LockTimeout: -1},
	} {
		_, err := boltstore.Open(file(t), cfg)
		assert.ErrorContains(t, err, name)
	}
	_, err := boltstore.Open(t.TempDir()+"/no/such/directory/f", boltstore.Config{})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestOpenOfAViewThatIsNil(t *testing.T) {
	path := file(t)
	_, err := boltstore.Open(path, boltstore.Config{}, nil)
	require.ErrorContains(t, err, "view 0 is nil")
	open(t, path, boltstore.Config{}) // it is not locked
}

func TestRowsAreThereAfterOpeningAgain(t *testing.T) {
	path, view := file(t), counts(t)
	s := open(t, path, boltstore.Config{}, view)
	write(t, s, view, row(view, 1, 10), row(view, 2, 20), row(view, 3, 30), row(view, 3, 31))
	write(t, s, view, row(view, 1, 11), row(view, 2, 19))
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(3), fs.IntKey(9)}))
	assert.Equal(t, uint64(3), s.Stats().Commits)
	assert.Equal(t, uint64(4), s.Stats().Puts)
	require.NoError(t, s.Close())
	for _, views := range [][]*fs.Schema{{view}, nil} { // loaded by Open, or when it is first read
		s = open(t, path, boltstore.Config{}, views...)
		assert.Equal(t, []int64{11, 20, 0}, []int64{event(t, s, view, 1), event(t, s, view, 2), event(t, s, view, 3)})
		require.NoError(t, s.Close())
	}
	// First written, first deleted from: the rows on disk count as well.
	s = open(t, path, boltstore.Config{})
	assert.Equal(t, []fs.Outcome{fs.Stale, fs.Written}, write(t, s, view, row(view, 1, 11), row(view, 3, 1)))
	require.NoError(t, s.Close())
	s = open(t, path, boltstore.Config{})
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(2)}))
	assert.Equal(t, []int64{11, 0, 1}, []int64{event(t, s, view, 1), event(t, s, view, 2), event(t, s, view, 3)})
}

func TestASecondOpenerGetsAnError(t *testing.T) {
	path := file(t)
	s := open(t, path, boltstore.Config{})
	_, err := boltstore.Open(path, boltstore.Config{LockTimeout: 1})
	assert.ErrorIs(t, err, boltstore.ErrLocked)
	assert.ErrorContains(t, err, path)
	require.NoError(t, s.Close())
	require.NoError(t, open(t, path, boltstore.Config{LockTimeout: 1}).Close())
}

func TestVersionsOfAView(t *testing.T) {
	path := file(t)
	one := schema(t, fs.View{Name: "v", Features: []fs.Feature{{Name: "a", Kind: fs.Int64}, {Name: "b", Kind: fs.String}}})
	two := schema(t, fs.View{Name: "v", Features: []fs.Feature{{Name: "c", Kind: fs.Bool}, {Name: "a", Kind: fs.Int64}}})
	bad := schema(t, fs.View{Name: "v", Features: []fs.Feature{{Name: "a", Kind: fs.Float64}}})
	other := schema(t, fs.View{Name: "other", Features: one.Features()})
	s := open(t, path, boltstore.Config{})
	write(t, s, one, row(one, 1, 10), row(one, 2, 20))
	write(t, s, other, row(other, 1, 99))
	require.NoError(t, s.Close())

	_, err := boltstore.Open(path, boltstore.Config{}, bad)
	assert.ErrorIs(t, err, fs.ErrRow)
	assert.ErrorContains(t, err, `view "v"`)
	assert.ErrorContains(t, err, `feature "a"`)

	s = open(t, path, boltstore.Config{}, two)
	r := read(t, s, two, 1)
	assert.True(t, two.Value(r, 0).IsNull())
	assert.Equal(t, int64(10), two.Value(r, 1).Int())
	none := schema(t, fs.View{Name: "v", Features: []fs.Feature{{Name: "d", Kind: fs.Int64}}})
	write(t, s, none, row(none, 0, 1)) // the first in the file
	newer := two.NewRecord(time.Unix(0, 21))
	require.NoError(t, two.SetValue(newer, 0, fs.BoolValue(true)))
	assert.Equal(t, []fs.Outcome{fs.Written}, write(t, s, two, fs.Row{Key: fs.IntKey(2), Record: newer}))
	// A reader with the old version, such as one that has not learnt of the new one yet.
	old := read(t, s, one, 2)
	assert.True(t, one.Value(old, 0).IsNull())
	require.NoError(t, s.Close())

	// The file has rows of both layouts, and one that fits the bad version as well. A view that fails to load takes nothing with it, and can be tried again.
	s = open(t, path, boltstore.Config{})
	outcomes := make([]fs.Outcome, 1)
	err = s.Write(t.Context(), bad, []fs.Row{{Key: fs.IntKey(5), Record: bad.NewRecord(time.Unix(1, 0))}}, outcomes)
	assert.ErrorIs(t, err, fs.ErrRow)
	assert.Equal(t, fs.Failed, outcomes[0])
	assert.Zero(t, s.Stats().Memory.Rows)
	assert.Equal(t, int64(10), two.Value(read(t, s, two, 1), 1).Int())
	assert.True(t, two.Value(read(t, s, two, 2), 0).Bool())
	assert.Equal(t, int64(99), event(t, s, other, 1)) // untouched while it was not known
}

func TestDamageIsAnError(t *testing.T) {
	view := counts(t)
	marked := schema(t, fs.View{Name: "marked", Features: []fs.Feature{{Name: "text", Kind: fs.String}}})
	filled := func(t *testing.T) (string, []byte) {
		path := file(t)
		s := open(t, path, boltstore.Config{}, view, marked)
		r := marked.NewRecord(time.Unix(0, 1))
		require.NoError(t, marked.SetValue(r, 0, fs.StringValue("here it is")))
		write(t, s, marked, fs.Row{Key: fs.IntKey(1), Record: r})
		write(t, s, view, row(view, 0, 1), row(view, 1, 2), row(view, 2, 3))
		require.NoError(t, s.Close())
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return path, data
	}
	t.Run("a byte of a value", func(t *testing.T) {
		path, data := filled(t)
		require.Contains(t, string(data), "here it is")
		require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(data, []byte("here it is"), []byte("here it_is")), 0o600))
		_, err := boltstore.Open(path, boltstore.Config{}, marked)
		assert.ErrorIs(t, err, boltstore.ErrCorrupt)
		s := open(t, path, boltstore.Config{}, view) // the other view is good
		assert.Equal(t, int64(3), event(t, s, view, 2))
		assert.ErrorIs(t, s.Read(t.Context(), []fs.Lookup{{View: marked, Keys: []fs.Key{{}}, Rows: []*fs.Record{nil}}}), boltstore.ErrCorrupt)
	})
	t.Run("cut short", func(t *testing.T) {
		_, data := filled(t)
		for n := len(data) - os.Getpagesize(); n > 0; n -= os.Getpagesize() {
			path := file(t)
			require.NoError(t, os.WriteFile(path, data[:n], 0o600))
			s, err := boltstore.Open(path, boltstore.Config{}, view, marked)
			if err == nil { // the page had nothing in it
				assert.Equal(t, int64(3), event(t, s, view, 2))
				require.NoError(t, s.Close())
				continue
			}
			assert.ErrorIs(t, err, boltstore.ErrCorrupt, "%d of %d bytes", n, len(data))
		}
	})
	t.Run("zeros", func(t *testing.T) {
		_, data := filled(t)
		for at := 0; at < len(data); at += os.Getpagesize() {
			path, broken := file(t), bytes.Clone(data)
			clear(broken[at : at+os.Getpagesize()])
			require.NoError(t, os.WriteFile(path, broken, 0o600))
			s, err := boltstore.Open(path, boltstore.Config{}, view, marked)
			if err == nil { // the page had nothing in it that counts
				assert.NotNil(t, read(t, s, marked, 1), "page at %d", at)
				_ = s.Close()
				continue
			}
			assert.ErrorIs(t, err, boltstore.ErrCorrupt, "page at %d", at)
		}
	})
	t.Run("another file", func(t *testing.T) {
		path := file(t)
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database"), 10_000), 0o600))
		_, err := boltstore.Open(path, boltstore.Config{})
		assert.ErrorIs(t, err, boltstore.ErrCorrupt)
		path += "2"
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }))
		require.NoError(t, db.Close())
		_, err = boltstore.Open(path, boltstore.Config{})
		assert.ErrorIs(t, err, boltstore.ErrCorrupt)
	})
}

func TestConcurrentWritesShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := counts(t)
		s := open(t, file(t), boltstore.Config{}, view)
		release := s.Hold()
		var writers sync.WaitGroup
		for i := range int64(50) {
			writers.Go(func() { writeOne(t, s, view, row(view, i, i+1)) })
		}
		synctest.Wait()
		assert.Equal(t, 50, s.Queued())
		assert.Zero(t, event(t, s, view, 7), "read before it was on disk")
		release()
		writers.Wait()
		assert.Equal(t, uint64(1), s.Stats().Commits)
		assert.Equal(t, int64(8), event(t, s, view, 7))
		require.NoError(t, s.Close())
	})
}

func TestACallerThatGivesUpWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := counts(t)
		s := open(t, file(t), boltstore.Config{}, view)
		release := s.Hold()
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			outcomes := make([]fs.Outcome, 1)
			assert.ErrorIs(t, s.Write(ctx, view, []fs.Row{row(view, 1, 1)}, outcomes), gone)
			assert.Equal(t, fs.Failed, outcomes[0])
		})
		calls.Go(func() { assert.ErrorIs(t, s.Delete(ctx, view, []fs.Key{{}}), gone) })
		calls.Go(func() { assert.ErrorIs(t, s.Sweep(ctx), gone) })
		calls.Go(func() { // of a view that is not loaded
			other := schema(t, fs.View{Name: "other", Features: view.Features()})
			assert.ErrorIs(t, s.Read(ctx, []fs.Lookup{{View: other, Keys: []fs.Key{{}}, Rows: []*fs.Record{nil}}}), gone)
		})
		synctest.Wait()
		cancel(gone)
		calls.Wait()
		assert.Zero(t, s.Queued())
		release()
		assert.Zero(t, event(t, s, view, 1))
		require.NoError(t, s.Close())
	})
}

func TestCloseCommitsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, view := file(t), counts(t)
		s := open(t, path, boltstore.Config{}, view)
		release := s.Hold()
		var calls sync.WaitGroup
		for i := range int64(10) {
			calls.Go(func() { writeOne(t, s, view, row(view, i, i+1)) })
		}
		synctest.Wait()
		for range 3 {
			calls.Go(func() { assert.NoError(t, s.Close()) })
		}
		synctest.Wait()
		assert.ErrorIs(t, s.Write(t.Context(), view, nil, nil), fs.ErrClosed)
		release()
		calls.Wait()
		assert.ErrorIs(t, s.Sweep(t.Context()), fs.ErrClosed)
		s = open(t, path, boltstore.Config{}, view)
		for i := range int64(10) {
			assert.Equal(t, i+1, event(t, s, view, i))
		}
		require.NoError(t, s.Close())
	})
}

func TestCloseBesideAWriteThatHasJustBegun(t *testing.T) {
	path, view := file(t), counts(t)
	s := open(t, path, boltstore.Config{}, view)
	outcome, done := s.Enqueue(view, row(view, 1, 10))
	require.NoError(t, s.Close())
	<-done
	assert.Equal(t, fs.Written, *outcome)
	assert.ErrorIs(t, s.Commit(t.Context(), view, row(view, 2, 20)), fs.ErrClosed)
	s = open(t, path, boltstore.Config{}, view)
	assert.Equal(t, []int64{10, 0}, []int64{event(t, s, view, 1), event(t, s, view, 2)})
}

// TestADeleteOfAGroupThatFails: the row is still read, as it is still in the file.
func TestADeleteOfAGroupThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := schema(t, fs.View{Name: "counts", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}, {Name: "pad", Kind: fs.String}}})
		s := open(t, file(t), boltstore.Config{MaxFileBytes: 1 << 20}, view)
		write(t, s, view, row(view, 1, 10))
		large := row(view, 2, 11)
		require.NoError(t, view.SetValue(large.Record, 1, fs.StringValue(string(make([]byte, 2<<20)))))
		release := s.Hold()
		var calls sync.WaitGroup
		calls.Go(func() { assert.Error(t, s.Write(t.Context(), view, []fs.Row{large}, make([]fs.Outcome, 1))) })
		calls.Go(func() { assert.Error(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(1)})) })
		synctest.Wait()
		release()
		calls.Wait()
		assert.Equal(t, int64(10), event(t, s, view, 1))
		require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(1)}))
		assert.Zero(t, event(t, s, view, 1))
		require.NoError(t, s.Close())
	})
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	path := file(t)
	view := schema(t, fs.View{Name: "counts", Features: []fs.Feature{{Name: "count", Kind: fs.Int64}, {Name: "pad", Kind: fs.String}}})
	s := open(t, path, boltstore.Config{MaxFileBytes: 1 << 20}, view)
	write(t, s, view, row(view, 1, 10))
	large := row(view, 1, 11)
	require.NoError(t, view.SetValue(large.Record, 1, fs.StringValue(string(make([]byte, 2<<20)))))
	outcomes := make([]fs.Outcome, 3)
	err := s.Write(t.Context(), view, []fs.Row{large, row(view, 1, 9), row(view, 2, 20)}, outcomes)
	assert.Error(t, err)
	assert.Equal(t, []fs.Outcome{fs.Failed, fs.Stale, fs.Failed}, outcomes)
	assert.Equal(t, []int64{10, 0}, []int64{event(t, s, view, 1), event(t, s, view, 2)})
	assert.Equal(t, uint64(1), s.Stats().CommitsFailed)
	assert.Equal(t, uint64(2), s.Stats().WriteFailed)
	write(t, s, view, row(view, 1, 11), row(view, 2, 20))
	require.NoError(t, s.Close())
	s = open(t, path, boltstore.Config{}, view)
	assert.Equal(t, []int64{11, 20}, []int64{event(t, s, view, 1), event(t, s, view, 2)})
}

func TestWhatTheMemoryDropsGoesFromTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := file(t)
		view := schema(t, fs.View{Name: "v", TTL: fs.Duration(time.Hour), Features: []fs.Feature{{Name: "count", Kind: fs.Int64}}})
		s := open(t, path, boltstore.Config{MaxRows: 10}, view)
		now := time.Now().UnixNano()
		for i := range int64(50) {
			write(t, s, view, row(view, i, now))
		}
		left := func() (n int, newest bool) {
			for i := range int64(51) {
				if event(t, s, view, i) != 0 {
					n, newest = n+1, i == 49
				}
			}
			return n, newest
		}
		n, newest := left()
		assert.Equal(t, 10, n)
		assert.True(t, newest)
		require.NoError(t, s.Close())
		s = open(t, path, boltstore.Config{}, view) // without a bound: what is in the file
		n, newest = left()
		assert.Equal(t, 10, n)
		assert.True(t, newest)

		time.Sleep(2 * time.Hour) // of the bubble
		require.NoError(t, s.Sweep(t.Context()))
		assert.Zero(t, s.Doomed())
		n, _ = left()
		assert.Zero(t, n)
		write(t, s, view, row(view, 50, now)) // expired from the start
		require.NoError(t, s.Close())
		s = open(t, path, boltstore.Config{}, view)
		assert.Zero(t, event(t, s, view, 50))
		require.NoError(t, s.Close())
		// The row has gone from the file, too: a longer TTL does not bring it back.
		longer := schema(t, fs.View{Name: "v", TTL: fs.Duration(100 * time.Hour), Features: view.Features()})
		s = open(t, path, boltstore.Config{}, longer)
		assert.Zero(t, event(t, s, longer, 50))
		require.NoError(t, s.Close())
	})
}

// TestARowThatIsWrittenAfterItWasDropped must not go with what the memory drops.
func TestARowThatIsWrittenAfterItWasDropped(t *testing.T) {
	path, view := file(t), counts(t)
	s := open(t, path, boltstore.Config{MaxRows: 1}, view)
	for i := range int64(20) {
		write(t, s, view, row(view, 1, 100-i)) // an older one each time: the row before has been dropped, and its event time forgotten
		write(t, s, view, row(view, 2, i+1))
		// In one group: row 1 comes back, drops row 2, which comes back and drops row 1.
		write(t, s, view, row(view, 1, 1), row(view, 2, i+2))
	}
	kept := map[int64]int64{1: event(t, s, view, 1), 2: event(t, s, view, 2)}
	require.NoError(t, s.Close())
	s = open(t, path, boltstore.Config{}, view)
	for key, want := range kept {
		assert.Equal(t, want, event(t, s, view, key), "key %d", key)
	}
}

func TestBoundsOfARow(t *testing.T) {
	view := counts(t)
	s := open(t, file(t), boltstore.Config{}, view)
	r := row(view, 0, 1)
	outcomes := make([]fs.Outcome, 2)
	r.Key = fs.StringKey(string(make([]byte, boltstore.MaxKey+1)))
	good := fs.Row{Key: fs.StringKey(string(make([]byte, boltstore.MaxKey))), Record: r.Record}
	assert.ErrorIs(t, s.Write(t.Context(), view, []fs.Row{r, good}, outcomes), fs.ErrKey)
	assert.Equal(t, []fs.Outcome{fs.Invalid, fs.Written}, outcomes)
	assert.Error(t, s.Write(t.Context(), view, []fs.Row{r}, outcomes))
	assert.Equal(t, uint64(1), s.Stats().Invalid)
}
