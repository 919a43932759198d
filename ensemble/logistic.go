package ensemble

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// DefaultPenalty is the default of FitLogistic's penalty.
const DefaultPenalty = 1.0

// maxClasses, and that the classes are no more than the samples or outputs, keep a number that is none of a class from taking all memory.
const maxClasses = 1 << 16

// Logistic is a multinomial logistic regression as meta-model: class probabilities softmax(Bias[k] + Σ Weights[k][j]·(x[j] - Means[j])). It is plain
// data, to be stored with the members that it was fitted for.
type Logistic struct {
	Widths  []int       // how many outputs each member has
	Weights [][]float64 // by class, then by output, those of the members one after the other
	Bias    []float64   // by class
	Means   []float64   // of the outputs; they stand for a member that is missing
}

// FitLogistic fits a multinomial logistic regression: samples[i][m] are the outputs of member m for sample i (its class probabilities, or one number), classes[i] is
// the right class, from 0. It minimises the cross-entropy summed over the samples plus penalty/2·Σ Weights², Bias being free. penalty 0 is
// DefaultPenalty. The number of classes is the highest that occurs, and one: at most 65,536, and no more than there are samples or outputs of a member, whichever is more. If only one class
// occurs it is an error. As for [FitLinear], take samples that the members were not trained on.
func FitLogistic(samples [][][]float64, classes []int, penalty float64) (Logistic, error) {
	n := len(samples)
	if n == 0 || n != len(classes) {
		return Logistic{}, fmt.Errorf("ensemble: FitLogistic: %d samples with %d classes", n, len(classes))
	}
	if !(penalty >= 0) || math.IsInf(penalty, 0) {
		return Logistic{}, fmt.Errorf("ensemble: FitLogistic: penalty is not a positive number: %v", penalty)
	}
	if penalty == 0 {
		penalty = DefaultPenalty
	}
	var l Logistic
	for _, outputs := range samples[0] {
		l.Widths = append(l.Widths, len(outputs))
	}
	rows := make([][]float64, n)
	highest, same := 0, true
	for i, sample := range samples {
		if len(sample) != len(l.Widths) || len(sample) == 0 {
			return Logistic{}, fmt.Errorf("ensemble: FitLogistic: sample %d has %d members, sample 0 has %d", i, len(sample), len(l.Widths))
		}
		for m, outputs := range sample {
			if len(outputs) != l.Widths[m] {
				return Logistic{}, fmt.Errorf("ensemble: FitLogistic: sample %d, member %d: %d outputs, in sample 0 %d", i, m, len(outputs), l.Widths[m])
			}
			if err := finiteVector(outputs); err != nil {
				return Logistic{}, fmt.Errorf("ensemble: FitLogistic: sample %d, member %d: %w", i, m, err)
			}
			rows[i] = append(rows[i], outputs...)
		}
		if most := min(maxClasses, max(n, slices.Max(l.Widths))); classes[i] < 0 || classes[i] >= most {
			return Logistic{}, fmt.Errorf("ensemble: FitLogistic: sample %d has the class %d, which is not from 0 to %d", i, classes[i], most-1)
		}
		highest, same = max(highest, classes[i]), same && classes[i] == classes[0]
	}
	if same {
		return Logistic{}, fmt.Errorf("ensemble: FitLogistic: all samples are of class %d", highest)
	}
	f := softmaxFit{rows: rows, classes: classes, k: highest + 1, d: len(rows[0]), penalty: penalty}
	l.Means = make([]float64, f.d)
	column := make([]float64, n)
	for j := range l.Means {
		for i := range rows {
			column[i] = rows[i][j]
		}
		l.Means[j] = middle(column)
		for i := range rows {
			rows[i][j] -= l.Means[j]
		}
	}
	w := make([]float64, f.k*(f.d+1))
	if err := minimise(f.loss, w, 1e-8*float64(n)); err != nil {
		return Logistic{}, fmt.Errorf("ensemble: FitLogistic: %w", err)
	}
	for c := range f.k {
		row := w[c*(f.d+1) : (c+1)*(f.d+1)]
		l.Weights, l.Bias = append(l.Weights, row[:f.d:f.d]), append(l.Bias, row[f.d])
	}
	return l, nil
}

