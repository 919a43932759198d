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

func TestWriteKeepsTheGoodRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		online, registry := newOnline(t, nil, service("profile:age"), nil)
		profile, stock := view(t, registry, "profile"), view(t, registry, "stock")
		now := time.Now()
		of := func(event time.Time, age int32) *fs.Record {
			r, err := profile.RecordOf(event, "age", age)
			require.NoError(t, err)
			return r
		}
		noTime := of(now, 1)
		noTime.SetEventNanos(0)
		rows := []fs.Row{
			{fs.IntKey(1), of(now, 10)},
			{fs.StringKey("x"), of(now, 11)},                                  // a key of another kind
			{fs.IntKey(2), nil},                                               // no record
			{fs.IntKey(3), stock.NewRecord(now)},                              // of another view
			{fs.IntKey(4), noTime},                                            //
			{fs.IntKey(5), profile.NewRecord(time.Time{})},                    // no time either
			{fs.IntKey(6), of(now.Add(fs.DefaultMaxFuture+1), 16)},            // too far ahead
			{fs.IntKey(7), of(now.Add(fs.DefaultMaxFuture), 17)},              // just not
			{fs.IntKey(1), of(now.Add(-1), 18)},                               // older than the first
			{fs.IntKey(8), of(now, 19)},                                       //
			{fs.IntKey(9), new(fs.Record)},                                    // made by nobody
			{fs.IntKey(10), view(t, registry, "world").NewRecord(now.Add(0))}, // of another view
		}
		outcomes, err := online.Write(t.Context(), "profile", rows)
		I := fs.Invalid
		assert.Equal(t, []fs.Outcome{fs.Written, I, I, I, I, I, I, fs.Written, fs.Stale, fs.Written, I, I}, outcomes)
		var failure *fs.WriteError
		require.ErrorAs(t, err, &failure)
		require.ErrorIs(t, err, fs.ErrKey)
		require.ErrorIs(t, err, fs.ErrRow)
		assert.ErrorContains(t, err, `8 of 12 rows not written to view "profile"; row 1: featurestore: bad key`)
		says := map[int]string{1: "bad key", 2: "no record", 3: `"stock"`, 4: "no event time", 5: "no event time", 6: "ahead of the clock", 10: "no schema", 11: `"world"`}
		require.Len(t, failure.Rows, len(says))
		for _, r := range failure.Rows {
			assert.Equal(t, I, r.Outcome)
			assert.ErrorContains(t, r.Err, says[r.Row])
		}
		result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 6, 7, 8)}})
		require.NoError(t, err)
		assert.EqualValues(t, 10, result.Value(0, 0).Int())
		assert.Equal(t, fs.Missing, result.Status(1, 0))
		assert.EqualValues(t, 17, result.Value(2, 0).Int())
		assert.EqualValues(t, 19, result.Value(3, 0).Int())
		stats := online.Stats().Views["profile"]
		assert.Equal(t, []uint64{3, 1, 8, 0}, []uint64{stats.Written, stats.Stale, stats.Invalid, stats.WriteFailed})

		require.NoError(t, online.Delete(t.Context(), "profile", []fs.Key{fs.IntKey(1)}))
		require.ErrorIs(t, online.Delete(t.Context(), "profile", []fs.Key{fs.StringKey("a")}), fs.ErrKey)
		require.ErrorIs(t, online.Delete(t.Context(), "nope", nil), fs.ErrNotFound)
		result, err = online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
		require.NoError(t, err)
		assert.Equal(t, fs.Missing, result.Status(0, 0))
		assert.EqualValues(t, 1, online.Stats().Views["profile"].Deleted)
	})
}

func TestWriteOfFarFutureWithoutBound(t *testing.T) {
	_, registry := newOnline(t, nil, service("profile:age"), nil)
	online, err := fs.New(newMemory(t), registry, fs.Config{MaxFuture: math.MaxInt64})
	require.NoError(t, err)
	put(t, online, view(t, registry, "profile"), time.Now().Add(200*365*24*time.Hour), []any{1}, "age", int32(1))
}

func TestWriteToWhatIsNotDefined(t *testing.T) {
	online, _ := newOnline(t, nil, service("profile:age"), nil)
	outcomes, err := online.Write(t.Context(), "nope", nil)
	require.ErrorIs(t, err, fs.ErrNotFound)
	assert.Nil(t, outcomes)
	outcomes, err = online.Write(t.Context(), "profile", nil)
	require.NoError(t, err)
	assert.Empty(t, outcomes)
}

func TestWriteWithAStoreThatFails(t *testing.T) {
	boom := errors.New("boom")
	store := &stub{Store: newMemory(t)}
	online, registry := newOnline(t, store, service("profile:age"), nil)
	profile := view(t, registry, "profile")
	rows := []fs.Row{
		{fs.StringKey("x"), profile.NewRecord(time.Now())},
		{fs.IntKey(1), profile.NewRecord(time.Now())},
		{fs.IntKey(2), profile.NewRecord(time.Now())},
	}
	store.write = func(_ context.Context, _ *fs.Schema, rows []fs.Row, outcomes []fs.Outcome) error {
		assert.Len(t, rows, 2)
		outcomes[0], outcomes[1] = fs.Failed, fs.Written
		return boom
	}
	outcomes, err := online.Write(t.Context(), "profile", rows)
	assert.Equal(t, []fs.Outcome{fs.Invalid, fs.Failed, fs.Written}, outcomes)
	var failure *fs.WriteError
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, fs.RowError{Row: 1, Outcome: fs.Failed, Err: boom}, failure.Rows[1])
	store.write = func(context.Context, *fs.Schema, []fs.Row, []fs.Outcome) error { return nil }
	outcomes, err = online.Write(t.Context(), "profile", rows[1:])
	assert.Equal(t, []fs.Outcome{fs.Failed, fs.Failed}, outcomes)
	assert.ErrorContains(t, err, "gave no outcome")
	assert.EqualValues(t, 3, online.Stats().Views["profile"].WriteFailed)
}

