// Package training has networks learn to read the digits of MNIST, and shows how far they are.
package training

import (
	"context"
	"fmt"
	"io"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/progress"
)

// Config says what learns, and how. Hidden, Rate and Note may be left out.
type Config struct {
	Name   string                   // of the progress bar
	Hidden []int                    // widths of the hidden layers; none: softmax regression
	Epochs int                      // passes over the images
	Rate   float32                  // learning rate, see nn.Training; 0: 0.1
	Seed   uint64                   // decides all that is random
	Note   func(nn.Progress) string // what stands beside the bar, asked for after each step; nil: the epoch and the accuracy
}

// Run makes a network and has it learn the images; the progress bar is on w. The error is context.Cause(ctx) when ctx ends before that is done.
func Run(ctx context.Context, w io.Writer, set *mnist.Set, cfg Config) (*nn.Network, error) {
	widths := append([]int{mnist.Pixels}, cfg.Hidden...)
	network, err := nn.New(cfg.Seed, append(widths, mnist.Classes)...)
	if err != nil {
		return nil, err
	}
	if cfg.Rate == 0 {
		cfg.Rate = 0.1
	}
	if cfg.Note == nil {
		cfg.Note = func(p nn.Progress) string { return fmt.Sprintf("epoch %d  accuracy %.1f%%", p.Epoch, 100*p.Accuracy) }
	}
	bar := progress.New(w, cfg.Name, 1000)
	defer bar.End()
	err = network.Train(ctx, set, nn.Training{
		Epochs: cfg.Epochs, BatchSize: 64, Rate: cfg.Rate, Momentum: 0.9, Seed: cfg.Seed,
		Progress: func(p nn.Progress) { bar.Set(1000*p.Step/p.Steps, cfg.Note(p)) },
	})
	if err != nil {
		return nil, err
	}
	return network, nil
}
