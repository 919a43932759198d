package transform_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// What Fit computes for training, a reader and a Transformer compute for the same rows: with rows, values and fields that are missing, defaults of features, fields
// and outputs, and transforms of the outputs of others.
func TestTrainingSeesWhatServingSees(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		maybe := func(v fs.Value) fs.Value {
			if rng.IntN(2) == 0 {
				return fs.Value{}
			}
			return v
		}
		view := fs.View{Name: "v", Entity: "e", Features: []fs.Feature{
			{Name: "x", Kind: fs.Float64, Default: maybe(fs.Float64Value(2))}, {Name: "n", Kind: fs.Int64, Default: maybe(fs.Int32Value(3))},
			{Name: "s", Kind: fs.String, Default: maybe(fs.StringValue("a"))}, {Name: "w", Kind: fs.Vector, Dim: 2, Default: maybe(fs.VectorValue([]float32{1, 2}))},
			{Name: "t", Kind: fs.Timestamp}, {Name: "g", Kind: fs.Float32},
		}}
		ratio := transform.Ratio("ratio", "v:x", "v:n", 0)
		ratio.Outputs[0].Default = maybe(fs.Float64Value(-7))
		service := fs.Service{
			Name: "m", Version: 1, Request: []fs.Feature{{Name: "now", Kind: fs.Timestamp}, {Name: "q", Kind: fs.Float64, Default: maybe(fs.Float32Value(0.1))}},
			Transforms: []fs.Transform{
				ratio, transform.Standardize("z", "ratio"), transform.MinMax("u", "v:x"), transform.Robust("r", "v:g"), transform.Fill("f", "ratio", transform.Median),
				transform.Quantiles("b", "f", 5), transform.OneHot("h", "v:s", 3), transform.Hash("k", 1000, seed, "v:s", "v:n", "request:q"), transform.Cosine("c", "v:w", "v:w"),
				transform.Elapsed("e", "v:t", "request:now"), transform.Missing("m", "z"), transform.Coalesce("o", "z", "request:q"), transform.Calendar("d", "v:t", transform.Hour, 90),
			},
		}
		for _, tr := range service.Transforms {
			service.Features = append(service.Features, tr.Outputs[0].Name)
		}
		registry, err := fs.NewRegistry("p", fs.WithOps(transform.Ops()))
		require.NoError(t, err)
		require.NoError(t, registry.Apply(fs.Definitions{Entities: []fs.Entity{{Name: "e", JoinKeys: []fs.JoinKey{{Name: "id", Kind: fs.Int64}}}}, Views: []fs.View{view}}))
		schema, err := registry.View("v")
		require.NoError(t, err)

		const rows = 30
		now := time.Now()
		columns := map[string]*fs.Column{}
		for _, f := range schema.Features() {
			columns["v:"+f.Name] = fs.NewColumn(f, rows)
		}
		columns["request:q"] = fs.NewColumn(fs.Feature{Name: "q", Kind: fs.Float64}, rows)
		times := []time.Time{now} // at times one for all rows
		if rng.IntN(2) == 0 {
			times = slices.Repeat(times, rows)
		}
		columns["request:now"] = new(fs.TimestampColumn("now", times...))
		var batch []fs.Row
		ids := make([]int64, rows)
		for row := range rows {
			ids[row] = int64(row)
			set := func(name string) bool {
				columns[name].Valid[row] = rng.IntN(4) > 0
				return columns[name].Valid[row]
			}
			if set("v:x") {
				columns["v:x"].Floats[row] = []float64{0, 1, -2.5, 1e100, math.NaN(), math.Inf(1)}[rng.IntN(6)]
			}
			if set("v:n") {
				columns["v:n"].Ints[row] = int64(rng.IntN(3))
			}
			if set("v:s") {
				columns["v:s"].Strs[row] = string(rune('a' + rng.IntN(4)))
			}
			if set("v:w") {
				columns["v:w"].Vecs[2*row] = rng.Float32()
			}
			if set("v:t") {
				columns["v:t"].Ints[row] = now.UnixNano() - rng.Int64N(1e18)
			}
			if set("v:g") {
				columns["v:g"].Floats[row] = float64(rng.Float32())
			}
			if set("request:q") {
				columns["request:q"].Floats[row] = rng.Float64()
			}
			r := schema.NewRecord(now)
			for i, f := range schema.Features() {
				require.NoError(t, schema.SetValue(r, i, columns["v:"+f.Name].Value(row)))
			}
			batch = append(batch, fs.Row{Key: fs.IntKey(int64(row)), Record: r})
		}
		stored := make([]*fs.Column, 0, len(columns))
		fields := []fs.Column{*columns["request:now"], *columns["request:q"]}
		for name, c := range columns {
			named := *c
			named.Name = name
			stored = append(stored, &named)
		}

		fitted, err := transform.Fit(service, columns, transform.Ops(), transform.Fitters())
		require.NoError(t, err)
		require.NoError(t, registry.Apply(fs.Definitions{Services: []fs.Service{fitted}}))
		store, err := memstore.New(memstore.Config{})
		require.NoError(t, err)
		online, err := fs.New(store, registry, fs.Config{})
		require.NoError(t, err)
		_, err = online.Write(t.Context(), "v", batch)
		require.NoError(t, err)
		result, err := online.Get(t.Context(), "m", fs.Request{Keys: []fs.KeyColumn{fs.IntKeys("id", ids...)}, Fields: fields})
		require.NoError(t, err)
		transformer, err := fs.NewTransformer(registry, "m", 0)
		require.NoError(t, err)
		outputs, err := transformer.Apply(stored)
		require.NoError(t, err)
		require.Len(t, outputs, len(service.Features))
		for col, name := range service.Features {
			for row := range rows {
				want := columns[name].Value(row)
				assert.True(t, want.Equal(result.Value(row, col)), "seed %d, row %d: %s was %v in training, is %v", seed, row, name, want, result.Value(row, col))
				assert.True(t, want.Equal(outputs[col].Value(row)), "seed %d, row %d: %s was %v in training, is %v", seed, row, name, want, outputs[col].Value(row))
			}
		}
		again := map[string]*fs.Column{}
		for name, c := range columns {
			if name[0] == 'v' || len(name) > 3 && name[:3] == "req" {
				again[name] = c
			}
		}
		twice, err := transform.Fit(fitted, again, transform.Ops(), transform.Fitters())
		require.NoError(t, err)
		require.Equal(t, fitted, twice)
		require.Equal(t, columns["z"], again["z"])
	}
}

