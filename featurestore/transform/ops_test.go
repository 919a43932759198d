package transform_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

var nan = math.NaN()

// floats is a column of float64; NaN stands for no value.
func floats(name string, xs ...float64) *fs.Column {
	c := fs.NewColumn(fs.Feature{Name: name, Kind: fs.Float64}, len(xs))
	for i, x := range xs {
		c.Floats[i], c.Valid[i] = x, !math.IsNaN(x)
	}
	return c
}

func ints(name string, kind fs.Kind, xs ...int64) *fs.Column {
	c := fs.NewColumn(fs.Feature{Name: name, Kind: kind}, len(xs))
	for i, x := range xs {
		c.Ints[i], c.Valid[i] = x, true
	}
	return c
}

// texts is a column of strings; "-" stands for no value.
func texts(name string, kind fs.Kind, xs ...string) *fs.Column {
	c := fs.NewColumn(fs.Feature{Name: name, Kind: kind}, len(xs))
	for i, x := range xs {
		c.Strs[i], c.Valid[i] = x, x != "-"
	}
	return c
}

// vectors is a column of vectors; nil stands for no value.
func vectors(name string, dim int, xs ...[]float32) *fs.Column {
	c := fs.NewColumn(fs.Feature{Name: name, Kind: fs.Vector, Dim: dim}, len(xs))
	for i, x := range xs {
		c.Valid[i] = x != nil
		copy(c.Vecs[i*dim:], x)
	}
	return c
}

// run fits a transform and applies it.
func run(t *testing.T, tr fs.Transform, in ...*fs.Column) (*fs.Column, fs.Transform) {
	t.Helper()
	columns := map[string]*fs.Column{}
	for _, c := range in {
		columns[c.Name] = c
	}
	s, err := transform.Fit(fs.Service{Transforms: []fs.Transform{tr}}, columns, transform.Ops(), transform.Fitters())
	require.NoError(t, err)
	return columns[tr.Outputs[0].Name], s.Transforms[0]
}

// want compares the values of a column of one number a row; NaN stands for no value.
func want(t *testing.T, c *fs.Column, xs ...float64) {
	t.Helper()
	require.Len(t, c.Valid, len(xs))
	for i, x := range xs {
		got := nan
		switch {
		case !c.Valid[i]:
		case c.Ints != nil:
			got = float64(c.Ints[i])
		default:
			got = c.Floats[i]
		}
		if math.IsNaN(x) {
			assert.False(t, c.Valid[i], "row %d: %v", i, got)
		} else {
			assert.InDelta(t, x, got, 1e-12, "row %d", i)
		}
	}
}

func TestArithmetic(t *testing.T) {
	a, b := floats("a", 1, 2, nan, -3, 0), floats("b", 4, 0, 1, 2, 0)
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		transform fs.Transform
		want      []float64
	}{
		"ratio":          {transform.Ratio("o", "a", "b", 0), []float64{0.25, nan, nan, -1.5, nan}},
		"smoothed ratio": {transform.Ratio("o", "a", "b", 1), []float64{0.2, 2, nan, -1, 0}},
		"difference":     {transform.Difference("o", "a", "b"), []float64{-3, 2, nan, -5, 0}},
		"sum":            {transform.Sum("o", "a", "b", "a"), []float64{6, 4, nan, -4, 0}},
		"product":        {transform.Product("o", "a", "b"), []float64{4, 0, nan, -6, 0}},
		"affine":         {transform.Affine("o", "a", 2, 1), []float64{3, 5, nan, -5, 1}},
		"log1p":          {transform.Log("o", "a", 1), []float64{math.Ln2, math.Log(3), nan, nan, 0}},
		"log":            {transform.Log("o", "b", 0), []float64{math.Log(4), nan, 0, math.Ln2, nan}},
		"clip":           {transform.Clip("o", "a", -1, 1.5), []float64{1, 1.5, nan, -1, 0}},
		"clip above":     {transform.Clip("o", "a", -inf, 0), []float64{0, 0, nan, -3, 0}},
		"clip below":     {transform.Clip("o", "a", 1, inf), []float64{1, 2, nan, 1, 1}},
		"coalesce":       {transform.Coalesce("o", "a", "b"), []float64{1, 2, 1, -3, 0}},
		"missing":        {transform.Missing("o", "a"), []float64{0, 0, 1, 0, 0}},
		"bucket":         {transform.Bucket("o", "b", 0, 2, 4), []float64{3, 1, 1, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, c.transform, a, b)
			want(t, out, c.want...)
		})
	}
}

