package ensemble

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
)

// Isotonic is the best rising curve: least squares under the condition that a higher score never has a lower probability (Zadrozny, Elkan, Transforming
// Classifier Scores into Accurate Multiclass Probability Estimates, KDD 2002). It is linear between its points and flat beyond them. The zero value makes NaN.
type Isotonic struct {
	points []isotonicPoint
}

type isotonicPoint struct{ score, probability float64 }

// FitIsotonic fits the curve by pooling adjacent violators (Ayer et al. 1955), after samples of equal score have been pooled: O(n log n). Scores must be finite, and
// high ones good. At its ends it is often 0 or 1, which a negative log-likelihood punishes without bound.
func FitIsotonic(scores []float64, correct []bool) (Isotonic, error) {
	if err := checkScores(scores, correct); err != nil {
		return Isotonic{}, err
	}
	outcomes := make([]float64, len(correct))
	for i, c := range correct {
		if c {
			outcomes[i] = 1
		}
	}
	return Isotonic{points: poolViolators(scores, outcomes)}, nil
}

// isotonicBlock is a run of scores that share their mean.
type isotonicBlock struct{ low, high, sum, weight float64 }

func (b isotonicBlock) mean() float64 { return b.sum / b.weight }

func (b isotonicBlock) with(next isotonicBlock) isotonicBlock {
	return isotonicBlock{low: b.low, high: next.high, sum: b.sum + next.sum, weight: b.weight + next.weight}
}

// poolViolators makes the points of the best rising curve: each block's two ends.
func poolViolators(scores, outcomes []float64) []isotonicPoint {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(scores[i], scores[j]) })
	var blocks []isotonicBlock
	for n := 0; n < len(order); {
		block := isotonicBlock{low: scores[order[n]], high: scores[order[n]]}
		for ; n < len(order) && scores[order[n]] == block.low; n++ {
			block.sum += outcomes[order[n]]
			block.weight++
		}
		for len(blocks) > 0 && blocks[len(blocks)-1].mean() >= block.mean() {
			block = blocks[len(blocks)-1].with(block)
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, block)
	}
	var points []isotonicPoint
	for _, b := range blocks {
		points = append(points, isotonicPoint{b.low, b.mean()})
		if b.high > b.low {
			points = append(points, isotonicPoint{b.high, b.mean()})
		}
	}
	return points
}

// Calibrate is the probability for a score.
func (c Isotonic) Calibrate(score float64) float64 {
	n := len(c.points)
	if n == 0 || math.IsNaN(score) {
		return math.NaN()
	}
	i, found := slices.BinarySearchFunc(c.points, score, func(p isotonicPoint, s float64) int { return cmp.Compare(p.score, s) })
	switch {
	case found:
		return c.points[i].probability
	case i == 0:
		return c.points[0].probability
	case i == n:
		return c.points[n-1].probability
	}
	a, b := c.points[i-1], c.points[i]
	// Halves, since the distance of two finite scores may be infinite.
	share := (score/2 - a.score/2) / (b.score/2 - a.score/2)
	return a.probability + share*(b.probability-a.probability)
}

type isotonicJSON struct {
	Scores        []float64 `json:"scores"`
	Probabilities []float64 `json:"probabilities"`
}

// MarshalJSON writes the points: {"scores":[...],"probabilities":[...]}.
func (c Isotonic) MarshalJSON() ([]byte, error) {
	var j isotonicJSON
	for _, p := range c.points {
		j.Scores = append(j.Scores, p.score)
		j.Probabilities = append(j.Probabilities, p.probability)
	}
	return json.Marshal(j)
}

// UnmarshalJSON refuses points that are not ascending, or not probabilities.
func (c *Isotonic) UnmarshalJSON(data []byte) error {
	var j isotonicJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if len(j.Scores) == 0 || len(j.Scores) != len(j.Probabilities) {
		return calibrationError("%d scores and %d probabilities", len(j.Scores), len(j.Probabilities))
	}
	points := make([]isotonicPoint, len(j.Scores))
	for i, s := range j.Scores {
		p := j.Probabilities[i]
		if !(p >= 0 && p <= 1) || i > 0 && (s <= j.Scores[i-1] || p < j.Probabilities[i-1]) {
			return calibrationError("point %d (%v, %v) is not a probability or not above the one before it", i, s, p)
		}
		points[i] = isotonicPoint{s, p}
	}
	c.points = points
	return nil
}