func TestParametersThatAreMissingAreNotZero(t *testing.T) {
	in := floats("n", 1, 2, 3)
	for _, params := range []string{`null`, `{}`, `{"mean":null,"std":1}`, `{"min":1}`, `{"iqr":1}`, `{"with":"mean"}`, `{"buckets":3}`} {
		for _, op := range []string{"standardize", "minmax", "robust", "onehot", "quantiles", "fill"} {
			tr := fs.Transform{Name: "o", Op: op, Inputs: []string{"n"}, Outputs: []fs.Feature{{Name: "o", Kind: fs.Float64}}, Params: json.RawMessage(params)}
			_, err := transform.Ops()[op](tr, []fs.Feature{in.Feature})
			assert.ErrorIs(t, err, transform.ErrTransform, "%s %s", op, params)
		}
	}
	tr := transform.Standardize("o", "n")
	tr.Params = json.RawMessage(`{}`)
	c, _ := run(t, tr, in)
	want(t, c, -math.Sqrt(1.5), 0, math.Sqrt(1.5))
}

func TestEdges(t *testing.T) {
	ends := ints("a", fs.Timestamp, math.MinInt64, math.MaxInt64, 0)
	other := ints("b", fs.Timestamp, math.MaxInt64, math.MinInt64, math.MinInt64)
	c, _ := run(t, transform.Elapsed("o", "a", "b"), ends, other)
	for row, x := range []float64{math.MaxUint64 / 1e9, -math.MaxUint64 / 1e9, -(1 << 63) / 1e9} {
		assert.InEpsilon(t, x, c.Floats[row], 1e-9)
	}

	n := fs.NewColumn(fs.Feature{Name: "n", Kind: fs.Float64}, 3)
	n.Floats, n.Valid = []float64{math.NaN(), 0, 1}, []bool{true, true, true}
	c, _ = run(t, transform.Hash("o", 10, 0, "n"), n)
	assert.Equal(t, []bool{false, true, true}, c.Valid) // NaN is missing, here too

	const most = math.MaxFloat64
	c, _ = run(t, transform.MinMax("o", "n"), floats("n", -most, 0, most, most/2))
	want(t, c, 0, 0.5, 1, 0.75)
}

func TestFitRefusesWhatIsNot(t *testing.T) {
	bad := texts("s", fs.Bytes, "\xff", "\xff", "\xfe")
	custom := fs.Transform{Name: "t", Op: "custom", Outputs: []fs.Feature{{Name: "o", Kind: fs.Int64}}}
	vector := fs.Transform{Name: "t", Op: "custom", Outputs: []fs.Feature{{Name: "o", Kind: fs.Vector, Dim: -1}}}
	spoil := func(fs.Transform, []fs.Feature) (fs.Apply, error) {
		return func(_, out []*fs.Column) error { out[0].Valid = nil; return nil }, nil
	}
	none := func(fs.Transform, []fs.Feature) (fs.Apply, error) { return nil, nil }
	columns := func() map[string]*fs.Column { return map[string]*fs.Column{"s": bad} }
	for name, c := range map[string]struct {
		tr      fs.Transform
		columns map[string]*fs.Column
		op      fs.Op
	}{
		"categories that JSON cannot hold": {transform.OneHot("o", "s", 3), columns(), nil},
		"given ones":                       {transform.OneHot("o", "s", 3, "\xff"), columns(), nil},
		"no element":                       {transform.OneHot("o", "s", 0), columns(), nil},
		"elements below 0":                 {transform.OneHot("o", "s", -1), columns(), nil},
		"no columns":                       {custom, nil, spoil},
		"an operation that is nil":         {custom, columns(), nil},
		"no function":                      {custom, columns(), none},
		"an output that is spoilt":         {custom, columns(), spoil},
		"an output that cannot be":         {vector, columns(), spoil},
	} {
		ops := transform.Ops()
		ops["custom"] = c.op
		_, err := transform.Fit(fs.Service{Transforms: []fs.Transform{c.tr}}, c.columns, ops, transform.Fitters())
		assert.ErrorIs(t, err, transform.ErrTransform, name)
	}
}