func TestNumbersOfAllTypes(t *testing.T) {
	clock := ints("t", fs.Timestamp, 1_500_000_000, -500_000_000)
	out, _ := run(t, transform.Sum("o", "i", "b", "t"), ints("i", fs.Int32, 1, 2), ints("b", fs.Bool, 1, 0), clock)
	want(t, out, 3.5, 1.5)

	tr := transform.Sum("o", "i")
	tr.Outputs[0].Kind = fs.Float32
	out, _ = run(t, tr, floats("i", 1e300, 0.1))
	want(t, out, nan, float64(float32(0.1)))
}

func TestNaNIsMissing(t *testing.T) {
	c := floats("a", 1, 1)
	c.Floats[1] = nan
	c.Valid[1] = true
	out, _ := run(t, transform.Missing("o", "a"), c)
	want(t, out, 0, 1)
	out, _ = run(t, transform.Sum("o", "a"), c)
	want(t, out, 1, nan)
}

// The reference values are of scikit-learn's StandardScaler, MinMaxScaler and RobustScaler and of numpy.quantile, by their definitions worked out by hand: 1, 2, 3, 4 and 10
// have mean 4, variance 10, median 3, quartiles 2 and 4.
func TestScaling(t *testing.T) {
	train := floats("a", 4, 1, nan, 10, 2, 3)
	for name, c := range map[string]struct {
		transform fs.Transform
		params    string
		want      []float64
	}{
		"standardize": {transform.Standardize("o", "a"), `{"mean":4,"std":3.1622776601683795}`, []float64{0, -3 / math.Sqrt(10), nan, 6 / math.Sqrt(10), -2 / math.Sqrt(10), -1 / math.Sqrt(10)}},
		"minmax":      {transform.MinMax("o", "a"), `{"min":1,"max":10}`, []float64{3. / 9, 0, nan, 1, 1. / 9, 2. / 9}},
		"robust":      {transform.Robust("o", "a"), `{"median":3,"iqr":2}`, []float64{0.5, -1, nan, 3.5, -0.5, 0}},
		"quantiles":   {transform.Quantiles("o", "a", 4), `{"buckets":4,"bounds":[2,3,4]}`, []float64{3, 0, nan, 3, 1, 2}},
		"fill mean":   {transform.Fill("o", "a", transform.Mean), `{"with":"mean","value":4}`, []float64{4, 1, 4, 10, 2, 3}},
		"fill median": {transform.Fill("o", "a", transform.Median), `{"with":"median","value":3}`, []float64{4, 1, 3, 10, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			out, fitted := run(t, c.transform, train)
			want(t, out, c.want...)
			assert.JSONEq(t, c.params, string(fitted.Params))

			// Serving: what was fitted stays, whatever the data.
			out, again := run(t, fitted, floats("a", 1e6, -1e6))
			assert.Equal(t, fitted, again)
			if name == "minmax" {
				want(t, out, 1, 0)
			}
		})
	}
}

func TestScalingWhatDoesNotVary(t *testing.T) {
	for _, tr := range []fs.Transform{transform.Standardize("o", "a"), transform.MinMax("o", "a"), transform.Robust("o", "a")} {
		_, fitted := run(t, tr, floats("a", 7, 7))
		out, _ := run(t, fitted, floats("a", 7, 100))
		want(t, out, 0, 0)
	}
	_, fitted := run(t, transform.Quantiles("o", "a", 10), floats("a", 7, 7))
	out, _ := run(t, fitted, floats("a", 6, 7, 8))
	want(t, out, 0, 1, 1)
}

