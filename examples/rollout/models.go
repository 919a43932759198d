package main

import (
	"context"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
)

// model tells how likely each digit is. It may be called concurrently.
type model interface {
	probabilities(image mnist.Image) []float64
}

// do is a model in the shape of all patterns.
func do(m model) func(context.Context, mnist.Image) ([]float64, error) {
	return func(_ context.Context, image mnist.Image) ([]float64, error) { return m.probabilities(image), nil }
}

// digit is the likeliest.
func digit(probabilities []float64) int {
	best := 0
	for i, p := range probabilities {
		if p > probabilities[best] {
			best = i
		}
	}
	return best
}

// network is a trained network, or without a hidden layer a softmax regression.
type network struct {
	*nn.Network
	idle sync.Pool // of workspaces
}

func newNetwork(n *nn.Network) *network {
	return &network{Network: n, idle: sync.Pool{New: func() any { return n.NewWorkspace(1) }}}
}

func (n *network) probabilities(image mnist.Image) []float64 {
	work := n.idle.Get().(*nn.Workspace)
	defer n.idle.Put(work)
	image.Input(work.Input(0))
	p := make([]float64, mnist.Classes)
	n.Probabilities(work, p)
	return p
}

// nearest asks the k images it knows that are the nearest, at half of the resolution.
type nearest struct {
	k       int
	known   blas32.General // an image in each row
	lengths []float32      // squared, of the rows
	labels  []uint8
}

const (
	halfSide = mnist.Side / 2
	halfSize = halfSide * halfSide
)

func newNearest(k int, set *mnist.Set) *nearest {
	n := &nearest{k: min(k, set.Len()), labels: set.Labels}
	n.known = blas32.General{Rows: set.Len(), Cols: halfSize, Stride: halfSize}
	for _, image := range set.Images {
		small := shrink(image)
		n.known.Data = append(n.known.Data, small...)
		n.lengths = append(n.lengths, blas32.Dot(vector(small), vector(small)))
	}
	return n
}

func (n *nearest) probabilities(image mnist.Image) []float64 {
	// The squared distance, but for the length of the image itself, which is the same for all.
	distances := slices.Clone(n.lengths)
	blas32.Gemv(blas.NoTrans, -2, n.known, vector(shrink(image)), 1, vector(distances))
	p := make([]float64, mnist.Classes)
	for i := range p {
		p[i] = 0.1 / float64(n.k+1) // no digit is impossible
	}
	for _, i := range smallest(distances, n.k) {
		p[n.labels[i]] += 1 / float64(n.k+1)
	}
	return p
}

// smallest are the indices of the k smallest values, in their order.
func smallest(values []float32, k int) []int {
	found := make([]int, 0, k+1)
	for i, v := range values {
		if len(found) == k && v >= values[found[k-1]] {
			continue
		}
		at, _ := slices.BinarySearchFunc(found, v, func(j int, v float32) int {
			if values[j] <= v { // of equals the first stays before
				return -1
			}
			return 1
		})
		found = slices.Insert(found, at, i)
		found = found[:min(len(found), k)]
	}
	return found
}

// shrink has the mean of each four pixels.
func shrink(image mnist.Image) []float32 {
	small := make([]float32, halfSize)
	for i, v := range image {
		y, x := i/mnist.Side, i%mnist.Side
		small[y/2*halfSide+x/2] += float32(v) / (4 * 255)
	}
	return small
}

func vector(data []float32) blas32.Vector { return blas32.Vector{N: len(data), Inc: 1, Data: data} }
