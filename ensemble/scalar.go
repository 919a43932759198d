package ensemble

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// statistic is a number that stands for several. It is no function value, so that the numbers can stay on the stack.
type statistic struct {
	kind statisticKind
	trim float64 // for trimmed
}

type statisticKind uint8

const (
	mean         statisticKind = iota // by equal weights
	weightedMean                      // by the weights
	median
	trimmed
	geometric // by the weights
)

// of is the statistic of x, with weights w whose sum is 1. It may change the order of x.
func (s statistic) of(x, w []float64) float64 {
	switch s.kind {
	case median:
		slices.Sort(x)
		k := len(x) / 2
		if len(x)%2 == 1 {
			return x[k]
		}
		return middle(x[k-1 : k+1])
	case trimmed:
		slices.Sort(x)
		cut := int(s.trim * float64(len(x)))
		return middle(x[cut : len(x)-cut])
	case geometric:
		sum := 0.0
		for i, v := range x {
			if v == 0 {
				return 0
			}
			sum += w[i] * math.Log(v)
		}
		return min(max(math.Exp(sum), slices.Min(x)), slices.Max(x)) // it is between them but for rounding, which reaches infinity
	case weightedMean:
		return centre(x, w)
	default:
		return middle(x)
	}
}

// middle is the mean. As a running mean it does not overflow, and is exact where all are equal.
func middle(x []float64) float64 {
	m := 0.0
	for i, v := range x {
		m += (v - m) / float64(i+1)
	}
	if m-m != 0 { // differences have overflowed
		m = 0
		for _, v := range x {
			m += v / float64(len(x))
		}
	}
	return m
}

// centre is the weighted mean. (A running mean would lose a small share of a number that is much larger than the others.)
func centre(x, w []float64) float64 {
	m, low, high := 0.0, x[0], x[0]
	for i, v := range x {
		m += v * w[i]
		low, high = min(low, v), max(high, v)
	}
	return min(max(m, low), high) // it is between them but for rounding; where all are equal it is what they are
}

// variance is that of x about its mean, by the weights if the statistic has some.
func (s statistic) variance(x, w []float64) float64 {
	weighted := s.kind == weightedMean || s.kind == geometric
	var m float64
	if weighted {
		m = centre(x, w)
	} else {
		m = middle(x)
	}
	sum := 0.0
	for i, v := range x {
		share := 1 / float64(len(x))
		if weighted {
			share = w[i]
		}
		sum += share * (v - m) * (v - m)
	}
	return sum
}

// few is how many members need no memory for their numbers.
const few = 16

func scalar[F Float](s statistic) Combiner[F, F] {
	check := finite[F]
	if s.kind == geometric {
		check = notNegative
	}
	return Combiner[F, F]{Check: check, Combine: func(_ context.Context, votes []Vote[F]) (F, Agreement, error) {
		var xs, ws [few]float64
		x, w := xs[:0], ws[:0]
		for i := range votes {
			x, w = append(x, float64(votes[i].Value)), append(w, votes[i].Weight)
		}
		variance := s.variance(x, w)
		return F(s.of(x, w)), Agreement{Variance: variance}, nil
	}}
}

func notNegative[F Float](x F) error {
	if err := finite(x); err != nil {
		return err
	}
	if x < 0 {
		return fmt.Errorf("%w: %v is negative", ErrBadAnswer, x)
	}
	return nil
}

// Mean is the arithmetic mean of numbers, whatever the weights of the members. Agreement: Variance. A NaN or an infinity is a bad answer,
// here and in all combiners of numbers.
func Mean[F Float]() Combiner[F, F] { return scalar[F](statistic{kind: mean}) }

// WeightedMean is the mean of numbers by the weights of the members. Agreement: Variance.
func WeightedMean[F Float]() Combiner[F, F] { return scalar[F](statistic{kind: weightedMean}) }

// Median is the median of numbers, the mean of the middle two if there is an even number. Up to half of the members, but one, may be arbitrarily
// wrong. Agreement: Variance.
func Median[F Float]() Combiner[F, F] { return scalar[F](statistic{kind: median}) }

// TrimmedMean is the mean of numbers without the smallest and the largest: share of them, from 0 to less than 0.5, at each end, rounded
// down to whole members. Agreement: Variance, of all.
func TrimmedMean[F Float](share float64) Combiner[F, F] {
	c := scalar[F](statistic{trimmed, share})
	c.err = checkTrim("TrimmedMean", share)
	return c
}

// GeometricMean is the geometric mean of numbers by the weights of the members. A negative number is a bad answer; one 0 makes it 0. Agreement:
// Variance, of the numbers themselves.
func GeometricMean[F Float]() Combiner[F, F] { return scalar[F](statistic{kind: geometric}) }

func checkTrim(name string, share float64) error {
	if !(share >= 0 && share < 0.5) {
		return fmt.Errorf("ensemble: %s: the share to trim must be from 0 to less than 0.5: %v", name, share)
	}
	return nil
}
