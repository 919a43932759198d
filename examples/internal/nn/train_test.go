package nn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The gradient of each parameter against the change of the loss when that parameter is changed a little both ways.
func TestGradient(t *testing.T) {
	for _, widths := range [][]int{{4, 3}, {5, 6, 3}, {6, 8, 7, 4}} {
		n := newNetwork(t, 7, widths...)
		for _, l := range n.layers {
			for i := range l.bias {
				l.bias[i] = 0.1 * float32(i+1)
			}
		}
		tr := newTrainer(n, 9)
		fill(tr.work, 8)
		classes := make([]int, 7) // fewer than there is room for
		for i := range classes {
			classes[i] = i % n.Classes()
		}
		loss := func() float64 {
			loss, _ := softmaxLoss(n.forward(tr.work, len(classes)), classes)
			return loss
		}
		tr.backpropagate(classes, 1, 0)

		check := func(name string, parameters, gradient []float32) {
			const step = 1e-2 // single precision needs it large
			for i, p := range parameters {
				parameters[i] = p + step
				above, over := loss(), parameters[i]
				parameters[i] = p - step
				below, under := loss(), parameters[i]
				parameters[i] = p
				slope := (above - below) / float64(over-under)
				assert.InDelta(t, slope, gradient[i], 1e-3, "widths %v, %s %d", widths, name, i)
			}
		}
		for i, l := range n.layers {
			check("weight", l.weights.Data, tr.sum[i].weights.Data)
			check("bias", l.bias, tr.sum[i].bias)
		}
	}
}

func TestBackpropagateAddsUp(t *testing.T) {
	tr := newTrainer(newNetwork(t, 1, 4, 5, 3), 2)
	fill(tr.work, 2)
	classes := []int{0, 2}
	tr.backpropagate(classes, 1, 0)
	once := append([]float32(nil), tr.sum[0].weights.Data...)
	onceBias := append([]float32(nil), tr.sum[1].bias...)
	tr.backpropagate(classes, -2, 0.5) // 0.5·g - 2·g
	for i, g := range once {
		assert.InDelta(t, -1.5*g, tr.sum[0].weights.Data[i], 1e-6)
	}
	for i, g := range onceBias {
		assert.InDelta(t, -1.5*g, tr.sum[1].bias[i], 1e-6)
	}
}

func TestSoftmaxLoss(t *testing.T) {
	// All scores equal: each class has probability 1/4, the loss is ln 4.
	scores := matrix(2, 4, make([]float32, 8))
	loss, correct := softmaxLoss(scores, []int{0, 3})
	assert.InDelta(t, math.Log(4), loss, 1e-12)
	assert.Equal(t, 1, correct) // of equal scores the first counts as the highest
	assert.Equal(t, []float32{-0.375, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, -0.375}, scores.Data)

	// ln 3 apart: probabilities 3/4 and 1/4.
	scores = matrix(1, 2, []float32{float32(math.Log(3)), 0})
	loss, correct = softmaxLoss(scores, []int{0})
	assert.InDelta(t, math.Log(4.0/3), loss, 1e-7)
	assert.Equal(t, 1, correct)

	// Scores of which the exponential overflows.
	scores = matrix(1, 2, []float32{1e30, -1e30})
	loss, correct = softmaxLoss(scores, []int{1})
	assert.InEpsilon(t, 2e30, loss, 1e-6)
	assert.Equal(t, 0, correct)
	assert.Equal(t, []float32{1, -1}, scores.Data)
}

// ring is data that no straight line separates: points inside of a circle and around it.
type ring struct {
	points  [][2]float32
	classes []int
}

func newRing(count int) *ring {
	random := rand.New(rand.NewPCG(9, 9))
	r := &ring{}
	for i := range count {
		distance, angle := float64(i%2)+0.8*random.Float64(), 2*math.Pi*random.Float64()
		r.points = append(r.points, [2]float32{float32(distance * math.Cos(angle)), float32(distance * math.Sin(angle))})
		r.classes = append(r.classes, i%2)
	}
	return r
}

