package nn

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// trainer holds what changing a network takes beyond answering with it.
type trainer struct {
	network *Network
	work    *Workspace
	deltas  []blas32.General // gradients with respect to the outputs of each hidden layer, for each input of the batch
	sum     []layer          // gradients with respect to the parameters, added up as step is told
}

func newTrainer(n *Network, size int) *trainer {
	t := &trainer{network: n, work: n.NewWorkspace(size), sum: zeroLayers(n.widths())}
	for _, hidden := range t.work.layers[1:len(n.layers)] {
		t.deltas = append(t.deltas, matrix(size, hidden.Cols, make([]float32, len(hidden.Data))))
	}
	return t
}

// backpropagate runs the first inputs of the workspace, whose true classes are given, forward and back, and sets
// sum to keep·sum + scale·(the gradient of their mean loss). It returns the mean loss and how many were answered correctly.
func (t *trainer) backpropagate(classes []int, scale, keep float32) (loss float64, correct int) {
	count := len(classes)
	delta := t.network.forward(t.work, count)
	loss, correct = softmaxLoss(delta, classes)
	for i := len(t.network.layers) - 1; ; i-- {
		x := top(t.work.layers[i], count)
		blas32.Gemm(blas.Trans, blas.NoTrans, scale, x, delta, keep, t.sum[i].weights)
		bias := vector(t.sum[i].bias)
		blas32.Scal(keep, bias)
		for r := range count {
			blas32.Axpy(scale, vector(row(delta, r)), bias)
		}
		if i == 0 {
			return loss, correct
		}
		before := top(t.deltas[i-1], count)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, delta, t.network.layers[i].weights, 0, before)
		for j, v := range x.Data {
			if v == 0 { // cut off, so without influence on the loss
				before.Data[j] = 0
			}
		}
		delta = before
	}
}

// apply adds sum to the parameters.
func (t *trainer) apply() {
	for i, l := range t.network.layers {
		blas32.Axpy(1, vector(t.sum[i].weights.Data), vector(l.weights.Data))
		blas32.Axpy(1, vector(t.sum[i].bias), vector(l.bias))
	}
}

// softmaxLoss returns the mean loss of the rows of scores, which is the cross entropy between the softmax of a row and its true
// class, and the number of rows with the highest score at the true class. It replaces the scores by the gradient of that mean
// with respect to them.
func softmaxLoss(scores blas32.General, classes []int) (loss float64, correct int) {
	rows := float64(len(classes))
	for i, class := range classes {
		s := row(scores, i)
		best := argmax(s)
		if best == class {
			correct++
		}
		highest, own := float64(s[best]), float64(s[class])
		sum := 0.0
		for _, v := range s {
			sum += math.Exp(float64(v) - highest) // the exponent is at most 0: no overflow
		}
		loss += math.Log(sum) + highest - own
		for j, v := range s {
			probability := math.Exp(float64(v)-highest) / sum
			if j == class {
				probability--
			}
			s[j] = float32(probability / rows)
		}
	}
	return loss / rows, correct
}