func TestStandardizeIsExactFarFromZero(t *testing.T) {
	_, fitted := run(t, transform.Standardize("o", "a"), floats("a", 1e9+4, 1e9+7, 1e9+13, 1e9+16))
	var p struct{ Mean, Std float64 }
	require.NoError(t, json.Unmarshal(fitted.Params, &p))
	assert.InDelta(t, math.Sqrt(22.5), p.Std, 1e-9)
}

func TestHash(t *testing.T) {
	s, b := texts("s", fs.String, "paris", "rome", "-", ""), texts("b", fs.Bytes, "paris", "rome", "-", "")
	i := ints("i", fs.Int64, 1, 2, 3, 4)
	// Golden: models are trained with these. They may never change.
	out, _ := run(t, transform.Hash("o", 1_000_000, 0, "s"), s)
	want(t, out, hashGolden[0]...)
	out, _ = run(t, transform.Hash("o", 1_000_000, 0, "b"), b)
	want(t, out, hashGolden[0]...)
	out, _ = run(t, transform.Hash("o", 1_000_000, 7, "s", "i"), s, i)
	want(t, out, hashGolden[1]...)
	paris := binary.LittleEndian.AppendUint64(append([]byte{5, 0, 0, 0, 0, 0, 0, 0}, "paris"...), 1)
	d := xxhash.NewWithSeed(7)
	_, _ = d.Write(paris)
	want(t, out, float64(d.Sum64()%1_000_000), out64(out, 1), nan, out64(out, 3))
	out, _ = run(t, transform.Hash("o", 1, 7, "s"), s)
	want(t, out, 0, 0, nan, 0)
	// Parts do not run into each other.
	out, _ = run(t, transform.Hash("o", 1<<62, 0, "s", "t"), texts("s", fs.String, "ab", "a"), texts("t", fs.String, "c", "bc"))
	assert.NotEqual(t, out.Ints[0], out.Ints[1])
}

func out64(c *fs.Column, row int) float64 { return float64(c.Ints[row]) }

func TestOneHot(t *testing.T) {
	train := texts("c", fs.String, "red", "blue", "red", "green", "-", "blue", "red", "ash")
	out, fitted := run(t, transform.OneHot("o", "c", 4), train)
	assert.JSONEq(t, `{"categories":["red","blue","ash"]}`, string(fitted.Params))
	assert.Equal(t, []float32{1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, out.Vecs[:20])

	out, _ = run(t, transform.OneHot("o", "c", 4, "7", "-1"), ints("c", fs.Int64, -1, 7, 8))
	assert.Equal(t, []float32{0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1}, out.Vecs)
	out, fitted = run(t, transform.OneHot("o", "c", 3), ints("c", fs.Bool, 0, 1, 1))
	assert.JSONEq(t, `{"categories":["true","false"]}`, string(fitted.Params))
	assert.Equal(t, []float32{0, 1, 0, 1, 0, 0, 1, 0, 0}, out.Vecs)
	// A vector of one element has room for the others alone.
	out, _ = run(t, transform.OneHot("o", "c", 1), train)
	assert.Equal(t, []float32{1, 1, 1, 1, 1, 1, 1, 1}, out.Vecs)
}

func TestVectors(t *testing.T) {
	a := vectors("a", 2, []float32{3, 4}, []float32{1, 0}, []float32{0, 0}, nil, []float32{1e20, 0})
	b := vectors("b", 2, []float32{3, 4}, []float32{-2, 0}, []float32{1, 1}, []float32{1, 1}, []float32{1e20, 0})
	out, _ := run(t, transform.Cosine("o", "a", "b"), a, b)
	want(t, out, 1, -1, nan, nan, 1)
	out, _ = run(t, transform.L2Distance("o", "a", "b"), a, b)
	want(t, out, 0, 3, math.Sqrt2, nan, 0)
	out, _ = run(t, transform.Dot("o", "a", "b"), vectors("a", 2, []float32{1, 2}), vectors("b", 2, []float32{3, 4}))
	want(t, out, 11)
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC) // a Sunday
	from := ints("from", fs.Timestamp, at.UnixNano(), at.UnixNano())
	to := ints("to", fs.Timestamp, at.Add(90*time.Second).UnixNano(), at.Add(-time.Millisecond).UnixNano())
	out, _ := run(t, transform.Elapsed("o", "from", "to"), from, to)
	want(t, out, 90, -0.001)
	for part, values := range map[transform.CalendarPart][2]float64{
		transform.Hour: {23, 0}, transform.Weekday: {0, 1}, transform.Day: {1, 2}, transform.YearDay: {60, 61}, transform.Month: {3, 3},
	} {
		out, _ = run(t, transform.Calendar("o", "from", part, 0), from)
		want(t, out, values[0], values[0])
		out, _ = run(t, transform.Calendar("o", "from", part, 60), from)
		want(t, out, values[1], values[1])
	}
}

