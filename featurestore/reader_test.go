package featurestore_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func service(features ...string) fs.Definitions {
	defs := userAndItem()
	defs.Services = []fs.Service{{Name: "m", Version: 1, Features: features}}
	return defs
}

func TestStatusAndDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		online, registry := newOnline(t, nil, service("profile:*", "world:holiday", "seen:times"), nil)
		profile := view(t, registry, "profile")
		at := time.Now().UTC()
		put(t, online, profile, at, []any{1}, "age", int32(30), "country", "DE", "spend", 2.5, "taste", []float32{1, 2, 3}, "vip", true)
		put(t, online, profile, at, []any{2}, "age", int32(31))
		put(t, online, view(t, registry, "seen"), at, []any{1, "a"}, "times", 4)
		req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2, 3), fs.StringKeys("sku", "a")}}
		result, err := online.Get(t.Context(), "m", req)
		require.NoError(t, err)
		require.Equal(t, 3, result.Rows())
		require.Len(t, result.Columns(), 7)
		statuses := func(row int) []fs.Status {
			var s []fs.Status
			for col := range result.Columns() {
				s = append(s, result.Status(row, col))
			}
			return s
		}
		P, M, D := fs.Present, fs.Missing, fs.Default
		assert.Equal(t, []fs.Status{P, P, P, P, P, M, P}, statuses(0))
		assert.Equal(t, []fs.Status{P, D, D, D, M, M, M}, statuses(1))
		assert.Equal(t, []fs.Status{M, D, D, D, M, M, M}, statuses(2))
		assert.Equal(t, "DE", result.Value(0, 1).Str())
		assert.Equal(t, []float32{1, 2, 3}, result.Value(0, 3).Vector())
		assert.EqualValues(t, 4, result.Value(0, 6).Int())
		assert.Equal(t, "??", result.Value(2, 1).Str())
		assert.InDelta(t, 1.5, result.Value(1, 2).Float(), 0)
		assert.Equal(t, []float32{7, 8, 9}, result.Value(1, 3).Vector())
		assert.True(t, result.Value(2, 0).IsNull())
		assert.Equal(t, at, result.EventTime(0, 0))
		assert.True(t, result.EventTime(2, 0).IsZero())
		assert.Equal(t, time.Now().UTC(), result.Time())
	})
}

func TestTTLAtItsBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		online, registry := newOnline(t, newMapStore(), service("profile:age", "profile:spend"), nil)
		reader, err := online.Reader("m", 0)
		require.NoError(t, err)
		at := time.Now()
		put(t, online, view(t, registry, "profile"), at.Add(time.Minute), []any{1}, "age", int32(30), "spend", 2.5) // from the future
		status := func() (fs.Status, fs.Status, float32, bool) {
			req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}}
			result, err := reader.Do(t.Context(), req)
			require.NoError(t, err)
			var m fs.Matrix
			require.NoError(t, reader.Matrix(t.Context(), req, &m))
			return result.Status(0, 0), result.Status(0, 1), m.Data[1], m.Present[1]
		}
		expect := func(age, spend fs.Status, x float32) {
			t.Helper()
			a, s, v, present := status()
			assert.Equal(t, age, a)
			assert.Equal(t, spend, s)
			assert.Equal(t, x, v)
			assert.Equal(t, age == fs.Present, present)
		}
		expect(fs.Present, fs.Present, 2.5)
		assert.EqualValues(t, 2, online.Stats().Views["profile"].Future)
		time.Sleep(time.Minute + time.Hour - 1)
		expect(fs.Present, fs.Present, 2.5)
		time.Sleep(time.Nanosecond)
		expect(fs.Expired, fs.Default, 1.5)
		result, err := reader.Do(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
		require.NoError(t, err)
		assert.True(t, result.EventTime(0, 0).Equal(at.Add(time.Minute)))
		stats := online.Stats().Views["profile"]
		assert.Equal(t, []uint64{4, 3}, []uint64{stats.Present, stats.Expired})
		assert.Equal(t, time.Hour, stats.MaxAge)
		assert.InDelta(t, 2*(time.Hour-1).Seconds()+3*time.Hour.Seconds(), stats.AgeSeconds, 1e-3)
	})
}

