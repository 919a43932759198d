package ensemble

import (
	"encoding/json"
	"math"
)

// Platt is a logistic curve over scores of any unit: the probability is 1/(1+exp(A·score+B)), with a negative A if high scores are good (Platt,
// Probabilistic Outputs for Support Vector Machines, 1999). The zero value
// makes 0.5 of every score.
type Platt struct {
	A float64 `json:"a"`
	B float64 `json:"b"`
}

// FitPlatt fits the curve to scores and whether each answer was right, with the smoothed targets of Platt (section 2.2: (n₊+1)/(n₊+2) for the right ones and
// 1/(n₋+2) for the wrong), by Newton's method with a line search (Lin, Lin, Weng, A Note on Platt's Probabilistic Outputs, Machine Learning 68, 2007). Scores
// must be finite; one sample is enough for it, if not for anything else. If all labels or all scores are the same the curve is flat.
func FitPlatt(scores []float64, correct []bool) (Platt, error) {
	if err := checkScores(scores, correct); err != nil {
		return Platt{}, err
	}
	n := float64(len(scores))
	var mean, spread, right float64
	for i, s := range scores {
		mean += s / n
		if correct[i] {
			right++
		}
	}
	for _, s := range scores {
		spread = max(spread, math.Abs(s-mean))
	}
	if !finiteScore(spread) {
		return Platt{}, calibrationError("the scores are too far apart")
	}
	wrong := n - right
	if spread == 0 || right == 0 || wrong == 0 { // only B matters, and its best value is known
		target := (right*(right+1)/(right+2) + wrong/(wrong+2)) / n
		return Platt{B: math.Log(1-target) - math.Log(target)}, nil
	}
	// Centred and scaled, so that the unit of the scores does not matter to the steps and tolerances.
	f := plattFit{x: make([]float64, len(scores)), y: make([]float64, len(scores))}
	for i, s := range scores {
		f.x[i] = (s - mean) / spread
		f.y[i] = 1 / (wrong + 2)
		if correct[i] {
			f.y[i] = (right + 1) / (right + 2)
		}
	}
	a, b := f.minimise(math.Log((wrong + 1) / (right + 1)))
	fit := Platt{A: a / spread, B: b - a*mean/spread}
	if !finiteScore(fit.A) || !finiteScore(fit.B) {
		return Platt{}, calibrationError("the scores are too close together")
	}
	return fit, nil
}

// plattFit has the centred scores and the targets. Its loss is the cross-entropy of 1/(1+exp(a·x+b)) to the targets, which is convex.
type plattFit struct{ x, y []float64 }

func (f plattFit) loss(a, b float64) float64 {
	sum := 0.0
	for i, x := range f.x {
		z := a*x + b
		sum += softplus(z) - (1-f.y[i])*z
	}
	return sum
}

func (f plattFit) minimise(startB float64) (a, b float64) {
	const ridge = 1e-12 // keeps the Hessian positive definite
	b = startB
	loss := f.loss(a, b)
	for range 200 {
		gradA, gradB, haa, hbb, hab := 0.0, 0.0, ridge, ridge, 0.0
		for i, x := range f.x {
			p := logistic(-(a*x + b))
			d, w := f.y[i]-p, p*(1-p)
			gradA, gradB = gradA+x*d, gradB+d
			haa, hbb, hab = haa+x*x*w, hbb+w, hab+x*w
		}
		if math.Abs(gradA) < 1e-10 && math.Abs(gradB) < 1e-10 {
			return a, b
		}
		det := haa*hbb - hab*hab
		stepA, stepB := -(hbb*gradA-hab*gradB)/det, -(haa*gradB-hab*gradA)/det
		slope := gradA*stepA + gradB*stepB
		for size := 1.0; ; size /= 2 {
			if size < 1e-12 { // rounding is all that is left to gain
				return a, b
			}
			nextA, nextB := a+size*stepA, b+size*stepB
			if next := f.loss(nextA, nextB); next < loss+1e-4*size*slope {
				a, b, loss = nextA, nextB, next
				break
			}
		}
	}
	return a, b
}

// Calibrate is the probability for a score.
func (p Platt) Calibrate(score float64) float64 {
	if p.A == 0 && !math.IsNaN(score) {
		score = 0 // 0 times infinity
	}
	return logistic(-(p.A*score + p.B))
}

// UnmarshalJSON refuses JSON in which a or b is missing.
func (p *Platt) UnmarshalJSON(data []byte) error {
	var read struct{ A, B *float64 }
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	if read.A == nil || read.B == nil {
		return calibrationError("a or b is missing")
	}
	p.A, p.B = *read.A, *read.B
	return nil
}
