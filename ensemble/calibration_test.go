package ensemble_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// The values of the documentation of torchmetrics' binary_calibration_error, norms l1 and max.
func TestCalibrationErrorTorchmetrics(t *testing.T) {
	p := []float64{0.25, 0.25, 0.55, 0.75, 0.75}
	r, err := ensemble.EvaluateCalibration(p, []bool{false, false, true, true, true}, 2)
	require.NoError(t, err)
	assert.InDelta(t, 0.29, r.ECE, 1e-12)
	assert.InDelta(t, 0.95/3, r.MCE, 1e-12)
	assert.InDelta(t, 0.6, r.Accuracy, 1e-12)
	assert.InDelta(t, (2*0.0625+0.45*0.45+2*0.0625)/5, r.Brier, 1e-12)
	assert.InDelta(t, -(2*math.Log(0.75)+math.Log(0.55)+2*math.Log(0.75))/5, r.NLL, 1e-12)
	require.Len(t, r.Bins, 2)
	assert.Equal(t, ensemble.CalibrationBin{Low: 0, High: 0.5, Samples: 2, Accuracy: 0, Confidence: 0.25}, r.Bins[0])
}

func TestCalibrationAtTheEdges(t *testing.T) {
	r, err := ensemble.EvaluateCalibration([]float64{0, 1, 0.5}, []bool{false, true, true}, 2)
	require.NoError(t, err)
	require.Len(t, r.Bins, 2, "0 is in the first bin, 1 in the last, 0.5 in the first")
	assert.Equal(t, 2, r.Bins[0].Samples)
	assert.InDelta(t, math.Ln2/3, r.NLL, 1e-12)
	r, err = ensemble.EvaluateCalibration([]float64{0}, []bool{true}, 0)
	require.NoError(t, err)
	assert.True(t, math.IsInf(r.NLL, 1))
	for _, bad := range []struct {
		p       []float64
		correct []bool
		bins    int
	}{{nil, nil, 0}, {[]float64{1}, nil, 0}, {[]float64{1.1}, []bool{true}, 0}, {[]float64{math.NaN()}, []bool{true}, 0}, {[]float64{1}, []bool{true}, -1}} {
		_, err := ensemble.EvaluateCalibration(bad.p, bad.correct, bad.bins)
		require.ErrorIs(t, err, ensemble.ErrCalibration)
	}
	_, err = ensemble.CalibrationNLL([][]float64{{0.5, 0.5}}, []int{2})
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	_, err = ensemble.CalibrationNLL([][]float64{{2, 0.5}}, []int{0})
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	_, err = ensemble.CalibrationNLL(nil, nil)
	require.ErrorIs(t, err, ensemble.ErrCalibration)
	nll, err := ensemble.CalibrationNLL([][]float64{{0.5, 0.5}, {0.75, 0.25}}, []int{0, 1})
	require.NoError(t, err)
	assert.InDelta(t, (math.Log(2)+math.Log(4))/2, nll, 1e-12)
}

func TestCalibrationImproves(t *testing.T) {
	logits, labels := calibrationLogits(3000, 4)
	fitted, err := ensemble.FitTemperature(logits[:1000], labels[:1000])
	require.NoError(t, err)
	ece := func(c ensemble.Temperature) float64 {
		var p []float64
		var correct []bool
		for i, z := range logits[1000:] {
			q := c.Softmax(nil, z)
			best := 0
			for j := range q {
				if q[j] > q[best] {
					best = j
				}
			}
			p, correct = append(p, ensemble.MaxProbability(q)), append(correct, best == labels[1000+i])
		}
		r, err := ensemble.EvaluateCalibration(p, correct, 0)
		require.NoError(t, err)
		return r.ECE
	}
	raw, calibrated := ece(ensemble.Temperature{T: 1}), ece(fitted)
	assert.Greater(t, raw, 0.1)
	assert.Less(t, calibrated, 0.05)
}

// Three of four answers of which the model was 99% sure were right.
func ExampleFitPlatt() {
	scores := []float64{0.99, 0.99, 0.99, 0.99, 0.60, 0.60, 0.60, 0.60}
	correct := []bool{true, true, true, false, true, false, false, false}
	before, _ := ensemble.EvaluateCalibration(scores, correct, 10)
	platt, err := ensemble.FitPlatt(scores, correct)
	if err != nil {
		fmt.Println(err)
		return
	}
	calibrated := make([]float64, len(scores))
	for i, s := range scores {
		calibrated[i] = platt.Calibrate(s)
	}
	after, _ := ensemble.EvaluateCalibration(calibrated, correct, 10)
	fmt.Printf("0.99 means %.2f\n", platt.Calibrate(0.99))
	fmt.Printf("calibration error %.2f, then %.2f\n", before.ECE, after.ECE)
	fmt.Print(before)
	// Output:
	// 0.99 means 0.67
	// calibration error 0.29, then 0.08
	//   probability  samples   mean  accuracy
	//   0.500-0.600        4  0.600     0.250
	//   0.900-1.000        4  0.990     0.750
	//           all        8  0.795     0.500
	// ECE 0.2950  MCE 0.3500  Brier 0.2775  NLL 0.9869
}

// Each sample is within the bounds of its bin, also those at a bound and next to it.
func TestCalibrationBinsHoldTheirSamples(t *testing.T) {
	for bins := 1; bins <= 100; bins++ {
		for i := range bins + 1 {
			bound := float64(i) / float64(bins)
			for _, p := range []float64{bound, math.Nextafter(bound, 0), math.Nextafter(bound, 1)} {
				r, err := ensemble.EvaluateCalibration([]float64{p}, []bool{true}, bins)
				require.NoError(t, err)
				require.Len(t, r.Bins, 1)
				require.True(t, p > r.Bins[0].Low || p == 0, "%v in %+v", p, r.Bins[0])
				require.LessOrEqual(t, p, r.Bins[0].High)
			}
		}
	}
	r, err := ensemble.EvaluateCalibration(slices.Repeat([]float64{0.9}, 10), slices.Repeat([]bool{true}, 10), 0)
	require.NoError(t, err)
	require.Equal(t, 1.0, r.Accuracy, "not a bit less")
}