func TestRequestThatDoesNotFit(t *testing.T) {
	defs := userAndItem()
	defs.Entities = append(defs.Entities, fs.Entity{Name: "small", JoinKeys: []fs.JoinKey{{Name: "small_id", Kind: fs.Int32}}})
	defs.Views = append(defs.Views, fs.View{Name: "smalls", Entity: "small", Features: []fs.Feature{{Name: "f", Kind: fs.Int64}}})
	defs.Services = []fs.Service{{
		Name: "m", Version: 1, Features: []string{"profile:age", "stock:left", "smalls:f"},
		Request: []fs.Feature{{Name: "now", Kind: fs.Int64}, {Name: "where", Kind: fs.Vector, Dim: 2, Default: fs.VectorValue([]float32{0, 0})}},
	}}
	online, _ := newOnline(t, nil, defs, nil)
	users, skus, small := fs.IntKeys("user_id", 1, 2), fs.StringKeys("sku", "a"), fs.IntKeys("small_id", 1)
	now := fs.Int64Column("now", 5)
	keys := func(k ...fs.KeyColumn) []fs.KeyColumn { return k }
	for name, c := range map[string]struct {
		keys   []fs.KeyColumn
		fields []fs.Column
		says   string
	}{
		"key missing":       {keys(users, small), []fs.Column{now}, `key "sku" is missing`},
		"key unknown":       {keys(users, skus, small, fs.IntKeys("x", 1)), []fs.Column{now}, `key "x" is none of the service's`},
		"key twice":         {keys(users, skus, small, users), []fs.Column{now}, `key "user_id" is given twice`},
		"text for integers": {keys(fs.StringKeys("user_id", "1"), skus, small), []fs.Column{now}, `key "user_id" is of type int64, text given`},
		"integers for text": {keys(users, fs.IntKeys("sku", 1), small), []fs.Column{now}, `key "sku" is of type string, integers given`},
		"two types":         {keys(users, fs.KeyColumn{Name: "sku", Ints: []int64{1}, Strs: []string{"a"}}, small), []fs.Column{now}, `more than one type`},
		"rows":              {keys(users, fs.StringKeys("sku", "a", "b", "c"), small), []fs.Column{now}, `column "sku" has 3 rows, column "user_id" has 2`},
		"no rows":           {keys(users, fs.StringKeys("sku"), small), []fs.Column{now}, `column "sku" has 0 rows`},
		"int32":             {keys(users, skus, fs.IntKeys("small_id", math.MaxInt32+1)), []fs.Column{now}, `out of the range of int32`},
		"field missing":     {keys(users, skus, small), nil, `field "now" is missing`},
		"field unknown":     {keys(users, skus, small), []fs.Column{now, fs.Int64Column("x", 1)}, `field "x" is none of the service's`},
		"field twice":       {keys(users, skus, small), []fs.Column{now, now}, `field "now" is given twice`},
		"field kind":        {keys(users, skus, small), []fs.Column{fs.Float64Column("now", 1)}, `field "now" is of type float64, not int64`},
		"field rows":        {keys(users, skus, small), []fs.Column{fs.Int64Column("now", 1, 2, 3)}, `column "now" has 3 rows`},
		"field dimension":   {keys(users, skus, small), []fs.Column{now, fs.VectorColumn("where", 3, 1, 2, 3)}, `type vector of 3, not vector of 2`},
		"field elements":    {keys(users, skus, small), []fs.Column{now, fs.VectorColumn("where", 2, 1, 2, 3)}, `3 elements of type vector, not 2 for its 1 rows`},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := online.Get(t.Context(), "m", fs.Request{Keys: c.keys, Fields: c.fields})
			require.ErrorIs(t, err, fs.ErrRequest)
			assert.ErrorContains(t, err, c.says)
			assert.Nil(t, result)
		})
	}
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: keys(users, skus, small), Fields: []fs.Column{now}})
	require.NoError(t, err)
	assert.Equal(t, 2, result.Rows())
	assert.EqualValues(t, 16, online.Stats().Failed)
}

func TestNoRows(t *testing.T) {
	online, _ := newOnline(t, &stub{Store: newMemory(t), read: func(context.Context, []fs.Lookup) error {
		t.Error("nothing is to be looked up")
		return nil
	}}, service("profile:age", "stock:left"), nil)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1), fs.StringKeys("sku")}}
	result, err := online.Get(t.Context(), "m", req)
	require.NoError(t, err)
	assert.Zero(t, result.Rows())
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	var m fs.Matrix
	require.NoError(t, reader.Matrix(t.Context(), req, &m))
	assert.Equal(t, 2, m.Cols)
	assert.Empty(t, m.Data)
}

