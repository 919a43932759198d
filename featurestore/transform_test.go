package featurestore_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// transformed is a service with the output "n", the length of the country plus a field of the request plus stock:left, and "twice" of it.
func transformed() fs.Definitions {
	defs := service("profile:age", "n", "twice")
	defs.Services[0].Request = []fs.Feature{
		{Name: "extra", Kind: fs.Int64}, {Name: "bonus", Kind: fs.Int32, Default: fs.Int32Value(100)},
	}
	defs.Services[0].Transforms = []fs.Transform{
		{Name: "len", Op: "length", Inputs: []string{"profile:country"}, Outputs: []fs.Feature{{Name: "len", Kind: fs.Int64}}},
		{
			Name: "sum", Op: "add", Inputs: []string{"len", "request:extra", "request:bonus", "stock:left"},
			Outputs: []fs.Feature{{Name: "n", Kind: fs.Int64}},
		},
		{Name: "twice", Op: "add", Inputs: []string{"n", "n"}, Outputs: []fs.Feature{{Name: "twice", Kind: fs.Int64, Default: fs.Int64Value(-5)}}},
	}
	return defs
}

func TestTransformsInResultMatrixAndOffline(t *testing.T) {
	online, registry := newOnline(t, nil, transformed(), ops())
	put(t, online, view(t, registry, "profile"), time.Now(), []any{1}, "age", int32(30), "country", "Peru")
	put(t, online, view(t, registry, "stock"), time.Now(), []any{"a"}, "left", 1000)
	reader, err := online.Reader("m", 0)
	require.NoError(t, err)
	extra := fs.Int64Column("extra", 10, 20, 30)
	extra.Valid[2] = false
	bonus := fs.Column{Feature: fs.Feature{Name: "bonus", Kind: fs.Int32}, Valid: []bool{true, false, true}, Ints: []int64{1, 77, 3}}
	for name, c := range map[string]struct {
		fields []fs.Column
		n      []int64 // of the first two rows
	}{
		"columns":           {[]fs.Column{extra, bonus}, []int64{4 + 10 + 1 + 1000, 4 + 20 + 100 - 1}},
		"without a default": {[]fs.Column{extra}, []int64{4 + 10 + 100 + 1000, 4 + 20 + 100 - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1), fs.StringKeys("sku", "a", "b", "c")}, Fields: c.fields}
			var m fs.Matrix
			for range 3 { // the second and third time in memory that was used before
				result, err := reader.Do(t.Context(), req)
				require.NoError(t, err)
				require.NoError(t, reader.Matrix(t.Context(), req, &m))
				for row, n := range c.n {
					assert.Equal(t, n, result.Value(row, 1).Int())
					assert.Equal(t, 2*n, result.Value(row, 2).Int())
					assert.Equal(t, fs.Present, result.Status(row, 1))
					assert.Equal(t, []float32{30, float32(n), float32(2 * n)}, m.Row(row))
				}
				assert.Equal(t, fs.Missing, result.Status(2, 1), "an input has no value")
				assert.True(t, result.Value(2, 1).IsNull())
				assert.Equal(t, fs.Default, result.Status(2, 2))
				assert.EqualValues(t, -5, result.Value(2, 2).Int())
				assert.True(t, result.EventTime(0, 1).IsZero())
				assert.True(t, math.IsNaN(float64(m.Row(2)[1])))
				assert.Equal(t, float32(-5), m.Row(2)[2])
				assert.Equal(t, []bool{true, false, false}, m.PresentRow(2))
			}
			assert.Equal(t, []int64{10, 20, 30}, extra.Ints, "the caller's columns are not written to")
			assert.Equal(t, []bool{true, false, true}, bonus.Valid)
		})
	}
	one := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1, 2), fs.StringKeys("sku", "a")}, Fields: []fs.Column{fs.Int64Column("extra", 6)}}
	result, err := reader.Do(t.Context(), one)
	require.NoError(t, err)
	assert.EqualValues(t, 4+6+100+1000, result.Value(0, 1).Int())
	assert.EqualValues(t, 2+6+100+1000, result.Value(1, 1).Int(), "the default of the country has two letters")

	offline, err := fs.NewTransformer(registry, "m", 0)
	require.NoError(t, err)
	named := func(features []fs.Feature) (out []string) {
		for _, f := range features {
			out = append(out, f.Name)
		}
		return out
	}
	assert.Equal(t, []string{"profile:country", "request:extra", "request:bonus", "stock:left"}, named(offline.Inputs()))
	assert.Equal(t, []string{"len", "n", "twice"}, named(offline.Outputs()))
	country := fs.StringColumn("profile:country", "Peru", "", "")
	country.Valid[1], country.Valid[2] = false, false
	left := fs.Int64Column("stock:left", 1000, 0, 0)
	left.Valid[1], left.Valid[2] = false, false
	trainExtra, trainBonus := extra, bonus
	trainExtra.Name, trainBonus.Name = "request:extra", "request:bonus"
	unused := fs.BoolColumn("label", true)
	outputs, err := offline.Apply([]*fs.Column{&unused, &trainBonus, &trainExtra, &country, &left})
	require.NoError(t, err)
	require.Len(t, outputs, 3)
	assert.Equal(t, []int64{1015, 2 + 20 + 100 - 1}, outputs[1].Ints[:2])
	assert.Equal(t, []bool{true, true, false}, outputs[1].Valid)
	assert.Equal(t, []int64{2030, 242, -5}, outputs[2].Ints)
	assert.Equal(t, []string{"Peru", "", ""}, country.Strs, "the inputs are not written to")

	// A field with one row goes for all, with a value and without.
	oneExtra, oneBonus := fs.Int64Column("request:extra", 20), fs.Column{Feature: trainBonus.Feature, Valid: []bool{false}, Ints: []int64{7}}
	outputs, err = offline.Apply([]*fs.Column{&oneBonus, &oneExtra, &country, &left})
	require.NoError(t, err)
	assert.Equal(t, []int64{4 + 20 + 100 + 1000, 2 + 20 + 100 - 1, 2 + 20 + 100 - 1}, outputs[1].Ints)
	assert.Equal(t, []int64{20}, oneExtra.Ints, "the inputs are not written to")
	assert.Equal(t, []bool{false}, oneBonus.Valid)

	for says, columns := range map[string][]*fs.Column{
		`"request:extra" is missing`:          {&country, &left, &trainBonus},
		`"stock:left" has 1 rows`:             {&country, new(fs.Int64Column("stock:left", 1)), &trainBonus, &trainExtra},
		`column 0 is nil`:                     {nil},
		`"stock:left" is given twice`:         {&left, &left},
		`is of type bool, not int64`:          {&country, new(fs.BoolColumn("stock:left", true, true, true)), &trainBonus, &trainExtra},
		`row 2: 1099511627776 is no int32`:    {&country, &left, &trainExtra, {Feature: fs.Feature{Name: "request:bonus", Kind: fs.Int32}, Valid: trainBonus.Valid, Ints: []int64{0, 0, 1 << 40}}},
		`has 2 elements of type int64, not 3`: {&country, {Feature: left.Feature, Valid: left.Valid, Ints: left.Ints[:2]}, &trainBonus, &trainExtra},
	} {
		_, err := offline.Apply(columns)
		require.ErrorIs(t, err, fs.ErrRequest)
		assert.ErrorContains(t, err, says)
	}
	_, err = fs.NewTransformer(registry, "nope", 0)
	require.ErrorIs(t, err, fs.ErrNotFound)
}

