package ensemble

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzThresholdFrontier checks the frontier against all combinations of all values: exact for two stages, and for three as long as the grid has
// room for all values.
func FuzzThresholdFrontier(f *testing.F) {
	rng := rand.New(rand.NewPCG(15, 16))
	for n := range 60 {
		data := []byte{byte(n)}
		for range 2 + rng.IntN(38) {
			data = append(data, byte(rng.Uint32()))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 3 {
			return
		}
		k := 2 + int(data[0])%2
		data = data[1:min(len(data), 40)]
		var samples []ThresholdSample
		for len(data) >= k {
			var s ThresholdSample
			for _, b := range data[:k] {
				c := float64(b&7)/4 - 0.5 // negative ones and 0 too
				if b&7 == 7 {
					c = math.NaN()
				}
				s.Confidence, s.Correct = append(s.Confidence, c), append(s.Correct, b&64 != 0)
			}
			samples, data = append(samples, s), data[k:]
		}
		if len(samples) == 0 {
			return
		}
		costs := []float64{1, 4, 32}[:k]

		values := []float64{math.Inf(-1), -0.5, -0.25, -math.SmallestNonzeroFloat64, 0.25, 0.5, 0.75, 1, math.Inf(1)}
		var all []thresholdPoint
		try := func(thresholds ...float64) {
			r := coverage(samples, thresholds, costs, 0.95)
			all = append(all, thresholdPoint{slices.Clone(thresholds), r.Accuracy.Count, math.Round(r.Cost * float64(len(samples)))})
		}
		for _, a := range values {
			if k == 2 {
				try(a)
				continue
			}
			for _, b := range values {
				try(a, b)
			}
		}
		want := pareto(all)
		got := newThresholdSearch(samples, costs).frontier()
		require.Len(t, got, len(want))
		for i, p := range got {
			require.Equal(t, want[i].correct, p.correct)
			require.Equal(t, want[i].cost, p.cost)
			require.NotContains(t, p.thresholds, 0.0)
			r := coverage(samples, p.thresholds, costs, 0.95)
			require.Equal(t, p.correct, r.Accuracy.Count, "what the thresholds do")
			require.InDelta(t, p.cost, r.Cost*float64(len(samples)), 1e-9)
		}
	})
}
