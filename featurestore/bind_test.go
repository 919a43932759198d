package featurestore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

type userID int64

type place struct {
	Country string `feature:"country"`
}

type person struct {
	place
	ID     userID    `key:"user_id"`
	At     time.Time `event:"time"`
	Age    int       `feature:"age"`
	Spend  *float64  `feature:"profile:spend"`
	Taste  []float32 `feature:"taste"`
	VIP    bool      `feature:"vip"`
	Status fs.Status `feature:"vip,status"`
	Since  time.Time `feature:"vip,event"`
	Other  string
}

func TestBindThereAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		online, registry := newOnline(t, nil, service("profile:*"), nil)
		rows, err := fs.BindRow[person](view(t, registry, "profile"))
		require.NoError(t, err)
		at := time.Now().UTC()
		spend := 2.5
		written := person{place: place{"DE"}, ID: 1, At: at, Age: 30, Spend: &spend, Taste: []float32{1, 2, 3}, VIP: true}
		row, err := rows.Row(&written)
		require.NoError(t, err)
		assert.Equal(t, fs.IntKey(1), row.Key)
		bare, err := rows.Row(&person{ID: 2, At: at})
		require.NoError(t, err)
		_, err = online.Write(t.Context(), "profile", []fs.Row{row, bare})
		require.NoError(t, err)

		reader, err := online.Reader("m", 0)
		require.NoError(t, err)
		binding, err := fs.Bind[person](reader)
		require.NoError(t, err)
		time.Sleep(time.Second)
		result, err := reader.Do(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2, 3)}})
		require.NoError(t, err)
		read := person{Other: "stays"}
		require.NoError(t, binding.Scan(result, 0, &read))
		want := written
		want.ID, want.At, want.Other, want.Status, want.Since = 0, time.Time{}, "stays", fs.Present, at
		assert.Equal(t, want, read)
		first := read

		require.NoError(t, binding.Scan(result, 1, &read))
		assert.InDelta(t, 1.5, *read.Spend, 0, "the default")
		assert.InDelta(t, 2.5, *first.Spend, 0, "the pointer of the row before is another one")
		assert.Equal(t, []float32{7, 8, 9}, read.Taste)
		assert.Equal(t, "", read.Country, "a string is written as it is, also if it is empty")
		require.NoError(t, binding.Scan(result, 2, &read))
		assert.Equal(t, "??", read.Country)
		assert.Zero(t, read.Age, "nothing of the row before is left")
		assert.Equal(t, fs.Missing, read.Status)

		all, err := binding.All(nil, result)
		require.NoError(t, err)
		require.Len(t, all, 3)
		all[0].Taste[0], all[1].Taste[0] = 100, 100 // a copy: neither the record nor the default changes
		all, err = binding.All(nil, result)
		require.NoError(t, err)
		assert.Equal(t, []float32{7, 8, 9}, all[1].Taste)
		assert.Equal(t, 30, all[0].Age)
		assert.Equal(t, []float32{1, 2, 3}, all[0].Taste)

		require.ErrorIs(t, binding.Scan(result, 3, &read), fs.ErrRequest)
		require.ErrorIs(t, binding.Scan(result, -1, &read), fs.ErrRequest)
		require.ErrorIs(t, binding.Scan(new(fs.Result), 0, &read), fs.ErrRequest)
	})
}

