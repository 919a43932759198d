package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

// train makes a network and has it learn.
func train(ctx context.Context, o options, set *mnist.Set, w io.Writer) (*nn.Network, error) {
	var hidden []int
	if o.model == "mlp" {
		hidden = []int{512}
	}
	var (
		last  nn.Progress
		start = time.Now()
	)
	network, err := training.Run(ctx, w, set, training.Config{
		Name: "training", Hidden: hidden, Epochs: o.epochs, Seed: o.seed,
		Note: func(p nn.Progress) string {
			last = p
			return fmt.Sprintf("epoch %d  loss %.4f  accuracy %.1f%%", p.Epoch, p.Loss, 100*p.Accuracy)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("training, %d of %d steps done: %w", last.Step, last.Steps, err)
	}
	_, _ = fmt.Fprintf(w, "trained %d parameters in %.1f s\n", network.Parameters(), time.Since(start).Seconds())
	return network, nil
}

// model runs the network for as many batches at a time as it has workspaces. A batch may be a single image.
type model struct {
	network *nn.Network
	idle    chan *nn.Workspace
}

func newModel(network *nn.Network, slots, maxSize int) *model {
	m := &model{network, make(chan *nn.Workspace, slots)}
	for range slots {
		m.idle <- network.NewWorkspace(maxSize)
	}
	return m
}

// classify returns the digits that the images show. It has the shape of a batching.RunFunc.
func (m *model) classify(ctx context.Context, images []mnist.Image) ([]int, error) {
	var work *nn.Workspace
	select {
	case work = <-m.idle:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { m.idle <- work }()
	for i, image := range images {
		image.Input(work.Input(i))
	}
	digits := make([]int, len(images))
	m.network.Classify(work, digits)
	return digits, nil
}
