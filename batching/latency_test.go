package batching

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// teach has the model observe batches of the given sizes that take base + each·n, with noise, one after the other.
func teach(m *latency, sizes []int, base, each time.Duration, noise float64) {
	random := rand.New(rand.NewPCG(1, 1))
	now := m.last
	for _, n := range sizes {
		took := time.Duration(float64(base+time.Duration(n)*each) * math.Exp(noise*random.NormFloat64()))
		now += took
		m.observe(n, n, 0, false, took, now)
	}
}

func mixed(count, most int) []int {
	random := rand.New(rand.NewPCG(2, 2))
	sizes := make([]int, count)
	for i := range sizes {
		sizes[i] = 1 + random.IntN(most)
	}
	return sizes
}

func TestLatencyFindsTheLine(t *testing.T) {
	for _, noise := range []float64{0, 0.05, 0.3} {
		m := new(latency)
		require.False(t, m.known())
		require.Zero(t, m.safe(10))
		require.Zero(t, m.fast(10))
		teach(m, mixed(300, 64), 8*ms, ms/2, noise)
		for _, x := range []float64{1, 16, 64} {
			truth := float64(8*ms) + x*float64(ms)/2
			require.InEpsilon(t, truth, m.mean(x), 0.02+noise/2, "noise %v, size %v", noise, x)
			require.GreaterOrEqual(t, float64(m.safe(x)), truth*0.9)
			require.LessOrEqual(t, float64(m.fast(x)), truth*(1+noise/3))
		}
	}
}

// The margin is the quantile that was asked for, whatever the distribution.
func TestLatencyMargin(t *testing.T) {
	m := new(latency)
	teach(m, mixed(1000, 64), 0, ms, 0.2) // all variable: the margin is the highest
	require.InEpsilon(t, math.Exp(0.2*2.05)*64, float64(m.safe(64))/float64(ms), 0.15)
	require.InEpsilon(t, math.Exp(-0.2*1.64), float64(m.fast(64))/m.mean(64), 0.15)
}

func TestLatencyAfterAChange(t *testing.T) {
	for _, factor := range []float64{3, 1.0 / 3, 1.5} {
		for _, noise := range []float64{0.02, 0.1} {
			m := new(latency)
			teach(m, mixed(200, 64), 8*ms, ms/2, noise)
			teach(m, mixed(12, 64), time.Duration(factor*float64(8*ms)), time.Duration(factor*float64(ms)/2), noise)
			require.InEpsilon(t, factor*float64(24*ms), m.mean(32), 0.15, "factor %v, noise %v", factor, noise)
		}
	}
}

// While all batches are of one size nothing tells what others cost. The two slopes then part, so that others are tried.
func TestLatencyDoubtsTheSlope(t *testing.T) {
	m := new(latency)
	teach(m, mixed(100, 16), 8*ms, 2*ms, 0.01)
	b := m.count.b
	ones := make([]int, 1500)
	for i := range ones {
		ones[i] = 4
	}
	teach(m, ones, 8*ms, 2*ms, 0.01)
	require.InEpsilon(t, float64(16*ms), m.mean(4), 0.02, "what is seen stays known")
	require.Less(t, m.count.b, b/2)
	require.Less(t, m.fast(1), m.fast(4)*3/4)
	teach(m, mixed(100, 16), 8*ms, 2*ms, 0.01)
	require.InEpsilon(t, b, m.count.b, 0.05)
}

// What is old says less than what is new, all the more after an idle time.
func TestLatencyAfterIdling(t *testing.T) {
	var after [2]float64
	for i, idle := range []time.Duration{0, time.Hour} {
		m := new(latency)
		teach(m, mixed(200, 64), 8*ms, ms/2, 0.02)
		now := m.last + idle
		for range 5 {
			took := 30 * ms // instead of 24
			now += took
			m.observe(32, 32, 0, false, took, now)
		}
		after[i] = m.mean(32)
	}
	require.Greater(t, after[1], after[0])
}

// Whatever is observed, the estimates stay numbers.
func TestLatencyOfAnything(t *testing.T) {
	times := []time.Duration{-1, 0, 1, ms, time.Hour, math.MaxInt64}
	weights := []int64{0, 1, 1000, math.MaxInt64}
	random := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		m := new(latency)
		for range 100 {
			n := 1 + random.IntN(1+random.IntN(1<<20))
			m.observe(n, n, weights[random.IntN(len(weights))], true, times[random.IntN(len(times))], time.Duration(random.Int64()))
			for _, x := range []float64{0, 1, 1000, 1e18} {
				require.GreaterOrEqual(t, m.mean(x), 1.0)
				require.False(t, math.IsInf(m.mean(x), 0) || math.IsNaN(m.mean(x)))
				require.GreaterOrEqual(t, m.safe(x), time.Duration(0))
				require.GreaterOrEqual(t, m.fast(x), time.Duration(0))
			}
			require.Positive(t, m.largest())
		}
	}
}
