package ensemble

import (
	"context"
	"fmt"
	"math"
)

// vector applies a statistic to each element.
func vector[F Float](s statistic) Combiner[[]F, []F] {
	check := finiteVector[F]
	if s.kind == geometric {
		check = notNegativeVector
	}
	return Combiner[[]F, []F]{Check: check, Combine: func(_ context.Context, votes []Vote[[]F]) ([]F, Agreement, error) {
		n, err := sameLength(votes)
		if err != nil {
			return nil, Agreement{}, err
		}
		result := make([]F, n)
		variance := elements(s, votes, result)
		return result, Agreement{Variance: variance / float64(n)}, nil
	}}
}

// elements sets result to the statistic of each element of the votes, and returns the sum of their variances.
func elements[F Float](s statistic, votes []Vote[[]F], result []F) (variance float64) {
	var xs, ws [few]float64
	x, w := xs[:0], ws[:0]
	for i := range votes {
		x, w = append(x, 0), append(w, votes[i].Weight)
	}
	for j := range result {
		for i := range votes {
			x[i] = float64(votes[i].Value[j])
		}
		variance += s.variance(x, w)
		result[j] = F(s.of(x, w))
	}
	return variance
}

func notNegativeVector[F Float](x []F) error {
	if err := finiteVector(x); err != nil {
		return err
	}
	for i, v := range x {
		if v < 0 {
			return fmt.Errorf("%w: value %d of %d is negative: %v", ErrBadAnswer, i, len(x), v)
		}
	}
	return nil
}

// VectorMean is Mean for each element of vectors, which must be of one length. An empty vector is a bad answer, as is a NaN or an infinity in
// one. That members have vectors of different length shows only when they are combined: it is an error of the call, a *[MemberError] that
// names the first whose length is not that of most; to have it count as a failure of that member, give the length by [WithCheck].
// Agreement: Variance, the mean over the elements. All this is so for the other combiners of vectors too.
func VectorMean[F Float]() Combiner[[]F, []F] { return vector[F](statistic{kind: mean}) }

// VectorWeightedMean is WeightedMean for each element of vectors. Of class probabilities it is the linear opinion pool.
func VectorWeightedMean[F Float]() Combiner[[]F, []F] {
	return vector[F](statistic{kind: weightedMean})
}

// VectorMedian is Median for each element of vectors.
func VectorMedian[F Float]() Combiner[[]F, []F] { return vector[F](statistic{kind: median}) }

// VectorTrimmedMean is TrimmedMean for each element of vectors.
func VectorTrimmedMean[F Float](share float64) Combiner[[]F, []F] {
	c := vector[F](statistic{trimmed, share})
	c.err = checkTrim("VectorTrimmedMean", share)
	return c
}

// VectorGeometricMean is GeometricMean for each element of vectors. For class probabilities see [LogPool].
func VectorGeometricMean[F Float]() Combiner[[]F, []F] {
	return vector[F](statistic{kind: geometric})
}

// LogPool is the logarithmic opinion pool of class probabilities (Genest and Zidek, Statistical Science 1986): their geometric mean by the
// weights of the members, scaled to the sum 1. A class to which one member gives 0 has 0; if that leaves none it is an error, ErrBadAnswer. Each vector
// must be class probabilities as for [SoftVote]. Agreement: Share and Entropy of the result, Variance of the answers.
func LogPool[F Float]() Combiner[[]F, []F] {
	return Combiner[[]F, []F]{Check: probabilities[F], Combine: func(_ context.Context, votes []Vote[[]F]) ([]F, Agreement, error) {
		n, err := sameLength(votes)
		if err != nil {
			return nil, Agreement{}, err
		}
		result := make([]F, n)
		variance := elements(statistic{kind: geometric}, votes, result)
		sum := 0.0
		for _, p := range result {
			sum += float64(p)
		}
		if sum == 0 {
			return nil, Agreement{}, fmt.Errorf("%w: the members exclude all %d classes between them", ErrBadAnswer, n)
		}
		agreement := Agreement{Variance: variance / float64(n)}
		for j, p := range result {
			q := float64(p) / sum
			result[j] = F(q)
			agreement.Share = max(agreement.Share, q)
			agreement.Entropy += surprise(q)
		}
		return result, agreement, nil
	}}
}

// SoftVote is the class, by index, with the highest mean probability, by the weights of the members; of equals, the first. Each answer
// must be class probabilities: not negative, with a sum of 1 up to 0.01 (logits are a bad answer). For the mean probabilities themselves
// use [VectorWeightedMean]. Agreement: Share, the mean probability of the winner, and Entropy of the mean, both scaled to the sum 1, Variance of the winner's probability.
func SoftVote[F Float]() Combiner[[]F, int] {
	return Combiner[[]F, int]{Check: probabilities[F], Combine: func(_ context.Context, votes []Vote[[]F]) (int, Agreement, error) {
		n, err := sameLength(votes)
		if err != nil {
			return 0, Agreement{}, err
		}
		winner, sum := -1, 0.0
		var a Agreement
		for j := range n {
			p := 0.0
			for i := range votes {
				p += votes[i].Weight * float64(votes[i].Value[j])
			}
			if winner < 0 || p > a.Share && !near(p, a.Share) {
				winner, a.Share = j, p
			}
			if p > 0 {
				sum += p
				a.Entropy -= p * math.Log(p)
			}
		}
		for i := range votes {
			d := float64(votes[i].Value[winner]) - a.Share
			a.Variance += votes[i].Weight * d * d
		}
		// Share and Entropy are those of p/sum.
		a.Share, a.Entropy = a.Share/sum, max(a.Entropy/sum+math.Log(sum), 0)
		return winner, a, nil
	}}
}

func probabilities[F Float](x []F) error {
	if err := notNegativeVector(x); err != nil {
		return err
	}
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	if math.Abs(sum-1) > 0.01 {
		return fmt.Errorf("%w: no probabilities, their sum is %v", ErrBadAnswer, sum)
	}
	return nil
}

// surprise is a term of the entropy, in nats.
func surprise(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -p * math.Log(p)
}

// near says whether two sums of shares differ by no more than rounding, so that 0.1+0.2 and 0.3 are a tie.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }
