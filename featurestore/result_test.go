package featurestore_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func TestSpareResultKeepsNothingAlive(t *testing.T) {
	store := newMapStore()
	online, registry := newOnline(t, store, service("profile:age"), nil)
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30))
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	record := weak.Make(store.rows[mapKey{"profile", fs.IntKey(1)}])
	require.NoError(t, reader.Matrix(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}}, new(fs.Matrix)))
	require.NotNil(t, record.Value())
	require.NoError(t, online.Delete(t.Context(), "profile", []fs.Key{fs.IntKey(1)}))
	runtime.GC() // once: a second would take the spare result too
	assert.Nil(t, record.Value())
}

func TestSpareResultKeepsNoText(t *testing.T) {
	defs := service("o")
	defs.Services[0].Transforms = []fs.Transform{{Name: "t", Op: "none", Inputs: []string{"profile:country"}, Outputs: []fs.Feature{{Name: "o", Kind: fs.Int64}}}}
	online, registry := newOnline(t, nil, defs, map[string]fs.Op{"none": func(fs.Transform, []fs.Feature) (fs.Apply, error) {
		return func(_, _ []*fs.Column) error { return nil }, nil
	}})
	profile := view(t, registry, "profile")
	write := func() weak.Pointer[byte] {
		country := strings.Repeat("x", 1000)
		put(t, online, profile, time.Now(), []any{1}, "country", country)
		return weak.Make(unsafe.StringData(country))
	}
	text := write()
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	var m fs.Matrix
	require.NoError(t, reader.Matrix(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}}, &m))
	require.NotNil(t, text.Value())
	require.NoError(t, online.Delete(t.Context(), "profile", []fs.Key{fs.IntKey(1)}))
	runtime.GC() // once, see above
	assert.Nil(t, text.Value())
	runtime.KeepAlive(reader)
}

func TestResultIsUsedAgain(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age"), nil)
	profile := view(t, registry, "profile")
	for id := range 5 {
		put(t, online, profile, time.Now(), []any{id}, "age", int32(id+20))
	}
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	var result fs.Result
	assert.Empty(t, result.Columns())
	for _, ids := range [][]int64{{1}, {4, 3, 2, 1, 0}, {9, 2}} {
		require.NoError(t, reader.Read(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", ids...)}}, &result))
		require.Equal(t, len(ids), result.Rows())
		for row, id := range ids {
			if id < 5 {
				assert.Equal(t, id+20, result.Value(row, 0).Int())
			} else {
				assert.Equal(t, fs.Missing, result.Status(row, 0))
			}
		}
	}
	require.Error(t, reader.Read(t.Context(), fs.Request{}, &result))
	assert.Zero(t, result.Rows())
}

func TestNoRowOfAnEarlierReadIsLeft(t *testing.T) {
	defs := service("profile:age", "profile:vip", "stock:left", "o")
	defs.Services[0].Request = []fs.Feature{{Name: "x", Kind: fs.Int64}}
	defs.Services[0].Transforms = []fs.Transform{{Name: "t", Op: "one", Inputs: []string{"request:x"}, Outputs: []fs.Feature{{Name: "o", Kind: fs.Int64}}}}
	online, registry := newOnline(t, nil, defs, map[string]fs.Op{"one": func(fs.Transform, []fs.Feature) (fs.Apply, error) {
		return func(_, out []*fs.Column) error { out[0].Valid[0] = true; return nil }, nil
	}})
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30))
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	users, skus := fs.IntKeys("user_id", 1), fs.StringKeys("sku", "a")
	full := fs.Request{Keys: []fs.KeyColumn{users, skus}, Fields: []fs.Column{fs.Int64Column("x", 1)}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, again := range map[string]func(*fs.Result){
		"no rows": func(r *fs.Result) {
			none := fs.Request{Keys: []fs.KeyColumn{users, fs.StringKeys("sku")}, Fields: full.Fields}
			require.NoError(t, reader.Read(t.Context(), none, r))
		},
		"a request that does not fit": func(r *fs.Result) { require.Error(t, reader.Read(t.Context(), fs.Request{}, r)) },
		"cancelled":                   func(r *fs.Result) { require.Error(t, reader.Read(cancelled, full, r)) },
	} {
		var result fs.Result
		require.NoError(t, reader.Read(t.Context(), full, &result))
		require.EqualValues(t, 30, result.Value(0, 0).Int())
		again(&result)
		require.Zero(t, result.Rows())
		for col := range result.Columns() {
			assert.Panics(t, func() { result.Value(0, col) }, "%s: column %d", name, col)
			assert.Panics(t, func() { result.Status(0, col) }, "%s: column %d", name, col)
		}
		assert.Panics(t, func() { result.EventTime(0, 0) }, name)
	}
}

func TestColumnsOfAResult(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age", "profile:country"), nil)
	profile := view(t, registry, "profile")
	put(t, online, profile, time.Now(), []any{1}, "age", int32(30), "country", "fr")
	put(t, online, profile, time.Now(), []any{2}, "country", "it")
	result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2, 3)}})
	require.NoError(t, err)
	for col, info := range result.Columns() {
		c := result.Column(col)
		require.NoError(t, c.Check())
		assert.Equal(t, info.Name, c.Name)
		for row := range result.Rows() {
			assert.True(t, result.Value(row, col).Equal(c.Value(row)), "row %d of %s: %v", row, c.Name, c.Value(row))
		}
	}
	assert.Equal(t, []string{"fr", "it"}, result.Column(1).Strs[:2])
}
