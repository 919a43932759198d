package featurestore_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// mapCache is a cache without bounds over a loader, of the form that ReadThrough needs.
type mapCache struct {
	load func(context.Context, []fs.Key) ([]*fs.Record, error)
	mu   sync.Mutex
	rows map[fs.Key]*fs.Record
	asks int
}

func (c *mapCache) getAll(ctx context.Context, keys []fs.Key) ([]*fs.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks++
	records, errs, failed := make([]*fs.Record, len(keys)), make(otherErrors, len(keys)), false
	for i, k := range keys {
		r, ok := c.rows[k]
		if !ok {
			got, err := c.load(ctx, []fs.Key{k})
			var each fs.KeyErrors
			if errors.As(err, &each) {
				err = each[0]
			}
			if err != nil {
				errs[i], failed = err, true
				continue
			}
			r, c.rows[k] = got[0], got[0]
		}
		records[i] = r
	}
	if failed {
		return records, errs
	}
	return records, nil
}

func (c *mapCache) invalidate(k fs.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rows, k)
}

// otherErrors is what another package may call its slice of errors.
type otherErrors []error

func (otherErrors) Error() string { return "some failed" }

func readThrough(t testing.TB, store fs.Store, view *fs.Schema) (*fs.ReadThrough, *mapCache) {
	t.Helper()
	load, err := fs.NewLoader(store, view)
	require.NoError(t, err)
	c := &mapCache{load: load, rows: map[fs.Key]*fs.Record{}}
	r, err := fs.NewReadThrough(store, view, c.getAll, fs.WithInvalidate(c.invalidate))
	require.NoError(t, err)
	return r, c
}

func TestReadThrough(t *testing.T) {
	view, other := streamViews(t)
	reads := 0
	s := &scripted{Store: streamMem(t), onRead: func(context.Context, []fs.Lookup) error { reads++; return nil }}
	r, c := readThrough(t, s, view)
	writeAll(t, s, view, 2)
	writeAll(t, s, other, 2)
	for range 3 {
		require.Equal(t, []int64{100, 101, 0}, events(t, r, view, 0, 1, 9))
	}
	require.Equal(t, 3, reads, "once for each key, the absent one too")
	require.Equal(t, []int64{100}, events(t, r, other, 0))
	require.Equal(t, 4, reads)
	both := append(lookup(view, 1), append(lookup(other, 1), lookup(view, 0, 9)...)...)
	require.NoError(t, r.Read(t.Context(), both))
	require.Equal(t, 5, reads)
	require.Equal(t, []int64{101}, eventsOf(both[0]))
	require.Equal(t, []int64{101}, eventsOf(both[1]))
	require.Equal(t, []int64{100, 0}, eventsOf(both[2]))
	same := append(lookup(view, 1), lookup(view, 0)...)
	require.NoError(t, r.Read(t.Context(), same))
	require.Equal(t, []int64{100}, eventsOf(same[1]))
	require.Equal(t, 5, reads)

	// What others write is not seen; what goes through r is.
	outcomes := make([]fs.Outcome, 1)
	require.NoError(t, s.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 500)}, outcomes))
	require.Equal(t, []int64{100}, events(t, r, view, 0))
	require.NoError(t, r.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 400)}, outcomes))
	require.Equal(t, fs.Stale, outcomes[0])
	require.Equal(t, []int64{500}, events(t, r, view, 0), "the store has a newer one: so may the cache be old")
	require.NoError(t, r.Write(t.Context(), view, []fs.Row{streamRow(view, 9, 600)}, outcomes))
	require.Equal(t, []int64{600}, events(t, r, view, 9))
	require.NoError(t, r.Delete(t.Context(), view, []fs.Key{fs.IntKey(9)}))
	require.Equal(t, []int64{0}, events(t, r, view, 9))
	require.NoError(t, r.Delete(t.Context(), other, []fs.Key{fs.IntKey(0)}))
	require.Contains(t, c.rows, fs.IntKey(0), "of another view")

	// A newer version of the view is not in the cache, but is the same view to what is written.
	_, err := fs.NewReadThrough(s, view, c.getAll)
	require.NoError(t, err)
	newer, _ := streamViews(t)
	require.Equal(t, []int64{500}, events(t, r, newer, 0))
	require.NoError(t, r.Write(t.Context(), newer, []fs.Row{streamRow(newer, 0, 700)}, outcomes))
	require.Equal(t, []int64{700}, events(t, r, view, 0))
}

