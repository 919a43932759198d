package memstore_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

func present(t testing.TB, s *memstore.Store, view *fs.Schema, from, to int64) (n int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, ok := s.EventTime(view, fs.IntKey(i)); ok {
			n++
		}
	}
	return n
}

func TestMaxRowsIsExact(t *testing.T) {
	for _, shards := range []int{1, 64} {
		view := counts(t, 0)
		evicted := map[fs.Key]int{}
		s := open(t, memstore.Config{MaxRows: 100, Shards: shards, OnEvict: func(e memstore.EvictEvent) {
			assert.False(t, e.Expired)
			assert.Same(t, view, e.View)
			evicted[e.Key]++
		}})
		for i := range int64(1000) {
			write(t, s, view, row(t, view, fs.IntKey(i), 1))
			assert.Equal(t, int(min(i+1, 100)), s.Stats().Rows)
			assert.NotNil(t, read(t, s, view, fs.IntKey(i))[0], "the row just written")
		}
		assert.Equal(t, 100, present(t, s, view, 0, 1000))
		assert.Equal(t, uint64(900), s.Stats().Evicted)
		assert.Len(t, evicted, 900)
		for key, times := range evicted {
			assert.Equal(t, 1, times)
			_, ok := s.EventTime(view, key)
			assert.False(t, ok)
		}
		// The event time of a row that was evicted is forgotten.
		for key := range evicted {
			assert.Equal(t, []fs.Outcome{fs.Written}, write(t, s, view, row(t, view, key, -5)))
			break
		}
	}
}

func TestWhatIsReadStays(t *testing.T) {
	view := counts(t, 0)
	s := open(t, memstore.Config{MaxRows: 100, Shards: 1})
	// When the store is full for the first time all rows are new, and the hand comes round to where it began: the first to go is any of them.
	for i := range int64(300) {
		write(t, s, view, row(t, view, fs.IntKey(30_000+i), 1))
	}
	for i := range int64(10_000) {
		write(t, s, view, row(t, view, fs.IntKey(i), 1))
		read(t, s, view, fs.IntKey(0), fs.IntKey(1), fs.IntKey(2))
	}
	assert.Equal(t, 3, present(t, s, view, 0, 3), "the hand passes each row once in a hundred writes, and these have been read in between")
	assert.Equal(t, 100, s.Stats().Rows)
	// What is written is used, too.
	for i := range int64(1000) {
		write(t, s, view, row(t, view, fs.IntKey(20_000+i), 1), row(t, view, fs.IntKey(-1), i))
	}
	assert.Equal(t, 1, present(t, s, view, -1, 0))
	assert.Zero(t, present(t, s, view, 0, 3), "no longer read")
}

func TestMaxBytes(t *testing.T) {
	view := schema(t, 0, fs.Feature{Name: "text", Kind: fs.String})
	text := func(key int64, size int) fs.Row {
		r := view.NewRecord(time.Unix(0, key))
		require.NoError(t, view.SetValue(r, 0, fs.StringValue(strings.Repeat("x", size))))
		return fs.Row{Key: fs.IntKey(key), Record: r}
	}
	s := open(t, memstore.Config{MaxBytes: 100_000})
	for i := range int64(1000) {
		write(t, s, view, text(i+1, 1000))
		assert.LessOrEqual(t, s.Stats().Bytes, int64(100_000))
	}
	assert.Greater(t, s.Stats().Rows, 70)
	write(t, s, view, text(2000, 1_000_000)) // by itself too large: it is the only one
	assert.Equal(t, 1, s.Stats().Rows)
	assert.NotNil(t, read(t, s, view, fs.IntKey(2000))[0])
	write(t, s, view, text(2001, 10))
	assert.Equal(t, 1, s.Stats().Rows)
	assert.Less(t, s.Stats().Bytes, int64(1000))
	require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(2001)}))
	assert.Zero(t, s.Stats().Bytes)
	assert.Zero(t, s.Stats().Rows)
}

func TestBytesFollowWhatIsThere(t *testing.T) {
	view := schema(t, 0, fs.Feature{Name: "text", Kind: fs.String})
	s := open(t, memstore.Config{})
	for i := range int64(100) {
		r := view.NewRecord(time.Unix(0, i))
		require.NoError(t, view.SetValue(r, 0, fs.StringValue(strings.Repeat("x", int(i*37%50)*100))))
		write(t, s, view, fs.Row{Key: fs.IntKey(i % 7), Record: r})
	}
	for i := range int64(7) {
		require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(i)}))
	}
	assert.Zero(t, s.Stats().Bytes)
}

func TestWritesReclaimWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := counts(t, time.Hour)
		var expired int
		s := open(t, memstore.Config{OnEvict: func(e memstore.EvictEvent) {
			assert.True(t, e.Expired)
			expired++
		}})
		// An entity a second for a day, each written once: an hour of them counts.
		for i := range int64(24 * 3600) {
			write(t, s, view, row(t, view, fs.IntKey(i), time.Now().UnixNano()))
			time.Sleep(time.Second)
			assert.Less(t, s.Stats().Rows, 3*3600)
			if i%1000 == 0 { // none of those that count has gone
				assert.Equal(t, int(min(i+1, 3599)), present(t, s, view, max(0, i-3598), i+1))
			}
		}
		s.Sweep()
		assert.Equal(t, 3599, s.Stats().Rows, "the row that is an hour old has expired")
		assert.Equal(t, uint64(expired), s.Stats().Expired)
		assert.Equal(t, 24*3600-3599, expired)
	})
}

