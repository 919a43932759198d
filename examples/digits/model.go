package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/progress"
)

// train makes a network and has it learn.
func train(ctx context.Context, o options, set *mnist.Set, w io.Writer) (*nn.Network, error) {
	widths := []int{mnist.Pixels, 512, mnist.Classes}
	if o.model == "softmax" {
		widths = []int{mnist.Pixels, mnist.Classes}
	}
	network, err := nn.New(o.seed, widths...)
	if err != nil {
		return nil, err
	}
	var (
		bar   = progress.New(w, "training", 1000)
		last  nn.Progress
		start = time.Now()
	)
	defer bar.End()
	err = network.Train(ctx, set, nn.Training{
		Epochs: o.epochs, BatchSize: 64, Rate: 0.1, Momentum: 0.9, Seed: o.seed,
		Progress: func(p nn.Progress) {
			last = p
			bar.Set(1000*p.Step/p.Steps, fmt.Sprintf("epoch %d  loss %.4f  accuracy %.1f%%", p.Epoch, p.Loss, 100*p.Accuracy))
		},
	})
	bar.End()
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
