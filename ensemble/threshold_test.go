package ensemble_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// thresholdWorld has samples of models whose confidence is the probability that they are right. Those of stage i are mostly in [low, 1] where low rises with i.
func thresholdWorld(rng *rand.Rand, n, stages int) []ensemble.ThresholdSample {
	samples := make([]ensemble.ThresholdSample, n)
	for j := range samples {
		for i := range stages {
			low := 0.5 + 0.45*float64(i)/float64(max(1, stages-1))
			c := low + (1-low)*rng.Float64()
			samples[j].Confidence = append(samples[j].Confidence, c)
			samples[j].Correct = append(samples[j].Correct, rng.Float64() < c)
		}
	}
	return samples
}

// In this world of two stages the accuracy of a threshold t is known: the share 2(t-½) goes to the second stage, which is right in 97.5%; the others are right
// with their mean confidence, (t+1)/2.
func thresholdTruth(t float64) float64 {
	t = min(max(t, 0.5), 1)
	return 2*(t-0.5)*0.975 + 2*(1-t)*(t+1)/2
}

// The promise of Level is about repetitions: of many fits, at most 1-Level may miss the target. Taking the best that the samples show misses it in about half of them.
func TestThresholdTargetHoldsAsOftenAsPromised(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const fits, target = 100, 0.9
	missed, found, saved := 0, 0, 0.0
	for range fits {
		fit, err := ensemble.FitThresholds(thresholdWorld(rng, 600, 2), ensemble.ThresholdConfig{TargetAccuracy: target, Level: 0.9, Seed: rng.Uint64()})
		if err != nil {
			require.ErrorIs(t, err, ensemble.ErrThreshold)
			continue
		}
		found++
		saved += 1 - fit.HeldOut.Escalated.Share
		if thresholdTruth(fit.Thresholds[0]) < target {
			missed++
		}
	}
	assert.Greater(t, found, fits*9/10)
	assert.LessOrEqual(t, missed, fits/10+9, "three standard deviations over 10%%")
	assert.Greater(t, saved/float64(found), 0.3, "the bar is not simply everything to the large model")
}

func TestThresholdBudgets(t *testing.T) {
	samples := thresholdWorld(rand.New(rand.NewPCG(7, 8)), 4000, 2)
	fit, err := ensemble.FitThresholds(samples, ensemble.ThresholdConfig{MaxEscalated: 0.25})
	require.NoError(t, err)
	assert.LessOrEqual(t, fit.Fitted.Escalated.Share, 0.25)
	assert.Greater(t, fit.Fitted.Escalated.Share, 0.24)
	assert.InDelta(t, 0.625, fit.Thresholds[0], 0.02, "a quarter of the confidences is under it")
	assert.InDelta(t, 0.25, fit.HeldOut.Escalated.Share, 0.03)
	assert.Equal(t, 2000, fit.HeldOut.Samples)

	fit, err = ensemble.FitThresholds(samples, ensemble.ThresholdConfig{MaxCost: 4, Costs: []float64{1, 10}})
	require.NoError(t, err)
	assert.LessOrEqual(t, fit.Fitted.Cost, 4.0)
	assert.Greater(t, fit.Fitted.Cost, 3.9)

	fit, err = ensemble.FitThresholds(samples, ensemble.ThresholdConfig{MaxCost: 1000})
	require.NoError(t, err)
	last := fit.Frontier[len(fit.Frontier)-1]
	assert.Equal(t, last, fit.HeldOut, "the most accurate")
	assert.LessOrEqual(t, len(fit.Frontier), 20)
	for i := 1; i < len(fit.Frontier); i++ {
		assert.Greater(t, fit.Frontier[i].Thresholds[0], fit.Frontier[i-1].Thresholds[0])
	}
	_, err = ensemble.FitThresholds(samples, ensemble.ThresholdConfig{MaxCost: 0.5})
	require.ErrorContains(t, err, "the cheapest choice costs 1")
}