func TestWriteOfARecordOfAnEarlierDefinition(t *testing.T) {
	defs := service("profile:age")
	online, registry := newOnline(t, nil, defs, nil)
	old := view(t, registry, "profile")
	early, err := old.RecordOf(time.Now(), "age", int32(30))
	require.NoError(t, err)
	vip, err := old.RecordOf(time.Now(), "age", int32(30), "vip", true)
	require.NoError(t, err)
	profile := defs.Views[0]
	profile.Features = append([]fs.Feature{{Name: "shoe", Kind: fs.Int32}}, profile.Features[:4]...) // no vip any more
	require.NoError(t, registry.Apply(fs.Definitions{Views: []fs.View{profile}}))
	outcomes, err := online.Write(t.Context(), "profile", []fs.Row{{fs.IntKey(1), early}, {fs.IntKey(2), vip}})
	assert.Equal(t, []fs.Outcome{fs.Written, fs.Invalid}, outcomes)
	assert.ErrorContains(t, err, `no feature "vip" any more`)
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.NoError(t, err)
	assert.EqualValues(t, 30, result.Value(0, 0).Int())
}

func TestRecordOf(t *testing.T) {
	_, registry := newOnline(t, nil, userAndItem(), nil)
	profile := view(t, registry, "profile")
	now := time.Now()
	for name, c := range map[string]struct {
		event time.Time
		pairs []any
		says  string
	}{
		"no time":       {time.Time{}, nil, "no event time"},
		"far away":      {time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), nil, "year 1678"},
		"odd":           {now, []any{"age"}, "a name without a value"},
		"not a name":    {now, []any{1, 2}, "is a int, not a string"},
		"unknown":       {now, []any{"shoe", 2}, `no feature "shoe"`},
		"twice":         {now, []any{"age", 2, "age", 3}, `"age" is given twice`},
		"not a value":   {now, []any{"age", struct{}{}}, `feature "age": featurestore: bad row: a struct {} is no value`},
		"another kind":  {now, []any{"age", "old"}, `"age" is of type int32, not string`},
		"out of range":  {now, []any{"age", int64(1 << 40)}, `"age"`},
		"another size":  {now, []any{"taste", []float32{1}}, `"taste" has 3 elements, not 1`},
		"far timestamp": {now, []any{"age", time.Time{}}, "year 1678"},
	} {
		_, err := profile.RecordOf(c.event, c.pairs...)
		require.ErrorIs(t, err, fs.ErrRow, name)
		assert.ErrorContains(t, err, c.says, name)
	}
	r, err := profile.RecordOf(now, "age", 7, "vip", nil, "taste", []float32{1, 2, 3}, "spend", float32(2))
	require.NoError(t, err)
	assert.EqualValues(t, 7, profile.Value(r, 0).Int())
	assert.True(t, profile.Value(r, 4).IsNull())

	same, err := profile.Record(now, map[string]fs.Value{"age": fs.Int32Value(7), "taste": fs.VectorValue([]float32{1, 2, 3}), "spend": fs.Float64Value(2)})
	require.NoError(t, err)
	for i := range profile.Features() {
		assert.True(t, profile.Value(r, i).Equal(profile.Value(same, i)), profile.Features()[i].Name)
	}
	_, err = profile.Record(now, map[string]fs.Value{"z": {}, "shoe": {}, "age": fs.Int32Value(7)})
	assert.ErrorContains(t, err, `no feature "shoe"`)
	_, err = profile.Record(now, map[string]fs.Value{"age": fs.BoolValue(true)})
	require.ErrorIs(t, err, fs.ErrRow)
	_, err = profile.Record(time.Time{}, nil)
	require.ErrorIs(t, err, fs.ErrRow)
	for _, v := range []any{int64(1), []byte("a"), 1.5, "s", true, now, fs.BoolValue(true)} {
		value, err := fs.ValueOf(v)
		require.NoError(t, err)
		assert.False(t, value.IsNull())
	}
}

func TestTimesThatARecordCannotHave(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age"), nil)
	profile := view(t, registry, "profile")
	for _, year := range []int{1, 1600, 1677, 2263, 3000, 9999} {
		at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		outcomes, err := online.Write(t.Context(), "profile", []fs.Row{{Key: fs.IntKey(1), Record: profile.NewRecord(at)}})
		require.ErrorIs(t, err, fs.ErrRow, "year %d", year)
		assert.Equal(t, []fs.Outcome{fs.Invalid}, outcomes)
		r := profile.NewRecord(time.Now())
		r.SetCreated(at)
		assert.Equal(t, year > 2000, r.Created().After(time.Now()), "year %d", year) // or a late row would be taken for an early one
		assert.Equal(t, year == 1, r.Created().IsZero())
	}
}