func TestBindTypes(t *testing.T) {
	defs := fs.Definitions{
		Entities: []fs.Entity{{Name: "e", JoinKeys: []fs.JoinKey{{Name: "a", Kind: fs.Bytes}, {Name: "b", Kind: fs.Int32}}}},
		Views: []fs.View{{Name: "v", Entity: "e", Features: []fs.Feature{
			{Name: "i64", Kind: fs.Int64}, {Name: "i32", Kind: fs.Int32}, {Name: "f64", Kind: fs.Float64}, {Name: "f32", Kind: fs.Float32},
			{Name: "b", Kind: fs.Bool}, {Name: "s", Kind: fs.String}, {Name: "raw", Kind: fs.Bytes}, {Name: "t", Kind: fs.Timestamp},
			{Name: "vec", Kind: fs.Vector, Dim: 2},
		}}},
		Services: []fs.Service{{Name: "m", Version: 1, Features: []string{"v:*"}}},
	}
	online, registry := newOnline(t, nil, defs, nil)
	type name string
	type plain struct {
		A   []byte     `key:"a"`
		B   int64      `key:"b"`
		At  time.Time  `event:"time"`
		I64 int64      `feature:"i64"`
		I32 int32      `feature:"i32"`
		F64 float64    `feature:"f64"`
		F32 float32    `feature:"f32"`
		Yes bool       `feature:"b"`
		S   name       `feature:"s"`
		Raw []byte     `feature:"raw"`
		T   time.Time  `feature:"t"`
		Vec [2]float32 `feature:"vec"`
	}
	type pointers struct {
		I64 *int64     `feature:"i64"`
		I32 *int64     `feature:"i32"`
		F64 *float64   `feature:"f64"`
		F32 *float64   `feature:"f32"`
		Yes *bool      `feature:"b"`
		S   *name      `feature:"s"`
		Raw *[]byte    `feature:"raw"`
		T   *time.Time `feature:"t"`
	}
	rows, err := fs.BindRow[plain](view(t, registry, "v"))
	require.NoError(t, err)
	in := plain{
		[]byte("k"), -3, time.Now(), 1 << 40, -7, 1.25, 2.5, true, "text", []byte{1, 2}, time.Unix(5, 6).UTC(), [2]float32{8, 9},
	}
	row, err := rows.Row(&in)
	require.NoError(t, err)
	_, err = online.Write(t.Context(), "v", []fs.Row{row})
	require.NoError(t, err)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	req := fs.Request{Keys: []fs.KeyColumn{fs.BytesKeys("a", []byte("k"), []byte("none")), fs.IntKeys("b", -3)}}
	result, err := reader.Do(t.Context(), req)
	require.NoError(t, err)

	byValue, err := fs.Bind[plain](reader)
	require.NoError(t, err)
	out := plain{A: in.A, B: in.B, At: in.At}
	require.NoError(t, byValue.Scan(result, 0, &out))
	assert.Equal(t, in, out)
	byPointer, err := fs.Bind[pointers](reader)
	require.NoError(t, err)
	var p pointers
	require.NoError(t, byPointer.Scan(result, 0, &p))
	assert.Equal(t, []any{int64(1 << 40), int64(-7), 1.25, 2.5, true, name("text"), []byte{1, 2}, in.T},
		[]any{*p.I64, *p.I32, *p.F64, *p.F32, *p.Yes, *p.S, *p.Raw, *p.T})
	require.NoError(t, byPointer.Scan(result, 1, &p))
	assert.Equal(t, pointers{}, p)
	require.NoError(t, byValue.Scan(result, 1, &out))
	assert.Equal(t, plain{A: in.A, B: in.B, At: in.At}, out)

	// What has been scanned is the caller's: changing it does not change the store's.
	require.NoError(t, byValue.Scan(result, 0, &out))
	out.Vec[0], out.Raw[0] = 100, 100
	require.NoError(t, byValue.Scan(result, 0, &out))
	assert.Equal(t, in, out)

	in.B = 1 << 33
	_, err = rows.Row(&in)
	require.ErrorIs(t, err, fs.ErrKey)
}

func TestBindRequired(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:*"), nil)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "vip", true)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	type strict struct {
		Age   int32   `feature:"age,required"`
		Spend float64 `feature:"spend,required"`
	}
	binding, err := fs.Bind[strict](reader)
	require.NoError(t, err)
	result, err := reader.Do(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.NoError(t, err)
	var s strict
	err = binding.Scan(result, 0, &s)
	require.ErrorIs(t, err, fs.ErrRequired)
	assert.ErrorContains(t, err, `row 0: field featurestore_test.strict.Age: column "profile:age" is missing`)
	assert.InDelta(t, 1.5, s.Spend, 0)
	_, err = binding.All(nil, result)
	require.ErrorIs(t, err, fs.ErrRequired)
}