func TestViewWithoutEntity(t *testing.T) {
	online, registry := newOnline(t, nil, service("world:holiday"), nil)
	put(t, online, view(t, registry, "world"), time.Now(), nil, "holiday", true)
	result, err := online.Get(t.Context(), "m", fs.Request{})
	require.NoError(t, err)
	require.Equal(t, 1, result.Rows())
	assert.True(t, result.Value(0, 0).Bool())
}

func TestBroadcastKeyIsLookedUpOnce(t *testing.T) {
	store := &stub{Store: newMemory(t)}
	online, registry := newOnline(t, store, service("profile:age", "stock:left", "seen:times"), nil)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{7}, "age", int32(30))
	put(t, online, view(t, registry, "stock"), time.Now(), []any{"b"}, "left", 5)
	put(t, online, view(t, registry, "seen"), time.Now(), []any{7, "c"}, "times", 9)
	calls := 0
	store.read = func(ctx context.Context, lookups []fs.Lookup) error {
		calls++
		for _, l := range lookups {
			want := 3
			if l.View.Name() == "profile" {
				want = 1
			}
			assert.Len(t, l.Keys, want, l.View.Name())
			assert.Len(t, l.Features, 1, "only what is wanted")
		}
		return store.Store.Read(ctx, lookups)
	}
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 7), fs.StringKeys("sku", "a", "b", "c")}})
	require.NoError(t, err)
	assert.Equal(t, 1, calls)
	for row := range 3 {
		assert.EqualValues(t, 30, result.Value(row, 0).Int())
	}
	assert.EqualValues(t, -1, result.Value(0, 1).Int())
	assert.EqualValues(t, 5, result.Value(1, 1).Int())
	assert.Equal(t, fs.Missing, result.Status(1, 2))
	assert.EqualValues(t, 9, result.Value(2, 2).Int())
	assert.Panics(t, func() { result.Value(3, 0) }, "a row that there is not, of a key that goes for all")
}

func TestLookupsNameFeaturesOnce(t *testing.T) {
	store := &stub{Store: newMemory(t)}
	defs := service("profile:vip", "out", "profile:age", "profile:spend")
	defs.Services[0].Transforms = []fs.Transform{{
		Name: "add", Op: "add", Inputs: []string{"profile:vip", "profile:age"}, Outputs: []fs.Feature{{Name: "out", Kind: fs.Int64}},
	}}
	online, _ := newOnline(t, store, defs, ops())
	store.read = func(_ context.Context, lookups []fs.Lookup) error {
		assert.Len(t, lookups, 1)
		assert.Equal(t, []int{0, 2, 4}, lookups[0].Features)
		return nil
	}
	_, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 7)}})
	require.NoError(t, err)
}

func TestAStoreWithAPartialErrorOfItsOwn(t *testing.T) {
	store := &stub{Store: newMemory(t), read: func(context.Context, []fs.Lookup) error { return &fs.PartialError{Rows: 1} }}
	online, _ := newOnline(t, store, service("profile:age"), nil)
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.Error(t, err)
	var partial *fs.PartialError
	assert.NotErrorAs(t, err, &partial) // there is a result beside one
	assert.Nil(t, result)
	assert.EqualValues(t, 1, online.Stats().Failed)
	store.read = func(_ context.Context, lookups []fs.Lookup) error { lookups[0].Fail(0, errors.New("down")); return nil }
	_, err = online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.Error(t, err)
	assert.Zero(t, online.Stats().Rows) // none was read
}

func TestStoreFails(t *testing.T) {
	boom := errors.New("boom")
	store := &stub{Store: newMemory(t), read: func(context.Context, []fs.Lookup) error { return boom }}
	online, _ := newOnline(t, store, service("profile:age"), nil)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}}
	result, err := online.Get(t.Context(), "m", req)
	assert.Equal(t, boom, err, "as it is")
	assert.Nil(t, result)
	store.read = func(_ context.Context, lookups []fs.Lookup) error {
		lookups[0].Rows = nil
		return nil
	}
	_, err = online.Get(t.Context(), "m", req)
	assert.ErrorContains(t, err, "changed the number of rows")
}

