package featurestore_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// decoder is a store that makes the records of each read: those of its rows, of one view, by the entity's number. It makes them in two parts.
type decoder struct {
	fs.Store
	rows map[int64]decoded
}

type decoded struct {
	event time.Time
	x     int64   // none if 0
	text  string  // none if empty
	vec   float32 // none if 0
}

func (d *decoder) Read(_ context.Context, lookups []fs.Lookup) error {
	for i := range lookups {
		l := &lookups[i]
		var part []fs.Record
		for j, key := range l.Keys {
			row, ok := d.rows[idOf(l, key)]
			if !ok {
				continue
			}
			if len(part) == 0 {
				part = l.NewRecords(d, (len(l.Keys)+1)/2)
			}
			r := &part[0]
			part = part[1:]
			r.SetEventNanos(row.event.UnixNano())
			if row.x != 0 {
				l.View.SetBits(r, 0, uint64(row.x))
			}
			if row.text != "" {
				l.View.SetStr(r, 1, row.text)
			}
			if row.vec != 0 {
				copy(l.View.SetVector(r, 2), []float32{row.vec, row.vec})
			}
			l.Rows[j] = r
		}
	}
	return nil
}

func idOf(l *fs.Lookup, key fs.Key) int64 {
	var room [1]fs.Value
	parts, err := l.View.Entity().Parts(room[:0], key)
	if err != nil {
		panic(err)
	}
	return parts[0].Int()
}

// keeper keeps the rows that it sees, as a cache does. It has the decoder's other methods.
type keeper struct {
	*decoder
	kept []*fs.Record
}

func (k *keeper) Read(ctx context.Context, lookups []fs.Lookup) error {
	err := k.decoder.Read(ctx, lookups)
	for i := range lookups {
		k.kept = append(k.kept, lookups[i].Rows...)
	}
	return err
}

var decodedView = fs.View{Name: "v", Entity: "user", TTL: fs.Duration(time.Hour), Features: []fs.Feature{
	{Name: "x", Kind: fs.Int64}, {Name: "text", Kind: fs.String}, {Name: "vec", Kind: fs.Vector, Dim: 2},
}}

func newDecoder(t *testing.T, wrap func(*decoder) fs.Store) (*decoder, *fs.Reader) {
	t.Helper()
	d := &decoder{rows: map[int64]decoded{}}
	online, _ := newOnline(t, wrap(d), fs.Definitions{
		Entities: []fs.Entity{{Name: "user", JoinKeys: []fs.JoinKey{{Name: "user_id", Kind: fs.Int64}}}},
		Views:    []fs.View{decodedView},
		Services: []fs.Service{{Name: "s", Version: 1, Features: []string{"v:x", "v:vec"}}},
	}, nil)
	reader, err := online.Reader("s", 0)
	require.NoError(t, err)
	return d, reader
}

func plainly(d *decoder) fs.Store { return d }

func ask(ids ...int64) fs.Request {
	return fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", ids...)}}
}

func TestRecordsThatAreUsedAgainAreEmpty(t *testing.T) {
	d, reader := newDecoder(t, plainly)
	nan := float32(math.NaN())
	now := time.Now()
	var m fs.Matrix
	for round, c := range []struct {
		rows map[int64]decoded
		want [][]float32
	}{
		{map[int64]decoded{1: {now, 10, "a", 11}, 2: {now, 20, "b", 21}, 3: {now, 30, "c", 31}}, [][]float32{{10, 11, 11}, {20, 21, 21}, {30, 31, 31}}},
		{map[int64]decoded{1: {now, 0, "", 12}, 2: {now, 0, "", 0}, 3: {now, 33, "", 0}}, [][]float32{{nan, 12, 12}, {nan, nan, nan}, {33, nan, nan}}},
		{map[int64]decoded{2: {now.Add(-2 * time.Hour), 24, "", 25}, 3: {now, 0, "", 35}}, [][]float32{{nan, nan, nan}, {nan, nan, nan}, {nan, 35, 35}}},
	} {
		d.rows = c.rows
		require.NoError(t, reader.Matrix(t.Context(), ask(1, 2, 3), &m))
		for i, want := range c.want {
			for j, x := range want {
				missing := x != x
				assert.Equal(t, !missing, m.PresentRow(i)[j], "round %d, row %d, column %d", round, i, j)
				if got := m.Row(i)[j]; got != x && !missing || missing != (got != got) {
					t.Errorf("round %d, row %d, column %d is %v, want %v", round, i, j, got, x)
				}
			}
		}
	}
}

// What a caller has got to see is its own: the records of a Result, even one that is filled again, and those that a layer around the store keeps.
func TestRowsThatAreHandedOutAreNotUsedAgain(t *testing.T) {
	now := time.Now()
	t.Run("a result", func(t *testing.T) {
		d, reader := newDecoder(t, plainly)
		d.rows[1] = decoded{event: now, x: 1, vec: 1}
		var m fs.Matrix
		require.NoError(t, reader.Matrix(t.Context(), ask(1), &m))
		var result fs.Result
		require.NoError(t, reader.Read(t.Context(), ask(1), &result))
		seen := result.Value(0, 1).Vector()
		d.rows[1] = decoded{event: now, x: 2, vec: 2}
		require.NoError(t, reader.Matrix(t.Context(), ask(1), &m))
		assert.Equal(t, int64(1), result.Value(0, 0).Int())
		require.NoError(t, reader.Read(t.Context(), ask(1), &result))
		assert.Equal(t, []float32{1, 1}, seen)
	})
	t.Run("a layer", func(t *testing.T) {
		k := new(keeper)
		d, reader := newDecoder(t, func(d *decoder) fs.Store { k.decoder = d; return k })
		var m fs.Matrix
		for x := range int64(3) {
			d.rows[1] = decoded{event: now, x: x + 1}
			require.NoError(t, reader.Matrix(t.Context(), ask(1), &m))
		}
		for i, r := range k.kept {
			assert.True(t, r.Has(0))
			assert.Equal(t, now.UnixNano(), r.EventNanos())
			for _, other := range k.kept[:i] {
				assert.NotSame(t, other, r)
			}
		}
	})
}

func TestMatrixOfAStoreThatDecodesDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	d, reader := newDecoder(t, plainly)
	ids := make([]int64, 100)
	for i := range ids {
		ids[i] = int64(i)
		d.rows[ids[i]] = decoded{event: time.Now(), x: 1, text: "text", vec: 1}
	}
	req := ask(ids...)
	var m fs.Matrix
	assert.Less(t, testing.AllocsPerRun(100, func() {
		if err := reader.Matrix(context.Background(), req, &m); err != nil || !m.Present[len(m.Present)-1] {
			t.Fatal(err)
		}
	}), 1.0)
}
