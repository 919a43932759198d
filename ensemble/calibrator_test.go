package ensemble_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// calibrationLogits has samples of a model with three classes that is too sure of itself by the factor.
func calibrationLogits(n int, factor float64) (logits [][]float64, labels []int) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		z := []float64{rng.NormFloat64(), 2 * rng.NormFloat64(), rng.NormFloat64()}
		p := ensemble.Temperature{T: 1}.Softmax(nil, z)
		u, label := rng.Float64(), 0
		for label < 2 && u > p[label] {
			u -= p[label]
			label++
		}
		for j := range z {
			z[j] *= factor
		}
		logits, labels = append(logits, z), append(labels, label)
	}
	return logits, labels
}

func temperatureNLL(t *testing.T, temperature float64, logits [][]float64, labels []int) float64 {
	t.Helper()
	var p [][]float64
	for _, z := range logits {
		p = append(p, ensemble.Temperature{T: temperature}.Softmax(nil, z))
	}
	nll, err := ensemble.CalibrationNLL(p, labels)
	require.NoError(t, err)
	return nll
}

func TestCalibratorTemperatureAgainstAGrid(t *testing.T) {
	for _, factor := range []float64{1e-6, 0.3, 1, 3, 1e9} {
		logits, labels := calibrationLogits(1000, factor)
		got, err := ensemble.FitTemperature(logits, labels)
		require.NoError(t, err)
		assert.InEpsilon(t, factor, got.T, 0.15, "the truth")

		best, at := math.Inf(1), 0.0
		for r := 0.8; r < 1.25; r += 0.002 {
			if nll := temperatureNLL(t, r*factor, logits, labels); nll < best {
				best, at = nll, r*factor
			}
		}
		assert.InEpsilon(t, at, got.T, 0.002, "the grid")
		assert.LessOrEqual(t, temperatureNLL(t, got.T, logits, labels), best)
	}
}

// With one wrong of four samples of logits (z, 0) the best probability is 3/4: z/T = ln 3.
func TestCalibratorTemperatureByHand(t *testing.T) {
	logits := [][]float64{{5, 0}, {5, 0}, {0, 5}, {5, 0}}
	got, err := ensemble.FitTemperature(logits, []int{0, 0, 1, 1})
	require.NoError(t, err)
	assert.InDelta(t, 5/math.Log(3), got.T, 1e-12)
	assert.InDeltaSlice(t, []float64{0.75, 0.25}, got.Softmax(nil, []float64{5, 0}), 1e-12)

	// The same as probabilities, and for one of two classes.
	p := 1 / (1 + math.Exp(-5))
	fromP, err := ensemble.FitTemperatureProbabilities([][]float64{{p, 1 - p}, {p, 1 - p}, {1 - p, p}, {p, 1 - p}}, []int{0, 0, 1, 1})
	require.NoError(t, err)
	assert.InDelta(t, got.T, fromP.T, 1e-9)
	assert.InDelta(t, 0.75, got.Calibrate(p), 1e-12)
	assert.InDeltaSlice(t, []float64{0.75, 0.25}, got.Probabilities(nil, []float64{p, 1 - p}), 1e-9)
}

func TestCalibratorTemperatureRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		logits [][]float64
		labels []int
	}{
		"nothing":    {nil, nil},
		"mismatch":   {[][]float64{{1, 2}}, nil},
		"one class":  {[][]float64{{1}}, []int{0}},
		"label":      {[][]float64{{1, 2}}, []int{2}},
		"negative":   {[][]float64{{1, 2}}, []int{-1}},
		"NaN":        {[][]float64{{1, math.NaN()}}, []int{0}},
		"infinite":   {[][]float64{{1, math.Inf(-1)}}, []int{0}},
		"too far":    {[][]float64{{-math.MaxFloat64, math.MaxFloat64}}, []int{0}},
		"all right":  {[][]float64{{1, 2}, {3, 1}}, []int{1, 0}},
		"all wrong":  {[][]float64{{1, 2}, {3, 1}}, []int{0, 1}},
		"no opinion": {[][]float64{{1, 1}, {2, 2}}, []int{0, 1}},
	} {
		_, err := ensemble.FitTemperature(tc.logits, tc.labels)
		require.ErrorIs(t, err, ensemble.ErrCalibration, name)
	}
	_, err := ensemble.FitTemperatureProbabilities([][]float64{{1.5, 0}}, []int{0})
	require.ErrorIs(t, err, ensemble.ErrCalibration)
}

