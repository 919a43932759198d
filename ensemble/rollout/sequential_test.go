package rollout_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// zTest is the test for a fixed number of samples, at level 0.05 one-sided, that people peek at.
type zTest struct{ n, sum, limit float64 }

func (z *zTest) add(x float64) (alarm bool) {
	z.n++
	z.sum += x
	return z.n >= 30 && (z.sum/z.n-z.limit)/math.Sqrt(z.limit*(1-z.limit)/z.n) > 1.645
}

func coin(rng *rand.Rand, p float64) float64 {
	if rng.Float64() < p {
		return 1
	}
	return 0
}

// skipUnderRace skips a simulation, in which there is nothing for the race detector to find.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("a simulation on one goroutine")
	}
}

// runs repeats an experiment of up to n samples and returns the share of those that failed and that passed, and the mean number of samples until then.
func runs(t *testing.T, cfg rollout.MeanTestConfig, repeats, n int, sample func(*rand.Rand) float64) (failed, passed, samples float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for range repeats {
		test, err := rollout.NewMeanTest(cfg)
		require.NoError(t, err)
		for range n {
			samples++
			verdict := test.Add(sample(rng))
			if verdict == rollout.Fail {
				failed++
			}
			if verdict == rollout.Pass {
				passed++
			}
			if verdict != rollout.Inconclusive {
				break
			}
		}
	}
	return failed / float64(repeats), passed / float64(repeats), samples / float64(repeats)
}

// The mean is just the limit, the worst that is in order, and also the worst at which passing is an error. Looked at after each of 5,000 samples.
func TestPeekingDoesNotRaiseFalseAlarms(t *testing.T) {
	skipUnderRace(t)
	const repeats, n, alpha = 1000, 5000, 0.05
	for _, limit := range []float64{0.01, 0.1, 0.5} {
		cfg := rollout.MeanTestConfig{Limit: limit, Alpha: alpha}
		failed, passed, _ := runs(t, cfg, repeats, n, func(rng *rand.Rand) float64 { return coin(rng, limit) })
		t.Logf("limit %v: false alarms %.4f, false passes %.4f", limit, failed, passed)
		require.LessOrEqual(t, failed, alpha)
		require.LessOrEqual(t, passed, alpha)

		rng := rand.New(rand.NewPCG(1, 2))
		alarms := 0.0
		for range repeats {
			z := zTest{limit: limit}
			for range n {
				if z.add(coin(rng, limit)) {
					alarms++
					break
				}
			}
		}
		t.Logf("limit %v: z-test, peeked at: false alarms %.4f", limit, alarms/repeats)
		require.Greater(t, alarms/repeats, 5*alpha, "the contrast: a z-test with alpha 0.05 that is peeked at")
	}
}

// A difference from -1 to 1, as in a comparison with the champion, at the limit.
func TestPeekingAtDifferences(t *testing.T) {
	skipUnderRace(t)
	const alpha = 0.05
	cfg := rollout.MeanTestConfig{Low: -1, High: 1, Limit: 0.02, Alpha: alpha}
	failed, passed, _ := runs(t, cfg, 1000, 5000, func(rng *rand.Rand) float64 {
		champion := 0.0
		for range 19 {
			champion += coin(rng, 0.03) / 19
		}
		return coin(rng, 0.05) - champion
	})
	t.Logf("false alarms %.4f, false passes %.4f", failed, passed)
	require.LessOrEqual(t, failed, alpha)
	require.LessOrEqual(t, passed, alpha)
}

// What it takes to find a degradation and to pass what is in order: the mean number of samples at alpha 0.01.
func TestPower(t *testing.T) {
	skipUnderRace(t)
	for _, c := range []struct {
		name              string
		limit, mean       float64
		verdict           rollout.Verdict
		rate, meanSamples float64 // at least, at most
	}{
		{"errors five times the limit", 0.01, 0.05, rollout.Fail, 0.999, 250},
		{"errors twice the limit", 0.01, 0.02, rollout.Fail, 0.99, 2000},
		{"everything fails", 0.01, 1, rollout.Fail, 1, 3},
		{"half is wrong", 0.1, 0.5, rollout.Fail, 1, 30},
		{"no errors", 0.01, 0, rollout.Pass, 1, 800},
		{"a fifth of the limit", 0.05, 0.01, rollout.Pass, 0.99, 400},
	} {
		failed, passed, samples := runs(t, rollout.MeanTestConfig{Limit: c.limit}, 1000, 10_000, func(rng *rand.Rand) float64 { return coin(rng, c.mean) })
		rate := failed
		if c.verdict == rollout.Pass {
			rate = passed
		}
		t.Logf("%-28s limit %v, mean %v: %v in %.4f of the runs after %.0f samples on average", c.name, c.limit, c.mean, c.verdict, rate, samples)
		require.GreaterOrEqual(t, rate, c.rate, c.name)
		require.LessOrEqual(t, samples, c.meanSamples, c.name)
	}
}