func TestContextHasEnded(t *testing.T) {
	store := &stub{Store: newMemory(t), read: func(context.Context, []fs.Lookup) error { t.Error("read"); return nil }}
	online, _ := newOnline(t, store, service("profile:age"), nil)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := online.Get(ctx, "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	assert.Equal(t, why, err)
	_, err = online.Write(ctx, "profile", nil)
	assert.Equal(t, why, err)
	assert.Equal(t, why, online.Delete(ctx, "profile", nil))
}

func TestPartialResult(t *testing.T) {
	boom := errors.New("boom")
	store := &stub{Store: newMemory(t)}
	online, registry := newOnline(t, store, service("profile:age", "profile:spend", "stock:left"), nil)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30), "spend", 3.5)
	put(t, online, view(t, registry, "stock"), time.Now(), []any{"a"}, "left", 5)
	store.read = func(ctx context.Context, lookups []fs.Lookup) error {
		if err := store.Store.Read(ctx, lookups); err != nil {
			return err
		}
		lookups[0].Rows[1] = nil
		lookups[0].Fail(1, boom)
		return nil
	}
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2), fs.StringKeys("sku", "a")}}
	result, err := reader.Do(t.Context(), req)
	var partial *fs.PartialError
	require.ErrorAs(t, err, &partial)
	require.ErrorIs(t, err, boom)
	assert.Equal(t, []fs.ViewError{{View: "profile", Rows: []int{1}, Errs: []error{boom}}}, partial.Views)
	assert.ErrorContains(t, err, `1 of 2 rows of view "profile" could not be read (boom)`)
	assert.EqualValues(t, 30, result.Value(0, 0).Int())
	assert.Equal(t, fs.Unavailable, result.Status(1, 0))
	assert.True(t, result.Value(1, 0).IsNull())
	assert.Equal(t, fs.Unavailable, result.Status(1, 1))
	assert.InDelta(t, 1.5, result.Value(1, 1).Float(), 0, "the default, but not as one")
	assert.True(t, result.EventTime(1, 0).IsZero())
	assert.EqualValues(t, 5, result.Value(1, 2).Int())

	var m fs.Matrix
	require.ErrorAs(t, reader.Matrix(t.Context(), req, &m), &partial)
	assert.Equal(t, []float32{30, 3.5, 5}, m.Row(0))
	assert.True(t, math.IsNaN(float64(m.Row(1)[0])))
	assert.Equal(t, []float32{1.5, 5}, m.Row(1)[1:])
	assert.Equal(t, []bool{true, true, true, false, false, true}, m.Present)

	store.read = func(_ context.Context, lookups []fs.Lookup) error {
		for i := range lookups {
			for j := range lookups[i].Keys {
				lookups[i].Fail(j, boom)
			}
		}
		return nil
	}
	result, err = reader.Do(t.Context(), req)
	require.ErrorIs(t, err, boom)
	assert.Nil(t, result)
	assert.NotErrorAs(t, err, &partial, "there is no result beside it")
	require.ErrorIs(t, reader.Matrix(t.Context(), req, &m), boom)
	assert.Zero(t, m.Rows)
	assert.Empty(t, m.Data)
	stats := online.Stats()
	assert.EqualValues(t, 4, stats.Reads)
	assert.EqualValues(t, 2, stats.Partial)
	assert.EqualValues(t, 2, stats.Failed)
	assert.EqualValues(t, 6, stats.Views["profile"].Unavailable)
}

func TestKeyForAllRowsThatFails(t *testing.T) {
	store := &stub{Store: newMemory(t)}
	store.read = func(_ context.Context, lookups []fs.Lookup) error {
		lookups[0].Fail(0, errors.New("boom"))
		return nil
	}
	online, _ := newOnline(t, store, service("profile:age", "stock:left"), nil)
	_, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1), fs.StringKeys("sku", "a", "b")}})
	var partial *fs.PartialError
	require.ErrorAs(t, err, &partial)
	assert.Equal(t, []int{0, 1}, partial.Views[0].Rows)
	assert.Len(t, partial.Unwrap(), 1)
}

func TestRecordOfAnotherViewIsNotTaken(t *testing.T) {
	store := &stub{Store: newMemory(t)}
	online, registry := newOnline(t, store, service("profile:age", "stock:left"), nil)
	stock := view(t, registry, "stock")
	store.read = func(_ context.Context, lookups []fs.Lookup) error {
		lookups[0].Rows[0] = stock.NewRecord(time.Now())
		return nil
	}
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1), fs.StringKeys("sku", "a")}})
	require.ErrorIs(t, err, fs.ErrRow)
	assert.Equal(t, fs.Unavailable, result.Status(0, 0))
}

func TestAgesBeyondAnInt64(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age"), nil)
	put(t, online, view(t, registry, "profile"), time.Unix(0, math.MinInt64+1), []any{1}, "age", int32(30))
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.NoError(t, err)
	assert.Equal(t, fs.Expired, result.Status(0, 0))
	stats := online.Stats().Views["profile"]
	assert.Zero(t, stats.Future)
	assert.EqualValues(t, uint64(math.MaxInt64), stats.MaxAge)
}