func TestNumeric(t *testing.T) {
	ops := transform.Ops()
	ops["hypot"] = transform.Numeric(2, func(x []float64) float64 { return math.Hypot(x[0], x[1]) })
	columns := map[string]*fs.Column{"a": floats("a", 3, nan, math.Inf(1)), "b": floats("b", 4, 1, 1)}
	tr := fs.Transform{Name: "h", Op: "hypot", Inputs: []string{"a", "b"}, Outputs: []fs.Feature{{Name: "h", Kind: fs.Float64}}}
	_, err := transform.Fit(fs.Service{Transforms: []fs.Transform{tr}}, columns, ops, nil)
	require.NoError(t, err)
	want(t, columns["h"], 5, nan, nan)
}

func TestNoRows(t *testing.T) {
	out, _ := run(t, transform.OneHot("o", "c", 3, "x"), texts("c", fs.String))
	assert.Empty(t, out.Vecs)
	out, _ = run(t, transform.Hash("o", 3, 0, "c"), texts("c", fs.String))
	want(t, out)
}

// Bad definitions are refused when a service is defined, with an error that names the transform.
func TestBadTransforms(t *testing.T) {
	with := func(tr fs.Transform, change func(*fs.Transform)) fs.Transform {
		change(&tr)
		return tr
	}
	params := func(tr fs.Transform, p string) fs.Transform {
		return with(tr, func(tr *fs.Transform) { tr.Params = json.RawMessage(p) })
	}
	kind := func(tr fs.Transform, k fs.Kind) fs.Transform {
		return with(tr, func(tr *fs.Transform) { tr.Outputs[0].Kind = k })
	}
	for name, tr := range map[string]fs.Transform{
		"too few inputs":         with(transform.Ratio("o", "n", "n", 0), func(tr *fs.Transform) { tr.Inputs = tr.Inputs[:1] }),
		"no inputs":              transform.Sum("o"),
		"too many inputs":        with(transform.Log("o", "n", 0), func(tr *fs.Transform) { tr.Inputs = []string{"n", "n"} }),
		"text is no number":      transform.Log("o", "s", 0),
		"vector is no number":    transform.Standardize("o", "v"),
		"output's type":          kind(transform.Log("o", "n", 0), fs.String),
		"hash's output":          kind(transform.Hash("o", 5, 0, "s"), fs.Float64),
		"two outputs":            with(transform.Log("o", "n", 0), func(tr *fs.Transform) { tr.Outputs = append(tr.Outputs, fs.Feature{Name: "p", Kind: fs.Float64}) }),
		"unknown parameter":      params(transform.Log("o", "n", 0), `{"base":2}`),
		"parameter's type":       params(transform.Log("o", "n", 0), `{"offset":"1"}`),
		"parameters of none":     params(transform.Sum("o", "n"), `{"x":1}`),
		"trailing parameters":    params(transform.Log("o", "n", 0), `{"offset":1}{}`),
		"parameter is NaN":       transform.Log("o", "n", nan),
		"clip the wrong way":     transform.Clip("o", "n", 2, 1),
		"no bounds":              transform.Bucket("o", "n"),
		"bounds descend":         transform.Bucket("o", "n", 2, 1),
		"bounds are equal":       transform.Bucket("o", "n", 2, 2),
		"no hash buckets":        transform.Hash("o", 0, 0, "s"),
		"hash of a vector":       transform.Hash("o", 5, 0, "v"),
		"one bucket":             transform.Quantiles("o", "n", 1),
		"too many buckets":       transform.Quantiles("o", "n", 1<<30),
		"too many categories":    transform.OneHot("o", "s", 2, "a", "b"),
		"category twice":         transform.OneHot("o", "s", 5, "a", "a"),
		"category is no number":  transform.OneHot("o", "i", 5, "a"),
		"category is no decimal": transform.OneHot("o", "i", 5, "007"),
		"category is no bool":    transform.OneHot("o", "b", 5, "yes"),
		"category of floats":     transform.OneHot("o", "n", 5, "1"),
		"categories to fit":      transform.OneHot("o", "n", 5),
		"cosine of numbers":      transform.Cosine("o", "n", "n"),
		"cosine of sizes":        transform.Cosine("o", "v", "w"),
		"elapsed of numbers":     transform.Elapsed("o", "n", "n"),
		"calendar's part":        transform.Calendar("o", "t", "century", 0),
		"calendar's offset":      transform.Calendar("o", "t", transform.Hour, 1500),
		"calendar of a number":   transform.Calendar("o", "n", transform.Hour, 0),
		"fill with":              transform.Fill("o", "n", "mode"),
		"negative deviation":     params(transform.Standardize("o", "n"), `{"mean":0,"std":-1}`),
		"negative distance":      params(transform.Robust("o", "n"), `{"median":0,"iqr":-1}`),
		"minimum above":          params(transform.MinMax("o", "n"), `{"min":1,"max":0}`),
		"no such column":         transform.Log("o", "none", 0),
		"no such operation":      with(transform.Log("o", "n", 0), func(tr *fs.Transform) { tr.Op = "none" }),
		"output's name is taken": transform.Log("n", "n", 0),
		"nothing to fit":         transform.Standardize("o", "empty"),
		"no category to fit":     transform.OneHot("o", "none of them", 3),
	} {
		t.Run(name, func(t *testing.T) {
			columns := map[string]*fs.Column{
				"n": floats("n", 1, 2), "s": texts("s", fs.String, "a", "b"), "v": vectors("v", 2, []float32{1, 2}, nil), "w": vectors("w", 1, nil, nil),
				"i": ints("i", fs.Int64, 1, 2), "b": ints("b", fs.Bool, 1, 0), "t": ints("t", fs.Timestamp, 1, 2), "empty": floats("empty", nan, nan),
				"none of them": texts("none of them", fs.String, "-", "-"),
			}
			_, err := transform.Fit(fs.Service{Transforms: []fs.Transform{tr}}, columns, transform.Ops(), transform.Fitters())
			require.ErrorIs(t, err, transform.ErrTransform)
			assert.ErrorContains(t, err, tr.Name)
		})
	}
}