func TestReadThroughInvalidatesWhateverHappens(t *testing.T) {
	view, _ := streamViews(t)
	s := &scripted{Store: streamMem(t)}
	r, c := readThrough(t, s, view)
	writeAll(t, s, view, 3)
	events(t, r, view, 0, 1, 2)
	s.onWrite = func(_ context.Context, _ []fs.Row, outcomes []fs.Outcome) error {
		outcomes[0], outcomes[1] = fs.Failed, fs.Invalid
		panic(errStore)
	}
	require.Panics(t, func() {
		_ = r.Write(t.Context(), view, []fs.Row{streamRow(view, 0, 900), streamRow(view, 1, 900)}, make([]fs.Outcome, 2))
	})
	require.NotContains(t, c.rows, fs.IntKey(0))
	require.Contains(t, c.rows, fs.IntKey(1))
	s.onDelete = func(context.Context, []fs.Key) error { return errStore }
	require.Equal(t, errStore, r.Delete(t.Context(), view, []fs.Key{fs.IntKey(2)}))
	require.NotContains(t, c.rows, fs.IntKey(2))
}

func TestReadThroughErrors(t *testing.T) {
	view, other := streamViews(t)
	s := &scripted{Store: streamMem(t)}
	writeAll(t, s, view, 3)
	writeAll(t, s, other, 3)
	s.onRead = func(_ context.Context, l []fs.Lookup) error {
		if l[0].View == view && l[0].Keys[0] == fs.IntKey(1) {
			l[0].Fail(0, errStore)
		}
		return nil
	}
	r, _ := readThrough(t, s, view)
	l := lookup(view, 0, 1)
	require.NoError(t, r.Read(t.Context(), l))
	require.Equal(t, []error{nil, errStore}, l[0].Errs)
	require.Equal(t, []int64{100, 0}, eventsOf(l[0]))

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStore)
	require.Equal(t, errStore, r.Read(ctx, lookup(view, 0)))

	whole := errors.New("cache closed")
	for name, c := range map[string]struct {
		getAll func(context.Context, []fs.Key) ([]*fs.Record, error)
		want   error
	}{
		"error":      {func(context.Context, []fs.Key) ([]*fs.Record, error) { return nil, whole }, whole},
		"too few":    {func(context.Context, []fs.Key) ([]*fs.Record, error) { return nil, nil }, fs.ErrResultCount},
		"few errors": {func(context.Context, []fs.Key) ([]*fs.Record, error) { return nil, otherErrors{whole} }, nil},
		"panic":      {func(context.Context, []fs.Key) ([]*fs.Record, error) { panic(whole) }, whole},
		"goexit":     {func(context.Context, []fs.Key) ([]*fs.Record, error) { runtime.Goexit(); return nil, nil }, fs.ErrGoexit},
	} {
		r, err := fs.NewReadThrough(s, view, c.getAll)
		require.NoError(t, err)
		if name == "error" || name == "too few" {
			l := lookup(view, 0, 2)
			require.ErrorIs(t, r.Read(t.Context(), l), c.want, name)
			require.Nil(t, l[0].Errs)
		}
		l := append(lookup(other, 0), lookup(view, 0, 2)...)
		require.NoError(t, r.Read(t.Context(), l), name)
		require.Equal(t, []int64{100}, eventsOf(l[0]))
		for _, err := range l[1].Errs {
			require.Error(t, err, name)
			if c.want != nil {
				require.ErrorIs(t, err, c.want, name)
			}
		}
		require.Len(t, l[1].Errs, 2)
	}
	// The store fails and the cache does not; then both do.
	s.onRead = func(_ context.Context, l []fs.Lookup) error {
		if l[0].View == other {
			return errStore
		}
		return nil
	}
	l = append(lookup(other, 0), lookup(view, 0)...)
	require.NoError(t, r.Read(t.Context(), l))
	require.Equal(t, []error{errStore}, l[0].Errs)
	require.Equal(t, []int64{100}, eventsOf(l[1]))
	s.onRead = func(context.Context, []fs.Lookup) error { return errStore }
	require.ErrorIs(t, r.Read(t.Context(), append(lookup(other, 0), lookup(view, 2)...)), errStore)
}