func TestThresholdMoreStages(t *testing.T) {
	for _, stages := range []int{3, 4, 8} {
		samples := thresholdWorld(rand.New(rand.NewPCG(9, 10)), 600, stages)
		fit, err := ensemble.FitThresholds(samples, ensemble.ThresholdConfig{TargetAccuracy: 0.85, Seed: 1})
		require.NoError(t, err)
		require.Len(t, fit.Thresholds, stages-1)
		assert.GreaterOrEqual(t, fit.HeldOut.Accuracy.Low, 0.84)
		assert.Less(t, fit.HeldOut.Cost, 2.5)
		again, err := ensemble.FitThresholds(samples, ensemble.ThresholdConfig{TargetAccuracy: 0.85, Seed: 1})
		require.NoError(t, err)
		assert.Equal(t, fit.Thresholds, again.Thresholds, "the same seed")
	}
}

// What the report says must be what a cascade with these thresholds does.
func TestThresholdReportAgreesWithTheCascade(t *testing.T) {
	samples := thresholdWorld(rand.New(rand.NewPCG(11, 12)), 500, 3)
	samples[0].Confidence[0] = math.NaN()
	for _, thresholds := range [][]float64{{0.7, 0.8}, {0.7, 0.8, 0.96}, {math.Inf(-1), 0.8}, {math.Inf(1), math.Inf(1)}} {
		stages := make([]cascadeStage, 3)
		for i := range stages {
			stages[i] = cascadeStage{Threshold: 1, Do: func(_ context.Context, req int) (verdict, error) {
				return verdict{sure: samples[req].Confidence[i]}, nil
			}}
		}
		stages[2].Threshold = 0
		if len(thresholds) == 3 {
			stages[2].Threshold = 1
		}
		c := newCascade(t, ensemble.CascadeConfig{Abstain: len(thresholds) == 3}, stages...)
		require.NoError(t, c.SetThresholds(thresholds...))
		right := 0
		for j := range samples {
			if r, err := c.DoResult(t.Context(), j); err == nil && samples[j].Correct[r.Stage] {
				right++
			}
		}
		report, err := ensemble.EvaluateThresholds(samples, c.Thresholds(), []float64{1, 2, 4}, 0)
		require.NoError(t, err)
		st := c.Stats()
		cost := 0.0
		for i, s := range report.Stages {
			assert.Equal(t, st.Stages[i].Calls, uint64(s.Reached))
			assert.Equal(t, st.Stages[i].Answered, uint64(s.Answered.Count))
			cost += float64(st.Stages[i].Calls) * float64(int(1)<<i) / 500
		}
		assert.Equal(t, st.Abstained, uint64(report.Abstained))
		assert.Equal(t, right, report.Accuracy.Count)
		assert.InDelta(t, cost, report.Cost, 1e-9)
	}
}