func TestCalibratorTemperatureAtTheEdges(t *testing.T) {
	one := ensemble.Temperature{T: 1}
	assert.Empty(t, one.Softmax(nil, nil))
	assert.InDeltaSlice(t, []float64{0, 1}, one.Softmax(nil, []float64{-1e300, 1e300}), 0)
	assert.True(t, math.IsNaN(ensemble.Temperature{}.Softmax(nil, []float64{1, 2})[0]))
	assert.True(t, math.IsNaN(ensemble.Temperature{}.Calibrate(0.5)))
	assert.True(t, math.IsNaN(one.Calibrate(1.5)))
	assert.True(t, math.IsNaN(one.Calibrate(math.NaN())))
	assert.InDelta(t, 1, one.Calibrate(1), 1e-11)
	assert.InDelta(t, 0, one.Calibrate(0), 1e-11)
	inPlace := []float64{1, 1}
	assert.Equal(t, []float64{0.5, 0.5}, one.Softmax(inPlace, inPlace))
	assert.Equal(t, 0.5, inPlace[0])
}

// The unit of the logits scales the temperature and changes nothing else, until it can no longer be told.
func TestCalibratorTemperatureOfAnyUnit(t *testing.T) {
	logits, labels := [][]float64{{1, 2, 0.5}, {3, 1, 0}, {0, 0, 2}, {1, 2, 3}, {4, 1, 1}}, []int{1, 0, 2, 1, 0}
	want, err := ensemble.FitTemperature(logits, labels)
	require.NoError(t, err)
	for _, exponent := range []int{-1060, -1023, -1000, -500, 500, 520, 1000, 1021} {
		unit := math.Ldexp(1, exponent)
		scaled := make([][]float64, len(logits))
		for i, z := range logits {
			for _, v := range z {
				scaled[i] = append(scaled[i], v*unit)
			}
		}
		got, err := ensemble.FitTemperature(scaled, labels)
		require.NoError(t, err)
		assert.InEpsilon(t, want.T, got.T/unit, 1e-3, "2^%d", exponent)
	}
}

// scikit-learn's test of its sigmoid calibration has these values, which it says come from LibSVM's code.
func TestCalibratorPlattLibSVM(t *testing.T) {
	got, err := ensemble.FitPlatt([]float64{5, -4, 1}, []bool{true, false, false})
	require.NoError(t, err)
	assert.InDelta(t, -0.20261354391187855, got.A, 1e-3)
	assert.InDelta(t, 0.65236314980010512, got.B, 1e-3)
}

func plattLoss(p ensemble.Platt, scores []float64, correct []bool) float64 {
	right := 0.0
	for _, c := range correct {
		if c {
			right++
		}
	}
	loss := 0.0
	for i, s := range scores {
		target := 1 / (float64(len(scores)) - right + 2)
		if correct[i] {
			target = (right + 1) / (right + 2)
		}
		q := p.Calibrate(s)
		loss -= target*math.Log(q) + (1-target)*math.Log(1-q)
	}
	return loss
}