// The same for differences from a champion of which one percent fail, by the mean of 19 of its requests for each of the challenger's: that is at a share of 5%.
func TestPowerOfDifferences(t *testing.T) {
	skipUnderRace(t)
	for _, c := range []struct {
		rate    float64
		verdict rollout.Verdict
		samples float64 // at most, on average
	}{{0.01, rollout.Pass, 2500}, {0.05, rollout.Fail, 500}, {0.2, rollout.Fail, 80}} {
		cfg := rollout.MeanTestConfig{Low: -1, High: 1, Limit: 0.01}
		failed, passed, samples := runs(t, cfg, 500, 20_000, func(rng *rand.Rand) float64 {
			champion := 0.0
			for range 19 {
				champion += coin(rng, 0.01) / 19
			}
			return coin(rng, c.rate) - champion
		})
		t.Logf("challenger %v: failed in %.3f, passed in %.3f of the runs after %.0f samples of the challenger on average", c.rate, failed, passed, samples)
		require.GreaterOrEqual(t, map[rollout.Verdict]float64{rollout.Fail: failed, rollout.Pass: passed}[c.verdict], 0.99)
		require.LessOrEqual(t, samples, c.samples)
	}
}

// What was good for long, and then is not, is found as soon as if it had been good for a short time.
func TestMeanTestAfterALongGoodTime(t *testing.T) {
	skipUnderRace(t)
	for _, c := range []struct {
		limit, bad float64
		atMost     int // samples
	}{{0.01, 1, 20}, {0.5, 1, 60}, {0.05, 0.5, 60}, {0.5, 0.9, 200}} {
		for _, good := range []int{1000, 1_000_000} {
			test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: c.limit})
			require.NoError(t, err)
			for range good {
				test.Add(0)
			}
			require.Equal(t, rollout.Pass, test.Verdict())
			rng := rand.New(rand.NewPCG(5, 6))
			n := 0
			for ; n <= c.atMost && test.Verdict() == rollout.Pass; n++ {
				test.Add(coin(rng, c.bad))
			}
			t.Logf("limit %v, %d good samples, then mean %v: fails after %d more", c.limit, good, c.bad, n)
			require.LessOrEqual(t, n, c.atMost)
		}
	}
}

// Nulls other than a coin at the limit: samples that depend on the past, extremes that are rare, and a long time well below the limit.
func TestFalseAlarmsOfOtherNulls(t *testing.T) {
	skipUnderRace(t)
	const alpha = 0.05
	for name, null := range map[string]func() func(*rand.Rand) float64{
		"never": func() func(*rand.Rand) float64 { return func(*rand.Rand) float64 { return 0 } },
		"alternates between surely at the limit and a coin": func() func(*rand.Rand) float64 {
			n := 0
			return func(rng *rand.Rand) float64 {
				if n++; n%2 == 0 {
					return 0.1
				}
				return coin(rng, 0.1)
			}
		},
		"rises to the limit": func() func(*rand.Rand) float64 {
			n := 0.0
			return func(rng *rand.Rand) float64 { n++; return coin(rng, min(n/2500, 1)*0.1) }
		},
		"bolder after a loss": func() func(*rand.Rand) float64 {
			p := 0.1
			return func(rng *rand.Rand) float64 {
				x := 0.1 * coin(rng, p) / p
				if p = 0.1; x > 0 {
					p = 0.9
				}
				return x
			}
		},
	} {
		rng := rand.New(rand.NewPCG(7, 8))
		failed, repeats := 0.0, 1000.0
		for range int(repeats) {
			test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.1, Alpha: alpha})
			require.NoError(t, err)
			sample := null()
			for range 5000 {
				if test.Add(sample(rng)) == rollout.Fail {
					failed++
					break
				}
			}
		}
		t.Logf("%s: false alarms %.4f", name, failed/repeats)
		require.LessOrEqual(t, failed/repeats, alpha, name)
	}
}