func TestNotFitted(t *testing.T) {
	for _, tr := range []fs.Transform{
		transform.Standardize("o", "n"), transform.MinMax("o", "n"), transform.Robust("o", "n"), transform.Quantiles("o", "n", 3),
		transform.OneHot("o", "s", 3), transform.Fill("o", "n", transform.Mean),
	} {
		inputs := []fs.Feature{{Name: "n", Kind: fs.Float64}}
		if tr.Op == "onehot" {
			inputs[0].Kind = fs.String
		}
		_, err := transform.Ops()[tr.Op](tr, inputs)
		assert.ErrorIs(t, err, transform.ErrNotFitted, tr.Op)
	}
}

func TestFitRefusesBadColumns(t *testing.T) {
	for name, columns := range map[string]map[string]*fs.Column{
		"lengths": {"a": floats("a", 1), "b": floats("b", 1, 2)},
		"nil":     {"a": nil},
		"no type": {"a": {Valid: []bool{true}}},
		"slice":   {"a": {Feature: fs.Feature{Name: "a", Kind: fs.Int64}, Valid: []bool{true}, Floats: []float64{1}}},
	} {
		_, err := transform.Fit(fs.Service{}, columns, transform.Ops(), transform.Fitters())
		assert.ErrorIs(t, err, transform.ErrTransform, name)
	}
}