// The fit must be at the bottom: no point of a fine grid around it, and none further away, may be better.
func TestCalibratorPlattAgainstAGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var scores []float64
	var correct []bool
	for range 4000 {
		s := rng.NormFloat64()
		scores = append(scores, s)
		correct = append(correct, rng.Float64() < 1/(1+math.Exp(-2*s+0.5)))
	}
	got, err := ensemble.FitPlatt(scores, correct)
	require.NoError(t, err)
	assert.InDelta(t, -2, got.A, 0.4)
	assert.InDelta(t, 0.5, got.B, 0.3)
	bottom := plattLoss(got, scores, correct)
	for _, step := range []float64{1e-4, 1e-2, 0.5} {
		for i := -5; i <= 5; i++ {
			for j := -5; j <= 5; j++ {
				p := ensemble.Platt{A: got.A + float64(i)*step, B: got.B + float64(j)*step}
				require.GreaterOrEqual(t, plattLoss(p, scores, correct), bottom-1e-9)
			}
		}
	}
	// The unit of the scores does not matter.
	large := slices.Clone(scores)
	for i := range large {
		large[i] = 1e9*large[i] + 1e10
	}
	scaled, err := ensemble.FitPlatt(large, correct)
	require.NoError(t, err)
	for i := range scores {
		assert.InDelta(t, got.Calibrate(scores[i]), scaled.Calibrate(large[i]), 1e-6)
	}
}

func TestCalibratorPlattAtTheEdges(t *testing.T) {
	for name, tc := range map[string]struct {
		scores  []float64
		correct []bool
		want    float64 // of every score
	}{
		"one right":     {[]float64{7}, []bool{true}, 2.0 / 3},
		"all wrong":     {[]float64{1, 2, 3}, []bool{false, false, false}, 1.0 / 5},
		"equal scores":  {[]float64{4, 4}, []bool{true, false}, 0.5},
		"equal scores2": {[]float64{4, 4, 4}, []bool{true, true, false}, (2*0.75 + 1.0/3) / 3},
	} {
		p, err := ensemble.FitPlatt(tc.scores, tc.correct)
		require.NoError(t, err, name)
		for _, s := range []float64{-1e300, 0, 4, math.Inf(1)} {
			assert.InDelta(t, tc.want, p.Calibrate(s), 1e-12, name)
		}
		assert.True(t, math.IsNaN(p.Calibrate(math.NaN())), name)
	}
	separated, err := ensemble.FitPlatt([]float64{1, 2, 3, 4}, []bool{false, false, true, true})
	require.NoError(t, err)
	assert.Greater(t, separated.Calibrate(4), 0.5)
	assert.Less(t, separated.Calibrate(4), 0.9, "the targets are smoothed")
	_, err = ensemble.FitPlatt(nil, nil)
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	_, err = ensemble.FitPlatt([]float64{1}, []bool{true, false})
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	_, err = ensemble.FitPlatt([]float64{math.NaN()}, []bool{true})
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	_, err = ensemble.FitPlatt([]float64{0, math.SmallestNonzeroFloat64}, []bool{false, true})
	require.ErrorIs(t, err, ensemble.ErrCalibration, "the slope would be infinite")
	_, err = ensemble.FitPlatt([]float64{math.MaxFloat64, -math.MaxFloat64}, []bool{true, false})
	if err != nil {
		require.ErrorIs(t, err, ensemble.ErrCalibration)
	}
}

// The best rising curve is max over a ≤ i of min over b ≥ i of the mean of a to b (Barlow et al., 1972).
func isotonicByHand(scores []float64, correct []bool) map[float64]float64 {
	distinct := slices.Clone(scores)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	mean := func(low, high float64) float64 {
		sum, n := 0.0, 0.0
		for i, s := range scores {
			if s >= low && s <= high {
				n++
				if correct[i] {
					sum++
				}
			}
		}
		return sum / n
	}
	best := map[float64]float64{}
	for i, s := range distinct {
		highest := math.Inf(-1)
		for a := 0; a <= i; a++ {
			lowest := math.Inf(1)
			for b := i; b < len(distinct); b++ {
				lowest = min(lowest, mean(distinct[a], distinct[b]))
			}
			highest = max(highest, lowest)
		}
		best[s] = highest
	}
	return best
}

