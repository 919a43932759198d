// Package nn holds small fully connected neural networks that learn and answer on the CPU, enough for examples
// that need a real model: rectified hidden layers, a softmax at the end, stochastic gradient descent with momentum.
//
// The matrix products are gonum's, in single precision. They add up in the same order each time, so the same seed gives the
// same network on the same kind of machine, on any number of cores.
package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas32"
)

// Network is a fully connected network. Without a hidden layer it is a softmax regression.
//
// Any number of goroutines may use it at a time, each with a Workspace of its own, but not while Train changes it.
type Network struct {
	layers []layer
}

// layer computes x·weights + bias.
type layer struct {
	weights blas32.General // inputs by outputs
	bias    []float32
}

// New makes a network of layers with the given widths, of which the first is the number of inputs and the last
// the number of classes. The seed decides the random weights that it starts with.
func New(seed uint64, widths ...int) (*Network, error) {
	if len(widths) < 2 {
		return nil, fmt.Errorf("nn: a network needs at least 2 widths, got %d", len(widths))
	}
	for _, width := range widths {
		if width < 1 {
			return nil, fmt.Errorf("nn: widths must be positive: %v", widths)
		}
	}
	n := &Network{layers: zeroLayers(widths)}
	random := rand.New(rand.NewPCG(seed, 0))
	for i, l := range n.layers {
		// He et al. 2015: this spread keeps the signal's size the same from layer to layer when half of it is cut off.
		spread := math.Sqrt(2 / float64(widths[i]))
		for j := range l.weights.Data {
			l.weights.Data[j] = float32(random.NormFloat64() * spread)
		}
	}
	return n, nil
}

func zeroLayers(widths []int) []layer {
	layers := make([]layer, len(widths)-1)
	for i := range layers {
		in, out := widths[i], widths[i+1]
		layers[i] = layer{matrix(in, out, make([]float32, in*out)), make([]float32, out)}
	}
	return layers
}

// Inputs is the length of an input.
func (n *Network) Inputs() int { return n.layers[0].weights.Rows }

// Classes is the number of classes.
func (n *Network) Classes() int { return len(n.layers[len(n.layers)-1].bias) }

// Parameters is the number of weights and biases.
func (n *Network) Parameters() int {
	count := 0
	for _, l := range n.layers {
		count += len(l.weights.Data) + len(l.bias)
	}
	return count
}

func (n *Network) widths() []int {
	widths := []int{n.Inputs()}
	for _, l := range n.layers {
		widths = append(widths, len(l.bias))
	}
	return widths
}

// matrix makes a matrix of data, row by row.
func matrix(rows, cols int, data []float32) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

func row(m blas32.General, i int) []float32 { return m.Data[i*m.Stride : i*m.Stride+m.Cols] }

func vector(data []float32) blas32.Vector {
	return blas32.Vector{N: len(data), Inc: 1, Data: data}
}
