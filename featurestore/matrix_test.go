package featurestore_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

func TestMatrixInTheServicesOrder(t *testing.T) {
	defs := service("stock:since", "profile:taste", "stock:price", "profile:vip", "profile:spend", "stock:left", "profile:age")
	online, registry := newOnline(t, nil, defs, nil)
	profile, stock := view(t, registry, "profile"), view(t, registry, "stock")
	now := time.Now()
	put(t, online, profile, now, []any{1}, "age", int32(30), "spend", 2.5, "taste", []float32{1, 2, 3}, "vip", true)
	put(t, online, profile, now, []any{2}, "age", int32(31), "vip", false)
	put(t, online, stock, now, []any{"a"}, "price", float32(9.5), "left", 4, "since", time.Unix(1024, 0))
	put(t, online, stock, now, []any{"b"}, "left", -4)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	columns, err := reader.MatrixColumns()
	require.NoError(t, err)
	assert.Equal(t, []fs.MatrixColumn{{0, 0}, {1, 0}, {1, 1}, {1, 2}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}}, columns)

	var m fs.Matrix
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2, 3), fs.StringKeys("sku", "a", "b", "c")}}
	require.NoError(t, reader.Matrix(t.Context(), req, &m))
	nan := float32(math.NaN())
	want := [][]float32{
		{1024, 1, 2, 3, 9.5, 1, 2.5, 4, 30},
		{nan, 7, 8, 9, nan, 0, 1.5, -4, 31},
		{nan, 7, 8, 9, nan, nan, 1.5, -1, nan},
	}
	T, F := true, false
	present := [][]bool{{T, T, T, T, T, T, T, T, T}, {F, F, F, F, F, T, F, T, T}, {F, F, F, F, F, F, F, F, F}}
	check := func(m *fs.Matrix) {
		t.Helper()
		require.Equal(t, 3, m.Rows)
		require.Equal(t, 9, m.Cols)
		for row := range want {
			assert.Equal(t, fmt.Sprint(want[row]), fmt.Sprint(m.Row(row)))
			assert.Equal(t, present[row], m.PresentRow(row))
		}
	}
	check(&m)
	result, err := reader.Do(t.Context(), req)
	require.NoError(t, err)
	var again fs.Matrix
	require.NoError(t, result.Matrix(&again))
	check(&again)
	require.NoError(t, reader.Matrix(t.Context(), req, &m)) // over what is in it
	check(&m)

	// One user beside all items: the same as the key for each row.
	one := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 2), fs.StringKeys("sku", "a", "b", "c")}}
	each := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 2, 2, 2), fs.StringKeys("sku", "a", "b", "c")}}
	require.NoError(t, reader.Matrix(t.Context(), one, &m))
	require.NoError(t, reader.Matrix(t.Context(), each, &again))
	assert.Equal(t, fmt.Sprint(again), fmt.Sprint(m))

	registryOnline, err := fs.New(newMemory(t), registry, fs.Config{Fill: new(float32(0))})
	require.NoError(t, err)
	zero, err := registryOnline.Reader("m", 0)
	require.NoError(t, err)
	require.NoError(t, zero.Matrix(t.Context(), one, &m))
	assert.Equal(t, []float32{0, 7, 8, 9, 0, 0, 1.5, -1, 0}, m.Row(0))
	assert.NotContains(t, m.Present, true)
	require.NoError(t, new(fs.Result).Matrix(&m))
	assert.Zero(t, m.Rows)
}

func TestMatrixOfText(t *testing.T) {
	online, _ := newOnline(t, nil, service("profile:age", "profile:country"), nil)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	_, err = reader.MatrixColumns()
	require.ErrorIs(t, err, fs.ErrDefinition)
	assert.ErrorContains(t, err, `"profile:country"`)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}}
	assert.Equal(t, err, reader.Matrix(t.Context(), req, new(fs.Matrix)))
	result, err := reader.Do(t.Context(), req)
	require.NoError(t, err, "a result can hold it")
	require.ErrorIs(t, result.Matrix(new(fs.Matrix)), fs.ErrDefinition)
}

