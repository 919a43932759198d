package nn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Data is a set of examples to learn from.
type Data interface {
	Len() int
	// Input writes the values of example i to input.
	Input(i int, input []float32)
	// Class is the right answer for example i.
	Class(i int) int
}

// Training says how to train. All fields but Progress are needed.
type Training struct {
	Epochs    int     // passes over the data
	BatchSize int     // examples in a step
	Rate      float32 // learning rate of the first step; it falls to 0 in a straight line
	Momentum  float32 // share of a step that is repeated in the next, at least 0 and less than 1
	Seed      uint64  // decides the order of the examples

	// Progress, if not nil, is called after each step.
	Progress func(Progress)
}

// Progress is how far a training is. Loss and Accuracy are means over the epoch so far, of each example before
// the network learnt from it in this epoch.
type Progress struct {
	Step, Steps    int // of the whole training
	Epoch          int // the first is 1
	Loss, Accuracy float64
}

func (t Training) check(n *Network, data Data) error {
	switch {
	case t.Epochs < 1 || t.BatchSize < 1:
		return fmt.Errorf("nn: %d epochs with batches of %d: both must be positive", t.Epochs, t.BatchSize)
	case !(t.Rate > 0): // also for a NaN
		return fmt.Errorf("nn: learning rate %v is not positive", t.Rate)
	case !(t.Momentum >= 0 && t.Momentum < 1):
		return fmt.Errorf("nn: momentum %v is not in [0, 1)", t.Momentum)
	case data.Len() == 0:
		return errors.New("nn: no examples to learn from")
	}
	for i := range data.Len() {
		if class := data.Class(i); class < 0 || class >= n.Classes() {
			return fmt.Errorf("nn: example %d is of class %d, the network has %d", i, class, n.Classes())
		}
	}
	return nil
}

// Train changes the network by stochastic gradient descent with momentum so that it answers the examples
// correctly. When ctx ends it stops after the current step and returns context.Cause(ctx); the network has then learnt less.
func (n *Network) Train(ctx context.Context, data Data, cfg Training) error {
	if err := cfg.check(n, data); err != nil {
		return err
	}
	var (
		t        = newTrainer(n, min(cfg.BatchSize, data.Len()))
		classes  = make([]int, t.work.Size())
		order    = make([]int, data.Len())
		random   = rand.New(rand.NewPCG(cfg.Seed, 1))
		progress Progress
	)
	for i := range order {
		order[i] = i
	}
	progress.Steps = cfg.Epochs * ((len(order) + len(classes) - 1) / len(classes))
	for progress.Epoch = 1; progress.Epoch <= cfg.Epochs; progress.Epoch++ {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var seen, correct int
		var loss float64
		for seen < len(order) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			batch := order[seen:min(seen+len(classes), len(order))]
			for i, example := range batch {
				data.Input(example, t.work.Input(i))
				classes[i] = data.Class(example)
			}
			rate := cfg.Rate * float32(progress.Steps-progress.Step) / float32(progress.Steps)
			batchLoss, batchCorrect := t.backpropagate(classes[:len(batch)], -rate, cfg.Momentum)
			t.apply()

			seen += len(batch)
			loss += batchLoss * float64(len(batch))
			correct += batchCorrect
			progress.Step++
			progress.Loss, progress.Accuracy = loss/float64(seen), float64(correct)/float64(seen)
			if cfg.Progress != nil {
				cfg.Progress(progress)
			}
		}
	}
	return nil
}