func TestTransformWithoutRows(t *testing.T) {
	online, registry := newOnline(t, nil, transformed(), ops())
	result, err := online.Get(t.Context(), "m", fs.Request{
		Keys: []fs.KeyColumn{fs.IntKeys("user_id"), fs.StringKeys("sku", "a")}, Fields: []fs.Column{fs.Int64Column("extra", 6)},
	})
	require.NoError(t, err)
	assert.Zero(t, result.Rows())
	offline, err := fs.NewTransformer(registry, "m", 0)
	require.NoError(t, err)
	outputs, err := offline.Apply([]*fs.Column{
		new(fs.StringColumn("profile:country")), new(fs.Int64Column("request:extra")), new(fs.Int64Column("stock:left")),
		{Feature: fs.Feature{Name: "request:bonus", Kind: fs.Int32}},
	})
	require.NoError(t, err)
	require.Len(t, outputs, 3)
	assert.Zero(t, outputs[0].Len())
}

func TestTransformThatFails(t *testing.T) {
	one := func(op string) *fs.Reader {
		defs := service("out", "profile:age")
		defs.Services[0].Request = []fs.Feature{{Name: "x", Kind: fs.Int64}}
		defs.Services[0].Transforms = []fs.Transform{{Name: "t", Op: op, Inputs: []string{"request:x"}, Outputs: []fs.Feature{{Name: "out", Kind: fs.Int64}}}}
		online, _ := newOnline(t, nil, defs, ops())
		reader, err := online.Reader("m", 0)
		require.NoError(t, err)
		return reader
	}
	column := fs.Int64Column("x", 1, 2)
	req := fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("user_id", 1)}, Fields: []fs.Column{column}}
	result, err := one("fails").Do(t.Context(), req)
	require.ErrorIs(t, err, errApply)
	assert.ErrorContains(t, err, `transform "t" of version 1 of service "m"`)
	assert.Nil(t, result)
	_, err = one("spoils").Do(t.Context(), req)
	assert.ErrorContains(t, err, `has spoilt an output: featurestore: column "out" has 0 rows, not 2`)

	panics := one("panics")
	var m fs.Matrix
	var used fs.Result
	for range 3 {
		assert.PanicsWithValue(t, "boom", func() { _, _ = panics.Do(t.Context(), req) })
		assert.PanicsWithValue(t, "boom", func() { _ = panics.Matrix(t.Context(), req, &m) })
		assert.PanicsWithValue(t, "boom", func() { _ = panics.Read(t.Context(), req, &used) })
		other := req
		other.Fields = []fs.Column{fs.Int64Column("x", 9)} // a single value, for two rows
		other.Keys = []fs.KeyColumn{fs.IntKeys("user_id", 1, 2)}
		assert.PanicsWithValue(t, "boom", func() { _ = panics.Read(t.Context(), other, &used) })
	}
	assert.Equal(t, []int64{1, 2}, column.Ints, "a read after one that panicked does not write to the columns of that")
	assert.Equal(t, []bool{true, true}, column.Valid)
}

func TestColumns(t *testing.T) {
	at := time.Unix(1, 2).UTC()
	for _, c := range []struct {
		column fs.Column
		want   fs.Value
	}{
		{fs.Int64Column("x", 0, 5), fs.Int64Value(5)},
		{fs.Float64Column("x", 0, 5), fs.Float64Value(5)},
		{fs.Float32Column("x", 0, 0.1), fs.Float32Value(0.1)},
		{fs.BoolColumn("x", false, true), fs.BoolValue(true)},
		{fs.StringColumn("x", "", "s"), fs.StringValue("s")},
		{fs.TimestampColumn("x", time.Now(), at), fs.TimestampValue(at)},
		{fs.VectorColumn("x", 2, 0, 0, 1, 2), fs.VectorValue([]float32{1, 2})},
	} {
		require.Equal(t, 2, c.column.Len())
		assert.Equal(t, "x", c.column.Name)
		assert.True(t, c.want.Equal(c.column.Value(1)), c.want)
		c.column.Valid[1] = false
		assert.True(t, c.column.Value(1).IsNull())
	}
}
