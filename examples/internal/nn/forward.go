package nn

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

// Workspace holds a batch of inputs and what a network makes of them on the way to the answers, so that
// answering allocates nothing. One goroutine at a time may use it.
type Workspace struct {
	layers []blas32.General // the inputs, then what each layer computed: a row for each input
}

// NewWorkspace makes a workspace for up to size inputs at a time.
func (n *Network) NewWorkspace(size int) *Workspace {
	w := &Workspace{}
	for _, width := range n.widths() {
		w.layers = append(w.layers, matrix(size, width, make([]float32, size*width)))
	}
	return w
}

// Size is the number of inputs that w has room for.
func (w *Workspace) Size() int { return w.layers[0].Rows }

// Input is where the values of input i go.
func (w *Workspace) Input(i int) []float32 { return row(w.layers[0], i) }

// Classify stores the most likely class of the i-th input of w in classes[i], for as many inputs as classes has
// room for: by one matrix-matrix product for each layer or, for a single input, a matrix-vector product.
// The number of inputs does not change the answers. It panics if classes is longer than w.Size.
func (n *Network) Classify(w *Workspace, classes []int) {
	if len(classes) == 0 {
		return
	}
	scores := n.forward(w, len(classes))
	for i := range classes {
		classes[i] = argmax(row(scores, i))
	}
}

// Probabilities stores the probabilities of the classes for the first inputs of w in probabilities, one input's after the other's, for as many
// inputs as it has room for. The number of inputs does not change them. It panics if there are more than w.Size, or if the last has not enough room.
func (n *Network) Probabilities(w *Workspace, probabilities []float64) {
	if len(probabilities)%n.Classes() != 0 {
		panic(fmt.Sprintf("nn: %d probabilities of %d classes", len(probabilities), n.Classes()))
	}
	count := len(probabilities) / n.Classes()
	if count == 0 {
		return
	}
	scores := n.forward(w, count)
	for i := range count {
		softmax(probabilities[i*n.Classes():(i+1)*n.Classes()], row(scores, i))
	}
}

func softmax(probabilities []float64, scores []float32) {
	highest, sum := float64(scores[argmax(scores)]), 0.0
	for j, v := range scores {
		probabilities[j] = math.Exp(float64(v) - highest)
		sum += probabilities[j]
	}
	for j := range probabilities {
		probabilities[j] /= sum
	}
}

// forward computes all layers for the first inputs of w, and returns the last, the scores before the softmax.
func (n *Network) forward(w *Workspace, count int) blas32.General {
	x := top(w.layers[0], count)
	for i, l := range n.layers {
		y := top(w.layers[i+1], count)
		for r := range y.Rows {
			copy(row(y, r), l.bias)
		}
		addProduct(x, l.weights, y)
		if i < len(n.layers)-1 {
			rectify(y.Data)
		}
		x = y
	}
	return x
}

// tile is how many inputs go through a layer together.
const tile = 8

// addProduct adds x·w to y, by multiples of rows of w. A row that comes from memory is used for all inputs of a tile, while their
// outputs stay in the innermost cache: that is what a batch has to gain. A zero, of which images have many, costs nothing. gonum's own product goes through all of
// w for each input, or cuts it into blocks that are small for this and spreads them over all processors, which are busy with other batches.
func addProduct(x, w, y blas32.General) {
	for from := 0; from < x.Rows; from += tile {
		to := min(from+tile, x.Rows)
		for k := range w.Rows {
			weights := vector(row(w, k))
			for i := from; i < to; i++ {
				if v := x.Data[i*x.Stride+k]; v != 0 {
					blas32.Axpy(v, weights, vector(row(y, i)))
				}
			}
		}
	}
}

// top is the first rows of m. It shares m's memory.
func top(m blas32.General, rows int) blas32.General {
	return matrix(rows, m.Cols, m.Data[:rows*m.Cols])
}

func rectify(values []float32) {
	for i, v := range values {
		if v < 0 {
			values[i] = 0
		}
	}
}

func argmax(values []float32) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}
