package ensemble

import (
	"encoding/json"
	"math"
)

// Temperature divides logits by T before the softmax (Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2). It
// keeps the answer and changes its probability: T over 1 makes an overconfident model humbler.
type Temperature struct {
	T float64 `json:"temperature"`
}

// temperatureFloor is the least probability that Temperature takes the logarithm of: a 0 would be infinitely wrong, whatever the temperature.
const temperatureFloor = 1e-12

// FitTemperature finds the temperature with the least negative log-likelihood of the labels (the index of the right class of each sample), by
// Newton's method in 1/T, in which it is convex. The logits must be finite, with at least two classes. The error is an [ErrCalibration] also if there is no best
// temperature: if the right class always has the largest logit (the colder the better; more samples, with some wrong ones, are needed), or if
// the logits say no more about the labels than chance (the hotter the better).
func FitTemperature(logits [][]float64, labels []int) (Temperature, error) {
	if len(logits) == 0 {
		return Temperature{}, calibrationError("no samples")
	}
	if len(logits) != len(labels) {
		return Temperature{}, calibrationError("%d samples and %d labels", len(logits), len(labels))
	}
	separable := true
	scale := 0.0 // the largest span of the logits: with it the search does not depend on their unit
	for i, z := range logits {
		if len(z) < 2 || labels[i] < 0 || labels[i] >= len(z) {
			return Temperature{}, calibrationError("sample %d has label %d of %d classes", i, labels[i], len(z))
		}
		low, high := z[0], z[0]
		for _, v := range z {
			if !finiteScore(v) {
				return Temperature{}, calibrationError("sample %d has the logit %v", i, v)
			}
			low, high = min(low, v), max(high, v)
		}
		separable = separable && z[labels[i]] == high
		scale = max(scale, high-low)
	}
	if math.IsInf(scale, 1) {
		return Temperature{}, calibrationError("the logits are too far apart")
	}
	slope := func(b float64) (first, second float64) {
		return temperatureSlope(logits, labels, b, scale)
	}
	if first, _ := slope(0); !(first < 0) {
		return Temperature{}, calibrationError("the labels fit the logits no better than chance")
	}
	if separable {
		return Temperature{}, calibrationError("the right class always has the largest logit, so that no temperature is best")
	}
	low, high := 0.0, 1.0
	for first, _ := slope(high); first < 0; first, _ = slope(high) {
		low, high = high, 2*high
		if high > 1e12 {
			return Temperature{}, calibrationError("no temperature is best")
		}
	}
	b := (low + high) / 2
	for range 200 {
		first, second := slope(b)
		if first < 0 {
			low = b
		} else {
			high = b
		}
		next := b - first/second
		if !(next > low && next < high) { // Newton's step has left the bracket, or second is 0
			next = (low + high) / 2
		}
		done := math.Abs(next-b) <= 1e-14*b
		b = next
		if done {
			break
		}
	}
	t := Temperature{T: scale / b}
	if !(t.T > 0) || math.IsInf(t.T, 1) {
		return Temperature{}, calibrationError("the temperature would be %v", t.T)
	}
	return t, nil
}

// temperatureSlope has the first and the second derivative of the negative log-likelihood by the inverse temperature, of logits in a unit of scale: the
// sums of mean minus right logit, and of the variance, under the softmax.
func temperatureSlope(logits [][]float64, labels []int, inverse, scale float64) (first, second float64) {
	for i, z := range logits {
		top := z[0]
		for _, v := range z {
			top = max(top, v)
		}
		var sum, mean, square float64
		for _, v := range z {
			d := (v - top) / scale
			w := math.Exp(inverse * d)
			sum += w
			mean += w * d
			square += w * d * d
		}
		mean /= sum
		first += mean - (z[labels[i]]-top)/scale
		second += square/sum - mean*mean
	}
	return first, second
}

// FitTemperatureProbabilities is FitTemperature for a model that gives probabilities: their logarithms are logits. Probabilities under 1e-12 are
// taken as that.
func FitTemperatureProbabilities(probabilities [][]float64, labels []int) (Temperature, error) {
	logits := make([][]float64, len(probabilities))
	for i, p := range probabilities {
		logits[i] = make([]float64, len(p))
		for j, v := range p {
			if !(v >= 0 && v <= 1) {
				return Temperature{}, calibrationError("sample %d has the probability %v", i, v)
			}
			logits[i][j] = math.Log(max(v, temperatureFloor))
		}
	}
	return FitTemperature(logits, labels)
}

// Softmax appends the probabilities of the classes to dst[:0], which may be the logits themselves, and returns them. They are NaN if T is not
// positive.
func (t Temperature) Softmax(dst, logits []float64) []float64 {
	dst = append(dst[:0], logits...)
	if len(dst) == 0 {
		return dst
	}
	top, sum := math.Inf(-1), 0.0
	for _, z := range dst {
		top = max(top, z)
	}
	for i, z := range dst {
		dst[i] = math.NaN()
		if t.T > 0 {
			dst[i] = math.Exp((z - top) / t.T)
		}
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
	return dst
}

// Probabilities is Softmax for a model that gives probabilities.
func (t Temperature) Probabilities(dst, probabilities []float64) []float64 {
	dst = append(dst[:0], probabilities...)
	for i, p := range dst {
		dst[i] = math.Log(max(p, temperatureFloor))
	}
	return t.Softmax(dst, dst)
}

// Calibrate is for a score that is the probability of one of two classes. For more classes use Softmax or Probabilities, and [MaxProbability].
func (t Temperature) Calibrate(p float64) float64 {
	if !(t.T > 0) || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	p = min(max(p, temperatureFloor), 1-temperatureFloor)
	return logistic((math.Log(p) - math.Log1p(-p)) / t.T)
}

// UnmarshalJSON refuses a temperature that is not positive.
func (t *Temperature) UnmarshalJSON(data []byte) error {
	type plain Temperature
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if !(p.T > 0) {
		return calibrationError("the temperature is %v", p.T)
	}
	*t = Temperature(p)
	return nil
}