func TestThresholdsRefuse(t *testing.T) {
	good := thresholdWorld(rand.New(rand.NewPCG(1, 1)), 20, 2)
	goal := ensemble.ThresholdConfig{MaxCost: 2}
	for name, tc := range map[string]struct {
		samples []ensemble.ThresholdSample
		cfg     ensemble.ThresholdConfig
		want    string
	}{
		"no samples":  {nil, goal, "no samples"},
		"one sample":  {good[:1], goal, "too few"},
		"no stages":   {make([]ensemble.ThresholdSample, 3), goal, "no stages"},
		"one stage":   {thresholdWorld(rand.New(rand.NewPCG(1, 1)), 20, 1), goal, "1 stages"},
		"nine stages": {thresholdWorld(rand.New(rand.NewPCG(1, 1)), 20, 9), goal, "9 stages"},
		"uneven": {append(good[:19:19], ensemble.ThresholdSample{Confidence: []float64{1}, Correct: []bool{true, true}}), goal,
			"1 confidences and 2 labels"},
		"infinite":  {[]ensemble.ThresholdSample{{Confidence: []float64{math.Inf(1), 1}, Correct: []bool{true, true}}}, goal, "+Inf"},
		"no goal":   {good, ensemble.ThresholdConfig{}, "exactly one"},
		"two goals": {good, ensemble.ThresholdConfig{MaxCost: 1, MaxEscalated: 0.1}, "exactly one"},
		"certainty": {good, ensemble.ThresholdConfig{TargetAccuracy: 1}, "TargetAccuracy is 1"},
		"NaN":       {good, ensemble.ThresholdConfig{MaxCost: math.NaN()}, "MaxCost is NaN"},
		"level":     {good, ensemble.ThresholdConfig{MaxCost: 1, Level: 1}, "level is 1"},
		"hold out":  {good, ensemble.ThresholdConfig{MaxCost: 1, HoldOut: -0.5}, "HoldOut is -0.5"},
		"costs":     {good, ensemble.ThresholdConfig{MaxCost: 1, Costs: []float64{1}}, "1 costs for 2 stages"},
		"cost":      {good, ensemble.ThresholdConfig{MaxCost: 1, Costs: []float64{1, -1}}, "cost of stage 1 is -1"},
		"unsure": {[]ensemble.ThresholdSample{{Confidence: []float64{math.NaN(), 1}, Correct: []bool{true, true}}, {Confidence: []float64{math.NaN(), 1}, Correct: []bool{true, true}}},
			ensemble.ThresholdConfig{MaxEscalated: 0.5}, "1 are never sure"},
		"too few": {good, ensemble.ThresholdConfig{TargetAccuracy: 0.9}, "too few to show an accuracy of 0.9"},
	} {
		_, err := ensemble.FitThresholds(tc.samples, tc.cfg)
		require.ErrorIs(t, err, ensemble.ErrThreshold, name)
		require.ErrorContains(t, err, tc.want, name)
	}
	many := thresholdWorld(rand.New(rand.NewPCG(1, 1)), 2000, 2)
	_, err := ensemble.FitThresholds(many, ensemble.ThresholdConfig{TargetAccuracy: 0.99})
	require.ErrorContains(t, err, "cannot be shown")
	for _, thresholds := range [][]float64{nil, {1, 2, 3}, {math.NaN()}} {
		_, err := ensemble.EvaluateThresholds(good, thresholds, nil, 0)
		require.ErrorIs(t, err, ensemble.ErrThreshold)
	}
	_, err = ensemble.EvaluateThresholds(good, []float64{1}, nil, 2)
	require.ErrorIs(t, err, ensemble.ErrThreshold)
}

// Thresholds for an accuracy of 90%, from 4,000 labelled requests.
func ExampleFitThresholds() {
	rng := rand.New(rand.NewPCG(1, 2))
	var samples []ensemble.ThresholdSample
	for range 4000 { // a small model that is right with its confidence, a large one that is right in 97%
		sure := 0.5 + rng.Float64()/2
		samples = append(samples, ensemble.ThresholdSample{
			Confidence: []float64{sure, 1},
			Correct:    []bool{rng.Float64() < sure, rng.Float64() < 0.97},
		})
	}
	fit, err := ensemble.FitThresholds(samples, ensemble.ThresholdConfig{TargetAccuracy: 0.9, Costs: []float64{1, 20}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("threshold %.2f\n", fit.Thresholds[0])
	fmt.Print(fit.HeldOut)

	var table ensemble.CoverageTable
	for _, t := range []float64{0.6, 0.7, 0.8, 0.9} {
		r, err := ensemble.EvaluateThresholds(samples, []float64{t}, []float64{1, 20}, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		table = append(table, r)
	}
	fmt.Print(table)
	// Output:
	// threshold 0.72
	//   stage  threshold  called              answered            accuracy
	//       0     0.7243    2000    55.2% [53.0, 57.4]  86.5% [84.4, 88.5]
	//       1          -     895    44.8% [42.6, 47.0]  97.1% [95.8, 98.1]
	//     all               2000  100.0% [99.8, 100.0]  91.2% [89.9, 92.5]
	// mean cost 9.95; intervals of 95%
	//   thresholds  stage 0  stage 1  abstained            accuracy   cost
	//          0.6    80.3%    19.7%       0.0%  82.8% [81.6, 84.0]  4.945
	//          0.7    60.1%    39.9%       0.0%  90.2% [89.3, 91.2]   8.98
	//          0.8    39.8%    60.2%       0.0%  94.6% [93.9, 95.3]  13.05
	//          0.9    20.5%    79.5%       0.0%  96.9% [96.3, 97.4]  16.89
}
