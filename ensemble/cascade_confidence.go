package ensemble

import "math"

// MaxProbability is the largest of the probabilities: how sure a classifier is of its answer. It is NaN, which no threshold accepts, if p is empty or
// has a negative, infinite or NaN entry. The sum of p is not looked at.
func MaxProbability[F ~float32 | ~float64](p []F) float64 {
	first, _, ok := topTwo(p)
	if !ok {
		return math.NaN()
	}
	return first
}

// ProbabilityMargin is the largest of the probabilities less the second largest, which is 0 if there is but one. It is NaN as MaxProbability is.
func ProbabilityMargin[F ~float32 | ~float64](p []F) float64 {
	first, second, ok := topTwo(p)
	if !ok {
		return math.NaN()
	}
	return first - second
}

func topTwo[F ~float32 | ~float64](p []F) (first, second float64, ok bool) {
	for _, v := range p {
		x := float64(v)
		if !(x >= 0) || math.IsInf(x, 1) {
			return 0, 0, false
		}
		if x > first {
			first, second = x, first
		} else if x > second {
			second = x
		}
	}
	return first, second, len(p) > 0
}

// EntropyConfidence is 1 less the entropy of the probabilities over its maximum, log n: 1 if one is certain, 0 if all are equal. p is divided by its sum
// first. A single class is certain. It is NaN as MaxProbability is, and if the sum is 0 or infinite.
func EntropyConfidence[F ~float32 | ~float64](p []F) float64 {
	sum := 0.0
	for _, v := range p {
		if !(v >= 0) {
			return math.NaN()
		}
		sum += float64(v)
	}
	switch {
	case sum == 0 || math.IsInf(sum, 1):
		return math.NaN()
	case len(p) == 1:
		return 1
	}
	entropy := 0.0
	for _, v := range p {
		if x := float64(v) / sum; x > 0 {
			entropy -= x * math.Log(x)
		}
	}
	return min(1, max(0, 1-entropy/math.Log(float64(len(p)))))
}
