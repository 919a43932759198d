package transform_test

import (
	"math"
	"testing"

	fs "github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/transform"
)

// Log over 1,000 rows, beside the loop that one would write by hand for this column.
func BenchmarkLog(b *testing.B) {
	in := fs.NewColumn(fs.Feature{Name: "x", Kind: fs.Float64}, 1000)
	for row := range in.Valid {
		in.Floats[row], in.Valid[row] = float64(row), true
	}
	out := fs.NewColumn(fs.Feature{Name: "o", Kind: fs.Float64}, 1000)
	b.Run("hand-written", func(b *testing.B) {
		for b.Loop() {
			for row, x := range in.Floats {
				if in.Valid[row] {
					out.Floats[row], out.Valid[row] = math.Log1p(x), true
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
	})
	b.Run("transform", func(b *testing.B) {
		apply, err := transform.Ops()["log"](transform.Log("o", "x", 1), []fs.Feature{in.Feature})
		if err != nil {
			b.Fatal(err)
		}
		ins, outs := []*fs.Column{in}, []*fs.Column{out}
		b.ReportAllocs()
		for b.Loop() {
			if err := apply(ins, outs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
	})
}
