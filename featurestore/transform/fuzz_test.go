package transform_test

import (
	"encoding/json"
	"math"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// Whatever the definition, an operation is refused with an error or computes rows that are finite or missing; it never panics.
func FuzzOps(f *testing.F) {
	for name := range transform.Ops() {
		f.Add(name, `{}`, uint8(0), uint8(0), uint8(2), 1.0)
	}
	f.Add("clip", `{"min":1e308,"max":1e309}`, uint8(0), uint8(1), uint8(2), -1.0)
	f.Add("hash", `{"buckets":9223372036854775807}`, uint8(1), uint8(2), uint8(0), 1.0)
	f.Add("quantiles", `{"buckets":3}`, uint8(0), uint8(0), uint8(0), math.MaxFloat64)
	kinds := []fs.Kind{fs.Float64, fs.String, fs.Vector, fs.Int64, fs.Timestamp, fs.Bool, fs.Float32, fs.Bytes, fs.Int32}
	f.Fuzz(func(t *testing.T, op, params string, a, b, out uint8, x float64) {
		columns := map[string]*fs.Column{}
		for name, kind := range map[string]fs.Kind{"a": kinds[int(a)%len(kinds)], "b": kinds[int(b)%len(kinds)]} {
			feature := fs.Feature{Name: name, Kind: kind}
			if kind == fs.Vector {
				feature.Dim = 2
			}
			c := fs.NewColumn(feature, 3)
			c.Valid[0], c.Valid[1] = true, true
			switch kind {
			case fs.Float64, fs.Float32:
				c.Floats[0], c.Floats[1] = x, -x
			case fs.String, fs.Bytes:
				c.Strs[0] = params
			case fs.Vector:
				c.Vecs[0], c.Vecs[3] = float32(x), float32(x)
			case fs.Bool:
				c.Ints[0] = 1
			default:
				c.Ints[0] = int64(math.Float64bits(x))
			}
			columns[name] = c
		}
		output := fs.Feature{Name: "o", Kind: kinds[int(out)%len(kinds)]}
		if output.Kind == fs.Vector {
			output.Dim = 2
		}
		tr := fs.Transform{Name: "t", Op: op, Inputs: []string{"a", "b"}, Outputs: []fs.Feature{output}, Params: json.RawMessage(params)}
		for n := range 3 {
			tr.Inputs = []string{"a", "b"}[:n]
			delete(columns, "o")
			if _, err := transform.Fit(fs.Service{Transforms: []fs.Transform{tr}}, columns, transform.Ops(), transform.Fitters()); err != nil {
				continue
			}
			c := columns["o"]
			for row, ok := range c.Valid {
				if ok && c.Floats != nil && (math.IsNaN(c.Floats[row]) || math.IsInf(c.Floats[row], 0)) {
					t.Fatalf("%s: row %d is %v", op, row, c.Floats[row])
				}
			}
		}
	})
}