// The store and the cache are asked at the same time.
func TestReadThroughReadsBothAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, other := streamViews(t)
		s := &scripted{Store: streamMem(t), onRead: func(context.Context, []fs.Lookup) error { time.Sleep(time.Second); return nil }}
		r, _ := readThrough(t, s, view)
		began := time.Now()
		require.NoError(t, r.Read(t.Context(), append(lookup(other, 0), lookup(view, 2)...)))
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestLoaderAndCachedFeatures(t *testing.T) {
	_, other := streamViews(t)
	s := &scripted{Store: streamMem(t)}
	writeAll(t, s, other, 2)
	var got []int
	s.onRead = func(_ context.Context, l []fs.Lookup) error { got = l[0].Features; return nil }
	load, err := fs.NewLoader(s, other, "text", "count", "text")
	require.NoError(t, err)
	records, err := load(t.Context(), []fs.Key{fs.IntKey(1), fs.IntKey(7)})
	require.NoError(t, err)
	require.EqualValues(t, 101, records[0].EventNanos())
	require.Nil(t, records[1])
	require.Equal(t, []int{0, 1}, got)
	load, err = fs.NewLoader(s, other, "text")
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStore)
	_, err = load(ctx, nil)
	require.Equal(t, errStore, err)
	s.onRead = func(_ context.Context, l []fs.Lookup) error { got = l[0].Features; l[0].Fail(1, errStore); return nil }
	records, err = load(t.Context(), []fs.Key{fs.IntKey(1), fs.IntKey(7)})
	require.Equal(t, fs.KeyErrors{nil, errStore}, err)
	require.ErrorIs(t, err, errStore)
	require.ErrorContains(t, err, "1 of 2 keys")
	require.EqualValues(t, 101, records[0].EventNanos())
	s.onRead = nil

	asks := 0
	r, err := fs.NewReadThrough(s, other, func(ctx context.Context, keys []fs.Key) ([]*fs.Record, error) { asks++; return load(ctx, keys) },
		fs.WithCachedFeatures("text"))
	require.NoError(t, err)
	l := lookup(other, 0)
	require.NoError(t, r.Read(t.Context(), l), "of feature 0, which is not cached")
	require.Zero(t, asks)
	l[0].Features = []int{1}
	require.NoError(t, r.Read(t.Context(), l))
	require.Equal(t, 1, asks)

	for _, err := range []error{
		second(fs.NewLoader(s, other, "nope")),
		second(fs.NewReadThrough(s, other, r0, fs.WithCachedFeatures("nope"))),
	} {
		require.ErrorIs(t, err, fs.ErrNotFound)
	}
	for _, err := range []error{
		second(fs.NewLoader(nil, other)), second(fs.NewLoader(s, nil)), second(fs.NewReadThrough(s, other, nil)),
		second(fs.NewReadThrough(nil, other, r0)), second(fs.NewReadThrough(s, other, r0, nil)),
		second(fs.NewReadThrough(s, other, r0, fs.WithInvalidate(nil))),
	} {
		require.Error(t, err)
	}
}

func r0(context.Context, []fs.Key) ([]*fs.Record, error) { return nil, nil }