// Every operation runs without allocating, so that a read does.
func TestApplyDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	in := []*fs.Column{
		floats("n", 1, 2), texts("s", fs.String, "a", "b"), vectors("v", 2, []float32{1, 2}, nil), ints("t", fs.Timestamp, 1, 2), ints("i", fs.Int64, 1, 2),
	}
	columns := map[string]*fs.Column{}
	for _, c := range in {
		columns[c.Name] = c
	}
	for _, tr := range []fs.Transform{
		transform.Ratio("o", "n", "i", 0), transform.Sum("o", "n", "i"), transform.Log("o", "n", 1), transform.Clip("o", "n", 0, 1),
		transform.Standardize("o", "n"), transform.MinMax("o", "n"), transform.Robust("o", "n"), transform.Quantiles("o", "n", 3),
		transform.Hash("o", 10, 1, "s", "i", "n"), transform.OneHot("o", "s", 3), transform.OneHot("o", "i", 3), transform.Cosine("o", "v", "v"),
		transform.Coalesce("o", "n", "i"), transform.Fill("o", "n", transform.Mean), transform.Missing("o", "s"), transform.Elapsed("o", "t", "t"),
		transform.Calendar("o", "t", transform.Hour, 0),
	} {
		out, fitted := run(t, tr, in...)
		var inputs []fs.Feature
		var cols []*fs.Column
		for _, name := range tr.Inputs {
			inputs, cols = append(inputs, columns[name].Feature), append(cols, columns[name])
		}
		apply, err := transform.Ops()[tr.Op](fitted, inputs)
		require.NoError(t, err)
		outs := []*fs.Column{out}
		assert.Zero(t, testing.AllocsPerRun(100, func() { err = apply(cols, outs) }), tr.Op)
		require.NoError(t, err)
	}
}

// In a read a field of the request with one row goes for all rows; so it does in training.
func TestFitRepeatsAFieldOfTheRequest(t *testing.T) {
	service := fs.Service{
		Name: "m", Version: 1, Request: []fs.Feature{{Name: "x", Kind: fs.Float64}, {Name: "y", Kind: fs.Float64, Default: fs.Float64Value(9)}},
		Transforms: []fs.Transform{transform.Sum("sum", "v:n", "request:x", "request:y")},
	}
	absent := fs.NewColumn(fs.Feature{Name: "y", Kind: fs.Float64}, 1)
	for name, c := range map[string]struct{ n, want []float64 }{
		"three rows": {[]float64{1, 2, 3}, []float64{20, 21, 22}}, "one row": {[]float64{1}, []float64{20}}, "no row": {[]float64{}, []float64{}},
	} {
		x := floats("x", 10)
		columns := map[string]*fs.Column{"v:n": floats("n", c.n...), "request:x": x, "request:y": absent}
		_, err := transform.Fit(service, columns, transform.Ops(), transform.Fitters())
		require.NoError(t, err, name)
		require.Equal(t, len(c.want), columns["sum"].Len(), name)
		want(t, columns["sum"], c.want...)
		assert.Equal(t, 1, x.Len(), "the caller's is as it was")
		assert.Same(t, x, columns["request:x"])
	}

	_, err := transform.Fit(service, map[string]*fs.Column{"v:n": floats("n", 1), "request:x": floats("x", 1, 2), "request:y": absent}, transform.Ops(), nil)
	require.ErrorIs(t, err, transform.ErrTransform, "a column of a view goes for no more rows than it has")
	columns := map[string]*fs.Column{"v:n": floats("n"), "request:x": floats("x", 1), "request:y": absent}
	delete(columns, "v:n")
	service.Transforms = []fs.Transform{transform.Sum("sum", "request:x", "request:y")}
	_, err = transform.Fit(service, columns, transform.Ops(), nil)
	require.NoError(t, err)
	want(t, columns["sum"], 10)
}