// softmaxFit is the problem that FitLogistic solves. The parameters are, for each class, its weights and its bias.
type softmaxFit struct {
	rows       [][]float64
	classes    []int
	k, d       int
	penalty    float64
	activation []float64
}

func (f *softmaxFit) loss(w, gradient []float64) float64 {
	f.activation = append(f.activation[:0], make([]float64, f.k)...)
	clear(gradient)
	sum, stride := 0.0, f.d+1
	for i, x := range f.rows {
		a := f.activation
		for c := range a {
			row := w[c*stride : (c+1)*stride]
			a[c] = dot(x, row) + row[f.d]
		}
		right := a[f.classes[i]]
		sum += intoProbabilities(a) - right
		a[f.classes[i]]--
		for c, e := range a {
			g := gradient[c*stride : (c+1)*stride]
			for j, v := range x {
				g[j] += e * v
			}
			g[f.d] += e
		}
	}
	for c := range f.k {
		for j := c * stride; j < c*stride+f.d; j++ {
			sum += f.penalty / 2 * w[j] * w[j]
			gradient[j] += f.penalty * w[j]
		}
	}
	return sum
}

// intoProbabilities replaces a by its softmax, and returns the logarithm of the sum of its exponentials.
func intoProbabilities(a []float64) float64 {
	top := a[0]
	for _, v := range a {
		top = max(top, v)
	}
	sum := 0.0
	for c, v := range a {
		a[c] = math.Exp(v - top)
		sum += a[c]
	}
	for c := range a {
		a[c] /= sum
	}
	return top + math.Log(sum)
}

// Predict is the probability of each class for the outputs of all members, one after the other. It panics if there are not as many as Means.
func (l Logistic) Predict(outputs []float64) []float64 {
	p := make([]float64, len(l.Bias))
	for c := range p {
		p[c] = l.Bias[c]
		for j, w := range l.Weights[c] {
			p[c] += w * (outputs[j] - l.Means[j])
		}
	}
	intoProbabilities(p)
	return p
}

// StackLogistic combines vectors, which may differ in length from member to member, into class probabilities by a fitted logistic regression, in which a
// missing member is at its means. Agreement: Share and Entropy of the result.
func StackLogistic[F Float](l Logistic) Combiner[[]F, []F] {
	c := VectorStack[F](l.Widths, l.Means, func(_ context.Context, outputs []float64) ([]F, error) {
		p := l.Predict(outputs)
		result := make([]F, len(p))
		for i := range p {
			result[i] = F(p[i])
		}
		return result, nil
	})
	if c.err == nil {
		c.err = l.check()
	}
	stack := c.Combine
	c.Combine = func(ctx context.Context, votes []Vote[[]F]) ([]F, Agreement, error) {
		p, a, err := stack(ctx, votes)
		for _, v := range p {
			a.Share = max(a.Share, float64(v))
			a.Entropy += surprise(float64(v))
		}
		return p, a, err
	}
	return c
}

func (l Logistic) check() error {
	if len(l.Means) == 0 || len(l.Bias) < 2 || len(l.Bias) != len(l.Weights) {
		return fmt.Errorf("ensemble: StackLogistic: %d means, %d biases, %d rows of weights", len(l.Means), len(l.Bias), len(l.Weights))
	}
	err := errors.Join(finiteVector(l.Means), finiteVector(l.Bias))
	for c, w := range l.Weights {
		if len(w) != len(l.Means) {
			return fmt.Errorf("ensemble: StackLogistic: class %d has %d weights for %d outputs", c, len(w), len(l.Means))
		}
		err = errors.Join(err, finiteVector(w))
	}
	return err
}