// TestWritesOfKnownKeysReclaim: where no row is added, and so no table rebuilt.
func TestWritesOfKnownKeysReclaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := counts(t, time.Hour)
		s := open(t, memstore.Config{Shards: 1})
		for i := range int64(1000) {
			write(t, s, view, row(t, view, fs.IntKey(i), time.Now().UnixNano()))
		}
		time.Sleep(time.Hour)
		for i := range int64(1024) { // a quarter of the slots, which are four times the rows at most
			write(t, s, view, row(t, view, fs.IntKey(0), time.Now().UnixNano()+i))
		}
		assert.Equal(t, 1, s.Stats().Rows)
	})
}

// TestARowDoesNotKeepItsBatch: of each batch one row is kept.
func TestARowDoesNotKeepItsBatch(t *testing.T) {
	view := counts(t, 0)
	s := open(t, memstore.Config{})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range int64(100) {
		records := view.NewRecords(time.Unix(0, i), 1000)
		write(t, s, view, fs.Row{Key: fs.IntKey(i), Record: &records[500]})
	}
	assert.Less(t, int64(heap())-int64(before), int64(2<<20), "all batches take more than 10 MB")
	assert.Equal(t, 100, s.Stats().Rows)
}

func TestExpiredRowsGoBeforeOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := counts(t, time.Hour)
		s := open(t, memstore.Config{MaxRows: 100, Shards: 1})
		for i := range int64(50) {
			write(t, s, view, row(t, view, fs.IntKey(i), time.Now().UnixNano()))
		}
		time.Sleep(time.Hour)
		for i := range int64(100) {
			write(t, s, view, row(t, view, fs.IntKey(100+i), time.Now().UnixNano()))
		}
		assert.Equal(t, 100, present(t, s, view, 100, 200))
		assert.Equal(t, memstore.Stats{Written: 150, Expired: 50, Rows: 100, Bytes: s.Stats().Bytes}, s.Stats())
	})
}

func TestVersionsOfAView(t *testing.T) {
	one := schema(t, 0, fs.Feature{Name: "a", Kind: fs.Int64}, fs.Feature{Name: "b", Kind: fs.String})
	again := schema(t, 0, one.Features()...)
	two := schema(t, 0, fs.Feature{Name: "c", Kind: fs.Bool}, fs.Feature{Name: "a", Kind: fs.Int64})
	bad := schema(t, 0, fs.Feature{Name: "a", Kind: fs.Float64})
	s := open(t, memstore.Config{})
	write(t, s, one, row(t, one, fs.IntKey(1), 10))
	assert.Equal(t, int64(10), again.Value(read(t, s, again, fs.IntKey(1))[0], 0).Int())
	r := two.NewRecord(time.Unix(0, 20))
	require.NoError(t, two.SetValue(r, 1, fs.Int64Value(20)))
	write(t, s, two, fs.Row{Key: fs.IntKey(2), Record: r})
	rows := read(t, s, two, fs.IntKey(1), fs.IntKey(2), fs.IntKey(3))
	assert.Equal(t, int64(10), two.Value(rows[0], 1).Int())
	assert.Equal(t, int64(20), two.Value(rows[1], 1).Int())
	assert.Nil(t, rows[2])
	rows = read(t, s, one, fs.IntKey(1), fs.IntKey(2))
	assert.Equal(t, int64(20), one.Value(rows[1], 0).Int())

	lookups := []fs.Lookup{{View: bad, Keys: []fs.Key{fs.IntKey(3), fs.IntKey(1)}, Rows: make([]*fs.Record, 2)}}
	require.NoError(t, s.Read(t.Context(), lookups))
	assert.NoError(t, lookups[0].Errs[0])
	assert.ErrorIs(t, lookups[0].Errs[1], fs.ErrRow)
	assert.Nil(t, lookups[0].Rows[1])
	// Once it is replaced it is good.
	write(t, s, bad, fs.Row{Key: fs.IntKey(1), Record: bad.NewRecord(time.Unix(0, 11))})
	assert.NotNil(t, read(t, s, bad, fs.IntKey(1))[0])
}

// TestReadersDoNotMissWhatIsThere: while other rows come and go, and the table is rebuilt over and over, readers see each of some rows that stay, and their
// event times do not go back.
func TestReadersDoNotMissWhatIsThere(t *testing.T) {
	view := counts(t, 0)
	const stay = 40
	s := open(t, memstore.Config{Shards: 1})
	keys := make([]fs.Key, stay)
	for i := range keys {
		keys[i] = fs.IntKey(int64(i))
		write(t, s, view, row(t, view, keys[i], 1))
	}
	n := int64(30_000)
	if testing.Short() {
		n = 3000
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := make([]int64, stay)
			lookups := []fs.Lookup{{View: view, Keys: keys, Rows: make([]*fs.Record, stay)}}
			for {
				select {
				case <-done:
					return
				default:
				}
				clear(lookups[0].Rows)
				if !assert.NoError(t, s.Read(t.Context(), lookups)) {
					return
				}
				for i, r := range lookups[0].Rows {
					if r == nil || r.EventNanos() < last[i] || view.Value(r, 0).Int() != r.EventNanos() {
						t.Errorf("key %d: after event time %d there is %v", i, last[i], r)
						return
					}
					last[i] = r.EventNanos()
				}
			}
		})
	}
	for i := range n {
		write(t, s, view, row(t, view, fs.IntKey(1000+i%97), i), row(t, view, keys[i%stay], 2+i))
		require.NoError(t, s.Delete(t.Context(), view, []fs.Key{fs.IntKey(1000 + (i*31)%97)}))
	}
	close(done)
	readers.Wait()
}
