package featurestore_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// A slice without elements stands beside the one that counts: it must not be taken for it, whatever keys a result had before.
func TestEmptySlicesBesideTheKeys(t *testing.T) {
	defs := userAndItem()
	defs.Entities = append(defs.Entities, fs.Entity{Name: "blob", JoinKeys: []fs.JoinKey{{Name: "digest", Kind: fs.Bytes}}})
	defs.Views = append(defs.Views, fs.View{Name: "blobs", Entity: "blob", Features: []fs.Feature{{Name: "size", Kind: fs.Int64}}})
	defs.Services = []fs.Service{
		{Name: "m", Version: 1, Features: []string{"stock:left"}}, {Name: "pairs", Version: 1, Features: []string{"seen:times"}},
		{Name: "blobs", Version: 1, Features: []string{"blobs:size"}},
	}
	online, registry := newOnline(t, nil, defs, nil)
	for i, sku := range []string{"a", "b", "c"} {
		put(t, online, view(t, registry, "stock"), time.Now(), []any{sku}, "left", i+1)
		put(t, online, view(t, registry, "blobs"), time.Now(), []any{sku}, "size", i+1)
		put(t, online, view(t, registry, "seen"), time.Now(), []any{7, sku}, "times", i+1)
	}
	user := fs.IntKeys("user_id", 7)
	for service, columns := range map[string][][]fs.KeyColumn{
		"m":     {{fs.StringKeys("sku", "a", "b")}, {{Name: "sku", Ints: []int64{}, Strs: []string{"c", "a"}}}, {{Name: "sku", Ints: []int64{}, Strs: []string{"b"}}}},
		"pairs": {{user, fs.StringKeys("sku", "a", "b")}, {user, {Name: "sku", Ints: []int64{}, Strs: []string{"c", "a"}}}, {user, {Name: "sku", Ints: []int64{}, Strs: []string{"b"}}}},
		"blobs": {{fs.StringKeys("digest", "a", "b")}, {{Name: "digest", Strs: []string{}, Bytes: [][]byte{{'c'}, {'a'}}}}, {{Name: "digest", Ints: []int64{}, Bytes: [][]byte{{'b'}}}}},
	} {
		reader, err := online.Reader(service, 0)
		require.NoError(t, err)
		var result fs.Result
		for i, want := range [][]int64{{1, 2}, {3, 1}, {2}} {
			require.NoError(t, reader.Read(t.Context(), fs.Request{Keys: columns[i]}, &result))
			require.Equal(t, len(want), result.Rows())
			for row := range want {
				assert.Equal(t, want[row], result.Value(row, 0).Int(), "service %s, request %d, row %d", service, i, row)
			}
		}
	}
}

// Keys of several parts are packed some at a time: none must get a part of its neighbour, and few allocations must do.
func TestManyKeysOfSeveralParts(t *testing.T) {
	defs := userAndItem()
	defs.Services = []fs.Service{{Name: "pairs", Version: 1, Features: []string{"seen:times"}}}
	online, registry := newOnline(t, nil, defs, nil)
	const most = 100
	skus := make([]string, most)
	for i := range skus {
		skus[i] = strings.Repeat("x", i*i%29) + strconv.Itoa(i)
		put(t, online, view(t, registry, "seen"), time.Now(), []any{7, skus[i]}, "times", i)
	}
	reader, err := online.Reader("pairs", 0)
	require.NoError(t, err)
	var m fs.Matrix
	for _, n := range []int{1, 2, 15, 16, 17, 32, 33, most} {
		req := fs.Request{Keys: []fs.KeyColumn{fs.StringKeys("sku", skus[:n]...), fs.IntKeys("user_id", 7)}}
		require.NoError(t, reader.Matrix(t.Context(), req, &m))
		for i := range n {
			require.True(t, m.Present[i])
			require.InDelta(t, i, m.Data[i], 0)
		}
		if raceEnabled {
			continue // the race detector allocates
		}
		// A string for 16 keys, and a longer buffer for those of them that have not enough room.
		most := float64((n+15)/16) * 3
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { err = reader.Matrix(t.Context(), req, &m) }), most, "%d rows", n)
	}
}

func TestFieldsOutOfTheirRange(t *testing.T) {
	for name, c := range map[string]struct {
		column fs.Column
		kind   fs.Kind
		ok     bool
	}{
		"an int32 that is one":        {fs.Column{Ints: []int64{math.MinInt32, math.MaxInt32}}, fs.Int32, true},
		"an int32 below":              {fs.Column{Ints: []int64{0, math.MinInt32 - 1}}, fs.Int32, false},
		"an int32 above":              {fs.Column{Ints: []int64{0, math.MaxInt32 + 1}}, fs.Int32, false},
		"an int64":                    {fs.Column{Ints: []int64{math.MinInt64, math.MaxInt64}}, fs.Int64, true},
		"a bool that is one":          {fs.Column{Ints: []int64{0, 1}}, fs.Bool, true},
		"a bool of 2":                 {fs.Column{Ints: []int64{0, 2}}, fs.Bool, false},
		"a bool of -1":                {fs.Column{Ints: []int64{0, -1}}, fs.Bool, false},
		"a float32 that is one":       {fs.Column{Floats: []float64{-math.MaxFloat32, math.Pi}}, fs.Float32, true},
		"a float32 that is no number": {fs.Column{Floats: []float64{math.Inf(-1), math.NaN()}}, fs.Float32, true},
		"a float32 above":             {fs.Column{Floats: []float64{0, 1e39}}, fs.Float32, false},
		"a float32 below":             {fs.Column{Floats: []float64{0, -1e39}}, fs.Float32, false},
		"a float64":                   {fs.Column{Floats: []float64{0, -1e39}}, fs.Float64, true},
	} {
		c.column.Feature, c.column.Valid = fs.Feature{Name: "x", Kind: c.kind}, []bool{true, true}
		defs := userAndItem()
		defs.Services = []fs.Service{{Name: "m", Version: 1, Features: []string{"world:holiday"}, Request: []fs.Feature{{Name: "x", Kind: c.kind}}}}
		online, _ := newOnline(t, nil, defs, nil)
		_, err := online.Get(t.Context(), "m", fs.Request{Fields: []fs.Column{c.column}})
		if c.ok {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorIs(t, err, fs.ErrRequest, name)
		c.column.Valid[1] = false // what is not valid does not count
		_, err = online.Get(t.Context(), "m", fs.Request{Fields: []fs.Column{c.column}})
		assert.NoError(t, err, name)
	}
}
