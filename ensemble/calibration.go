package ensemble

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

// DefaultCalibrationBins is the number of bins of [EvaluateCalibration], that of Guo et al. 2017.
const DefaultCalibrationBins = 15

// CalibrationReport says how far probabilities are from the truth.
type CalibrationReport struct {
	Samples    int
	Accuracy   float64 // share of right answers
	Confidence float64 // mean probability

	// ECE is the expected calibration error: the mean over the bins of the distance of accuracy and mean probability, weighted by samples (Guo et al. 2017,
	// equation 3). MCE is the largest such distance. Both depend on the bins, and few samples make them too large.
	ECE, MCE float64

	// Brier is the mean squared distance of the probability from 1 (right) or 0 (wrong) (Brier 1950). 0 is best; 0.25 is always saying one half.
	Brier float64

	// NLL is the mean negative log-likelihood, in nats. It is infinite if an answer with probability 0 was right, or one with 1 wrong.
	NLL float64

	Bins []CalibrationBin // those that have samples, ascending
}

// CalibrationBin has the samples of probabilities over Low (for the first bin: from 0) up to and with High.
type CalibrationBin struct {
	Low, High            float64
	Samples              int
	Accuracy, Confidence float64
}

// EvaluateCalibration compares the probabilities that answers are right with whether they were, in bins of equal width; 0 bins means
// DefaultCalibrationBins, and 2^20 is the most. The error is an [ErrCalibration].
func EvaluateCalibration(probabilities []float64, correct []bool, bins int) (CalibrationReport, error) {
	if bins < 0 || bins > 1<<20 {
		return CalibrationReport{}, calibrationError("%d bins", bins)
	}
	if bins == 0 {
		bins = DefaultCalibrationBins
	}
	if err := checkScores(probabilities, correct); err != nil {
		return CalibrationReport{}, err
	}
	n := float64(len(probabilities))
	r := CalibrationReport{Samples: len(probabilities)}
	all := make([]CalibrationBin, bins)
	for i, p := range probabilities {
		if p < 0 || p > 1 {
			return CalibrationReport{}, calibrationError("probability %d is %v", i, p)
		}
		bin := &all[calibrationBin(p, bins)]
		bin.Samples++
		bin.Confidence += p
		r.Confidence += p / n
		right := 0.0
		if correct[i] {
			right = 1
			bin.Accuracy++
			r.Accuracy++
			r.NLL -= math.Log(p) / n
		} else {
			r.NLL -= math.Log1p(-p) / n
		}
		r.Brier += (p - right) * (p - right) / n
	}
	r.Accuracy /= n
	for i, b := range all {
		if b.Samples == 0 {
			continue
		}
		b.Low, b.High = float64(i)/float64(bins), float64(i+1)/float64(bins)
		b.Accuracy /= float64(b.Samples)
		b.Confidence /= float64(b.Samples)
		gap := math.Abs(b.Accuracy - b.Confidence)
		r.ECE += gap * float64(b.Samples) / n
		r.MCE = max(r.MCE, gap)
		r.Bins = append(r.Bins, b)
	}
	return r, nil
}

// calibrationBin is the bin of p by the very bounds that the report has: the product may be rounded over a bound, or on it.
func calibrationBin(p float64, bins int) int {
	i := min(bins-1, max(0, int(math.Ceil(p*float64(bins)))-1))
	switch {
	case i > 0 && p <= float64(i)/float64(bins):
		return i - 1
	case p > float64(i+1)/float64(bins):
		return i + 1
	}
	return i
}

// CalibrationNLL is the mean negative log-likelihood, in nats, of the right classes under the probabilities of all classes. It is infinite if one of them has
// probability 0. The error is an [ErrCalibration].
func CalibrationNLL(probabilities [][]float64, labels []int) (float64, error) {
	if len(probabilities) == 0 || len(probabilities) != len(labels) {
		return 0, calibrationError("%d samples and %d labels", len(probabilities), len(labels))
	}
	sum := 0.0
	for i, p := range probabilities {
		if labels[i] < 0 || labels[i] >= len(p) {
			return 0, calibrationError("sample %d has label %d of %d classes", i, labels[i], len(p))
		}
		if q := p[labels[i]]; !(q >= 0 && q <= 1) {
			return 0, calibrationError("sample %d has the probability %v", i, q)
		}
		sum -= math.Log(p[labels[i]])
	}
	return sum / float64(len(labels)), nil
}

// String is a table of the bins, and the sums under it.
func (r CalibrationReport) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "probability\tsamples\tmean\taccuracy\t")
	for _, bin := range r.Bins {
		fmt.Fprintf(w, "%.3f-%.3f\t%d\t%.3f\t%.3f\t\n", bin.Low, bin.High, bin.Samples, bin.Confidence, bin.Accuracy)
	}
	fmt.Fprintf(w, "all\t%d\t%.3f\t%.3f\t\n", r.Samples, r.Confidence, r.Accuracy)
	_ = w.Flush() // into memory
	fmt.Fprintf(&b, "ECE %.4f  MCE %.4f  Brier %.4f  NLL %.4f\n", r.ECE, r.MCE, r.Brier, r.NLL)
	return b.String()
}