func (r *ring) Len() int                     { return len(r.points) }
func (r *ring) Input(i int, input []float32) { copy(input, r.points[i][:]) }
func (r *ring) Class(i int) int              { return r.classes[i] }
func (r *ring) training(epochs int) Training {
	return Training{Epochs: epochs, BatchSize: 32, Rate: 0.2, Momentum: 0.9, Seed: 1}
}

func TestTrainingLowersTheLoss(t *testing.T) {
	data := newRing(500) // not a multiple of the batch size
	n := newNetwork(t, 1, 2, 16, 2)
	cfg := data.training(20)
	var epochs []Progress // the last of each
	steps := 0
	cfg.Progress = func(p Progress) {
		steps++
		assert.Equal(t, steps, p.Step)
		if p.Epoch > len(epochs) {
			epochs = append(epochs, p)
		}
		epochs[p.Epoch-1] = p
	}
	require.NoError(t, n.Train(t.Context(), data, cfg))
	require.Len(t, epochs, 20)
	assert.Equal(t, 20*16, steps)
	assert.Equal(t, 20*16, epochs[19].Steps)
	first, last := epochs[0], epochs[19]
	assert.Less(t, last.Loss, first.Loss/4)
	assert.Greater(t, last.Accuracy, 0.97)

	w, classes, correct := n.NewWorkspace(500), make([]int, 500), 0
	for i := range 500 {
		data.Input(i, w.Input(i))
	}
	n.Classify(w, classes)
	for i, class := range classes {
		if class == data.classes[i] {
			correct++
		}
	}
	assert.Greater(t, correct, 485)
}

func TestSameSeedSameNetwork(t *testing.T) {
	data := newRing(100)
	train := func(seed uint64) *Network {
		n := newNetwork(t, 1, 2, 200, 2) // wide enough for gonum to go parallel
		cfg := data.training(3)
		cfg.BatchSize, cfg.Seed = 100, seed
		require.NoError(t, n.Train(context.Background(), data, cfg))
		return n
	}
	want := train(1)
	assert.Equal(t, want, train(1))
	assert.NotEqual(t, want, train(2))

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	assert.Equal(t, want, train(1))
}

func TestTrainStopsWhenCancelled(t *testing.T) {
	reason := errors.New("the reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	data, steps := newRing(100), 0
	cfg := data.training(1000)
	cfg.Progress = func(p Progress) {
		if steps = p.Step; steps == 5 {
			cancel(reason)
		}
	}
	assert.ErrorIs(t, newNetwork(t, 1, 2, 4, 2).Train(ctx, data, cfg), reason)
	assert.Equal(t, 5, steps)
}

func TestTrainRejects(t *testing.T) {
	data := newRing(10)
	for name, change := range map[string]func(*Training){
		"no epochs":         func(c *Training) { c.Epochs = 0 },
		"negative epochs":   func(c *Training) { c.Epochs = -1 },
		"empty batches":     func(c *Training) { c.BatchSize = 0 },
		"no rate":           func(c *Training) { c.Rate = 0 },
		"a rate of NaN":     func(c *Training) { c.Rate = float32(math.NaN()) },
		"negative momentum": func(c *Training) { c.Momentum = -0.1 },
		"a momentum of 1":   func(c *Training) { c.Momentum = 1 },
	} {
		cfg := data.training(1)
		change(&cfg)
		assert.Error(t, newNetwork(t, 1, 2, 2).Train(t.Context(), data, cfg), name)
	}
	n := newNetwork(t, 1, 2, 2)
	assert.ErrorContains(t, n.Train(t.Context(), &ring{}, data.training(1)), "no examples")
	data.classes[3] = 2
	assert.ErrorContains(t, n.Train(t.Context(), data, data.training(1)), "example 3 is of class 2")
	data.classes[3] = -1
	assert.ErrorContains(t, n.Train(t.Context(), data, data.training(1)), "example 3 is of class -1")
}