func TestBindRefuses(t *testing.T) {
	defs := service("profile:*", "stock:*", "other:price")
	defs.Views = append(defs.Views, fs.View{Name: "other", Entity: "item", Features: []fs.Feature{{Name: "price", Kind: fs.Float32}}})
	online, registry := newOnline(t, nil, defs, nil)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	read := func(err error, want error, says string) {
		t.Helper()
		require.ErrorIs(t, err, want)
		assert.ErrorContains(t, err, says)
	}
	bind := func(_ any, err error) error { return err }
	read(bind(fs.Bind[int](reader)), fs.ErrDefinition, "int is not a struct")
	read(bind(fs.Bind[struct{ A int }](reader)), fs.ErrDefinition, "no field")
	read(bind(fs.Bind[struct {
		a int `feature:"age"`
	}](reader)), fs.ErrDefinition, ".a has a tag and is not exported")
	read(bind(fs.Bind[struct {
		A int `feature:",required"`
	}](reader)), fs.ErrDefinition, "has no name")
	read(bind(fs.Bind[struct {
		A int `feature:"shoe"`
	}](reader)), fs.ErrNotFound, `"shoe"`)
	read(bind(fs.Bind[struct {
		A float32 `feature:"price"`
	}](reader)), fs.ErrDefinition, `could be "stock:price" or "other:price"`)
	read(bind(fs.Bind[struct {
		A string `feature:"age"`
	}](reader)), fs.ErrDefinition, `.A: a string cannot be feature "age" of type int32`)
	read(bind(fs.Bind[struct {
		A int32 `feature:"left"`
	}](reader)), fs.ErrDefinition, `a int32 cannot be feature "left" of type int64`)
	read(bind(fs.Bind[struct {
		A [4]float32 `feature:"taste"`
	}](reader)), fs.ErrDefinition, `vector of 3`)
	read(bind(fs.Bind[struct {
		A int32 `feature:"age,soft"`
	}](reader)), fs.ErrDefinition, `no such option: "soft"`)
	read(bind(fs.Bind[struct {
		A int32 `feature:"age,status"`
	}](reader)), fs.ErrDefinition, `cannot hold the option "status"`)
	read(bind(fs.Bind[struct {
		A fs.Status `feature:"age,status,required"`
	}](reader)), fs.ErrDefinition, `more than one option`)

	profile := view(t, registry, "profile")
	read(bind(fs.BindRow[string](profile)), fs.ErrDefinition, "not a struct")
	read(bind(fs.BindRow[struct {
		A int `feature:"shoe"`
	}](profile)), fs.ErrNotFound, `"shoe"`)
	read(bind(fs.BindRow[struct {
		A int `feature:"stock:left"`
	}](profile)), fs.ErrDefinition, `no field`)
	read(bind(fs.BindRow[struct {
		A int32 `feature:"age"`
		B int32 `feature:"profile:age"`
	}](profile)), fs.ErrDefinition, `are both feature "age"`)
	read(bind(fs.BindRow[struct {
		A float64 `feature:"price"`
	}](view(t, registry, "stock"))), fs.ErrDefinition, `cannot be feature "price"`)
	read(bind(fs.BindRow[struct {
		A  int32 `feature:"age"`
		At int64 `event:"time"`
	}](profile)), fs.ErrDefinition, `event:"time"`)
	read(bind(fs.BindRow[struct {
		T  int64 `feature:"times"`
		ID int64 `key:"user_id"`
	}](view(t, registry, "seen"))), fs.ErrDefinition, `1 of the 2 join keys`)
	read(bind(fs.BindRow[struct {
		A  int32  `feature:"age"`
		ID *int64 `key:"user_id"`
	}](profile)), fs.ErrDefinition, `cannot be a pointer`)

	type bare struct {
		A int32 `feature:"age"`
	}
	rows, err := fs.BindRow[bare](profile)
	require.NoError(t, err)
	read(bind(rows.Row(&bare{})), fs.ErrKey, `key:"user_id"`)
	read(bind(rows.Record(&bare{}, time.Time{})), fs.ErrRow, "no event time")
	r, err := rows.Record(&bare{7}, time.Now())
	require.NoError(t, err)
	assert.EqualValues(t, 7, profile.Value(r, 0).Int())
}

func TestScanDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	online, registry := newOnline(t, nil, service("profile:*"), nil)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30), "spend", 2.5, "taste", []float32{1, 2, 3})
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	type numbers struct {
		Age     int32     `feature:"age"`
		Spend   float64   `feature:"spend"`
		Taste   []float32 `feature:"taste"`
		Country string    `feature:"country"`
		VIP     bool      `feature:"vip"`
		Status  fs.Status `feature:"vip,status"`
	}
	binding, err := fs.Bind[numbers](reader)
	require.NoError(t, err)
	result, err := reader.Do(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.NoError(t, err)
	var n numbers
	require.NoError(t, binding.Scan(result, 0, &n))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = binding.Scan(result, 0, &n) }))
	assert.Equal(t, numbers{30, 2.5, []float32{1, 2, 3}, "??", false, fs.Missing}, n)
}

func TestNilIsAPanicThatCanBeRecovered(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age"), nil)
	type large struct {
		_   [1 << 16]byte
		ID  int64     `key:"user_id"`
		At  time.Time `event:"time"`
		Age int32     `feature:"profile:age"`
	}
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}})
	require.NoError(t, err)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	binding, err := fs.Bind[large](reader)
	require.NoError(t, err)
	rows, err := fs.BindRow[large](view(t, registry, "profile"))
	require.NoError(t, err)
	assert.Panics(t, func() { _ = binding.Scan(result, 0, nil) })
	assert.Panics(t, func() { _, _ = rows.Key(nil) })
	assert.Panics(t, func() { _, _ = rows.Record(nil, time.Time{}) })
}