// TestWideRowsWithHoles goes over the borders of the words of Record.set.
func TestWideRowsWithHoles(t *testing.T) {
	const n = 150
	v := fs.View{Name: "wide", Entity: "user"}
	for i := range n {
		kind := []fs.Kind{fs.Float32, fs.Float64, fs.Int64, fs.Bool}[i/3%4]
		v.Features = append(v.Features, fs.Feature{Name: fmt.Sprintf("f%d", i), Kind: kind})
	}
	online, registry := newOnline(t, nil, fs.Definitions{
		Entities: userAndItem().Entities[:1], Views: []fs.View{v},
		Services: []fs.Service{{Name: "m", Version: 1, Features: []string{"wide:*"}}},
	}, nil)
	schema := view(t, registry, "wide")
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	for hole := range n {
		r := schema.NewRecord(time.Now())
		for i, f := range schema.Features() {
			if i == hole {
				continue
			}
			value := map[fs.Kind]fs.Value{
				fs.Float32: fs.Float32Value(float32(i)), fs.Float64: fs.Float64Value(float64(i)), fs.Int64: fs.Int64Value(int64(i)), fs.Bool: fs.BoolValue(true),
			}[f.Kind]
			require.NoError(t, schema.SetValue(r, i, value))
		}
		_, err := online.Write(t.Context(), "wide", []fs.Row{{Key: fs.IntKey(int64(hole)), Record: r}})
		require.NoError(t, err)
		var m fs.Matrix
		require.NoError(t, reader.Matrix(t.Context(), fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", int64(hole))}}, &m))
		for i, x := range m.Data {
			switch {
			case i == hole:
				require.True(t, math.IsNaN(float64(x)))
			case schema.Features()[i].Kind == fs.Bool:
				require.Equal(t, float32(1), x)
			default:
				require.Equal(t, float32(i), x)
			}
			require.Equal(t, i != hole, m.Present[i])
		}
	}
	assert.EqualValues(t, n, online.Stats().Views["wide"].Nulls)
}

func TestMatrixDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	reader, _ := wide(t, fs.Float32, 50, 1000)
	ids := make([]int64, 100)
	for i := range ids {
		ids[i] = int64(i * 10)
	}
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", ids...)}}
	var m fs.Matrix
	var result fs.Result
	ctx := t.Context()
	read := func(t *testing.T, name string, f func() error) {
		require.NoError(t, f())
		assert.Zero(t, testing.AllocsPerRun(200, func() {
			if f() != nil {
				panic("failed")
			}
		}), name)
	}
	read(t, "matrix", func() error { return reader.Matrix(ctx, req, &m) })
	read(t, "result", func() error { return reader.Read(ctx, req, &result) })

	defs := service("profile:age", "profile:spend", "profile:taste", "stock:*", "sum")
	defs.Services[0].Request = []fs.Feature{{Name: "n", Kind: fs.Int64}}
	defs.Services[0].Transforms = []fs.Transform{{
		Name: "add", Op: "add", Inputs: []string{"request:n", "stock:left"}, Outputs: []fs.Feature{{Name: "sum", Kind: fs.Int64}},
	}}
	online, registry := newOnline(t, nil, defs, ops())
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30))
	put(t, online, view(t, registry, "stock"), time.Now(), []any{"a"}, "left", 3)
	rank, err := online.Reader("m", 0)
	require.NoError(t, err)
	mixed := fs.Request{
		Keys:   []fs.KeyColumn{fs.IntKeys("user_id", 1), fs.StringKeys("sku", "a", "b", "c")},
		Fields: []fs.Column{fs.Int64Column("n", 5)},
	}
	read(t, "views, holes and a transform", func() error { return rank.Matrix(ctx, mixed, &m) })
	assert.Equal(t, float32(8), m.Row(0)[8])
}

func TestConcurrentReadsAndWrites(t *testing.T) {
	online, registry := newOnline(t, nil, service("profile:age", "profile:spend", "profile:vip"), nil)
	profile := view(t, registry, "profile")
	start := time.Now().Add(-time.Minute)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				n := int32(w*1000 + i)
				r, err := profile.RecordOf(start.Add(time.Duration(n)), "age", n, "spend", float64(n), "vip", true)
				assert.NoError(t, err)
				_, err = online.Write(t.Context(), "profile", []fs.Row{{Key: fs.IntKey(int64(i % 5)), Record: r}})
				assert.NoError(t, err)
			}
		})
		wg.Go(func() {
			reader, err := online.Reader("m", 0)
			assert.NoError(t, err)
			var m fs.Matrix
			for range 200 {
				req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 0, 1, 2, 3, 4)}}
				assert.NoError(t, reader.Matrix(t.Context(), req, &m))
				for row := range m.Rows {
					if m.PresentRow(row)[0] {
						assert.Equal(t, m.Row(row)[0], m.Row(row)[1], "a row is of one write")
					}
				}
			}
		})
	}
	wg.Wait()
	stats := online.Stats()
	assert.EqualValues(t, 800, stats.Reads)
	assert.EqualValues(t, 4000, stats.Rows)
	assert.EqualValues(t, 4000, stats.Views["profile"].Present+stats.Views["profile"].Missing)
	assert.EqualValues(t, 800, stats.Views["profile"].Written+stats.Views["profile"].Stale)
	assert.Greater(t, stats.Views["profile"].MeanAge(), time.Duration(0))
}