// By hand: stakes 0.95, 1/2, 1/4, ..., 1/1024 in equal parts of 0.8, 0.2 being in the purse, limit 1/2, so that a 1 wins the stake and a 0 loses it.
func TestMeanTestByHand(t *testing.T) {
	test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.5})
	require.NoError(t, err)
	stakes := 0.8 * (0.95 + 1 - 1.0/1024)
	test.Add(1)
	fail, pass := test.PValues()
	require.InDelta(t, 1/(1+stakes/11), fail, 1e-12)
	require.Equal(t, 1.0, pass)
	test.Add(0)
	fail, _ = test.PValues()
	require.InDelta(t, 1/(1+stakes/11), fail, 1e-12, "a p-value does not grow")
	require.Equal(t, 0.5, test.Mean())
	require.EqualValues(t, 2, test.Samples())
}

func TestMeanTestEdges(t *testing.T) {
	test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.1, MinSamples: 50})
	require.NoError(t, err)
	for range 49 {
		require.Equal(t, rollout.Inconclusive, test.Add(math.NaN()), "before the minimum")
	}
	require.Equal(t, rollout.Fail, test.Add(math.Inf(1)))
	require.Equal(t, 1.0, test.Mean(), "a NaN is as bad as can be")
	for range 100_000 {
		require.Equal(t, rollout.Fail, test.Add(1), "fail is final, and the wealth stays finite")
	}
	fail, _ := test.PValues()
	require.False(t, math.IsNaN(fail))
	require.Less(t, fail, 1e-9)

	test, err = rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.1})
	require.NoError(t, err)
	for test.Add(0) != rollout.Pass {
	}
	for test.Add(1) == rollout.Pass {
	}
	require.Equal(t, rollout.Fail, test.Verdict(), "what has passed can get worse")
	require.Less(t, test.Samples(), uint64(200))

	for _, cfg := range []rollout.MeanTestConfig{
		{}, {Limit: 1}, {Limit: -0.1}, {Limit: math.NaN()}, {Limit: 0.1, Alpha: 1}, {Limit: 0.1, Alpha: -1}, {Limit: 0.1, Alpha: math.NaN()},
		{Limit: 0.1, Beta: 2}, {Limit: 0.1, MinSamples: -1}, {Limit: 0.1, Low: 1, High: 0}, {Limit: 1e-310}, {Limit: 0.1, High: math.Inf(1)},
	} {
		_, err := rollout.NewMeanTest(cfg)
		require.Error(t, err, "%+v", cfg)
	}
}

func TestRatio(t *testing.T) {
	skipUnderRace(t)
	const repeats, n, alpha = 1000, 5000, 0.05
	for _, c := range []struct{ share, real, atLeast, atMost float64 }{
		{0.05, 0.05, 0, alpha},
		{0.5, 0.5, 0, alpha},
		{0.05, 0.035, 0.95, 1}, // three in ten of the challenger's samples get lost
		{0.5, 0.55, 1, 1},
	} {
		rng := rand.New(rand.NewPCG(3, 4))
		found := 0.0
		for range repeats {
			test, err := rollout.NewRatioTest(c.share, alpha)
			require.NoError(t, err)
			for range n {
				if test.Add(rng.Float64() < c.real) {
					break
				}
			}
			if test.Mismatch() {
				require.LessOrEqual(t, test.PValue(), alpha)
				found++
			}
		}
		t.Logf("share %v, really %v: mismatch in %.4f of the runs of %d samples", c.share, c.real, found/repeats, n)
		require.GreaterOrEqual(t, found/repeats, c.atLeast)
		require.LessOrEqual(t, found/repeats, c.atMost)
	}
	for _, bad := range []float64{0, 1, -1, math.NaN()} {
		_, err := rollout.NewRatioTest(bad, 0)
		require.Error(t, err)
		if bad != 0 {
			_, err = rollout.NewRatioTest(0.5, bad)
			require.Error(t, err)
		}
	}
}