// checkIsotonic takes one sample of each byte.
func checkIsotonic(t *testing.T, data []byte) {
	data = data[:min(len(data), 40)]
	var scores []float64
	var correct []bool
	for _, b := range data {
		scores, correct = append(scores, float64(b&31)), append(correct, b&128 != 0)
	}
	c, err := ensemble.FitIsotonic(scores, correct)
	if len(data) == 0 {
		require.ErrorIs(t, err, ensemble.ErrCalibration)
		return
	}
	require.NoError(t, err)
	for s, want := range isotonicByHand(scores, correct) {
		require.InDelta(t, want, c.Calibrate(s), 1e-9, "%v", s)
	}
	before := math.Inf(-1)
	for s := -2.0; s < 35; s += 0.25 {
		p := c.Calibrate(s)
		require.GreaterOrEqual(t, p, before)
		before = p
	}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var read ensemble.Isotonic
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, c, read)
}

func FuzzCalibratorIsotonic(f *testing.F) {
	f.Add([]byte{})
	rng := rand.New(rand.NewPCG(13, 14))
	for range 50 {
		data := make([]byte, 1+rng.IntN(40))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(checkIsotonic)
}

func TestCalibratorIsotonicBetweenAndBeyond(t *testing.T) {
	c, err := ensemble.FitIsotonic([]float64{1, 2, 2, 4}, []bool{false, true, false, true})
	require.NoError(t, err)
	for s, want := range map[float64]float64{math.Inf(-1): 0, 0: 0, 1: 0, 1.5: 0.25, 2: 0.5, 3: 0.75, 4: 1, 9: 1, math.Inf(1): 1} {
		assert.Equal(t, want, c.Calibrate(s), "%v", s)
	}
	assert.True(t, math.IsNaN(c.Calibrate(math.NaN())))
	assert.True(t, math.IsNaN(ensemble.Isotonic{}.Calibrate(1)))
}

func TestCalibratorJSON(t *testing.T) {
	text, err := json.Marshal([]any{ensemble.Temperature{T: 1.5}, ensemble.Platt{A: -2, B: 0.25}})
	require.NoError(t, err)
	assert.JSONEq(t, `[{"temperature":1.5},{"a":-2,"b":0.25}]`, string(text))
	var temperature ensemble.Temperature
	require.NoError(t, json.Unmarshal([]byte(`{"temperature":1.5}`), &temperature))
	assert.Equal(t, 1.5, temperature.T)
	var platt ensemble.Platt
	require.NoError(t, json.Unmarshal([]byte(`{"a":-2,"b":0.25}`), &platt))
	assert.Equal(t, ensemble.Platt{A: -2, B: 0.25}, platt)
	var isotonic ensemble.Isotonic
	require.NoError(t, json.Unmarshal([]byte(`{"scores":[1,2],"probabilities":[0.1,0.5]}`), &isotonic))
	assert.InDelta(t, 0.3, isotonic.Calibrate(1.5), 1e-12)
	for _, bad := range []string{`{}`, `{"temperature":0}`, `{"temperature":-1}`} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &temperature), ensemble.ErrCalibration, bad)
	}
	for _, bad := range []string{`{}`, `{"a":1}`, `{"b":1}`} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &platt), ensemble.ErrCalibration, bad)
	}
	for _, bad := range []string{
		`{}`, `{"scores":[1],"probabilities":[]}`, `{"scores":[1,1],"probabilities":[0,1]}`,
		`{"scores":[1,2],"probabilities":[1,0]}`, `{"scores":[1],"probabilities":[1.5]}`,
	} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &isotonic), ensemble.ErrCalibration, bad)
	}
	assert.Equal(t, 1.5, temperature.T, "unchanged")
}

func TestCalibratorsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	isotonic, err := ensemble.FitIsotonic([]float64{1, 2, 3, 4}, []bool{false, true, false, true})
	require.NoError(t, err)
	for _, c := range []ensemble.Calibrator{ensemble.Temperature{T: 2}, ensemble.Platt{A: -1}, isotonic} {
		require.Zero(t, testing.AllocsPerRun(100, func() { c.Calibrate(0.3) }), "%T", c)
	}
	dst, logits := make([]float64, 3), []float64{1, 2, 3}
	require.Zero(t, testing.AllocsPerRun(100, func() { ensemble.Temperature{T: 2}.Softmax(dst, logits) }))
}
