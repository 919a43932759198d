package ensemble

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tail is checked against its definition, the sum of the probabilities.
func TestThresholdBinomialTailIsTheSum(t *testing.T) {
	for _, n := range []int{1, 2, 7, 40, 300} {
		for _, p := range []float64{0, 0.001, 0.3, 0.5, 0.95, 1} {
			tail := 0.0
			for s := n; s >= 0; s-- {
				lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
				pmf := math.Exp(lg(n) - lg(s) - lg(n-s))
				pmf *= math.Pow(p, float64(s)) * math.Pow(1-p, float64(n-s))
				tail += pmf
				require.InDelta(t, tail, binomialTail(s, n, p), 1e-10, "%d of %d at %v", s, n, p)
			}
			assert.Zero(t, binomialTail(n+1, n, p))
		}
	}
	half := binomialTail(500_000, 1_000_000, 0.5)
	assert.InDelta(t, 0.5+0.5*math.Sqrt(2/(math.Pi*1e6)), half, 1e-8, "of very many: a half, and half of the middle")
}

func TestThresholdClopperPearson(t *testing.T) {
	for _, tc := range []struct {
		s, n      int
		low, high float64
	}{
		{0, 10, 0, 0.3084971078187608},  // 1 - 0.025^(1/10)
		{10, 10, 0.6915028921812392, 1}, // 0.025^(1/10)
		{0, 0, 0, 1},
		{1, 2, 1 - math.Sqrt(0.975), math.Sqrt(0.975)}, // 1-(1-p)² = 0.025, p² = 0.975
		{8, 10, 0.4439045, 0.9747893},                  // R: binom.test(8, 10)
	} {
		low, high := clopperPearson(tc.s, tc.n, 0.95)
		assert.InDelta(t, tc.low, low, 1e-7, "%d of %d", tc.s, tc.n)
		assert.InDelta(t, tc.high, high, 1e-7, "%d of %d", tc.s, tc.n)
	}
}
