package ensemble

import (
	"errors"
	"fmt"
	"math"
)

// Calibrator turns a model's score into the probability that it is right, so that scores of several models can be compared and a threshold has a
// meaning: at 0.9, nine of ten such answers are right. Where a higher score is better it keeps their order
// (isotonic may make some equal), and so does not change what can be reached by a threshold; it changes what the number says. NaN stays NaN. Calibrators are plain values, safe for concurrent use, do not allocate in
// Calibrate, and are marshalled as JSON; what is missing or
// broken there is an error when it is read.
//
// Fit them on samples that neither the model nor the thresholds were fitted on. [Temperature] and [Platt] have one and two parameters and do
// with a few hundred samples; [Isotonic] follows any shape and wants a thousand or more.
type Calibrator interface {
	Calibrate(score float64) float64
}

var (
	_ Calibrator = Temperature{}
	_ Calibrator = Platt{}
	_ Calibrator = Isotonic{}
)

// ErrCalibration is returned, wrapped, if a calibrator cannot be fitted to the samples or its JSON makes no sense.
var ErrCalibration = errors.New("ensemble: calibration")

func calibrationError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCalibration, fmt.Sprintf(format, args...))
}

// checkScores checks the samples of a calibrator of scores.
func checkScores(scores []float64, correct []bool) error {
	if len(scores) == 0 {
		return calibrationError("no samples")
	}
	if len(scores) != len(correct) {
		return calibrationError("%d scores and %d labels", len(scores), len(correct))
	}
	for i, s := range scores {
		if !finiteScore(s) {
			return calibrationError("score %d is %v", i, s)
		}
	}
	return nil
}

func finiteScore(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// logistic is 1/(1+e^-x), without an overflow.
func logistic(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// softplus is log(1+e^x), without an overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
