package ensemble_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/ensemble"
)

func TestCascadeConfidenceOfProbabilities(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		p                      []float64
		largest, margin, sharp float64
	}{
		{nil, nan, nan, nan},
		{[]float64{1}, 1, 1, 1},
		{[]float64{0.4}, 0.4, 0.4, 1},
		{[]float64{0.5, 0.5}, 0.5, 0, 0},
		{[]float64{0, 1, 0}, 1, 1, 1},
		{[]float64{0.25, 0.25, 0.25, 0.25}, 0.25, 0, 0},
		// (0.7·ln 0.7 + 0.2·ln 0.2 + 0.1·ln 0.1) / ln 3 = -0.8018185525 / 1.0986122887
		{[]float64{0.1, 0.7, 0.2}, 0.7, 0.5, 1 - 0.8018185525433373/1.0986122886681098},
		{[]float64{0.2, 1.4, 0.4}, 1.4, 1.0, 1 - 0.8018185525433373/1.0986122886681098}, // only the entropy is normalised
		{[]float64{4e307, 4e307}, 4e307, 0, 0},
		{[]float64{0.5, nan}, nan, nan, nan},
		{[]float64{0.5, -0.1}, nan, nan, nan},
		{[]float64{math.Inf(1), 0}, nan, nan, nan},
		{[]float64{0, 0}, 0, 0, nan},
	} {
		for name, pair := range map[string][2]float64{
			"max":     {tc.largest, ensemble.MaxProbability(tc.p)},
			"margin":  {tc.margin, ensemble.ProbabilityMargin(tc.p)},
			"entropy": {tc.sharp, ensemble.EntropyConfidence(tc.p)},
		} {
			if math.IsNaN(pair[0]) {
				assert.True(t, math.IsNaN(pair[1]), "%s of %v is %v", name, tc.p, pair[1])
			} else {
				assert.InDelta(t, pair[0], pair[1], 1e-12, "%s of %v", name, tc.p)
			}
		}
	}
	assert.InDelta(t, 0.7, ensemble.MaxProbability([]float32{0.3, 0.7}), 1e-7)
}
