package main

import (
	"context"
	"fmt"
	"io"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

// sets are the images, each of which is in one set only.
type sets struct {
	train     *mnist.Set // the models learn from it
	calibrate *mnist.Set // calibrators and the stacking are fitted to it
	threshold *mnist.Set // thresholds and the limit of the gates are chosen by it
	test      *mnist.Set // all that is printed is counted on it, unless it says otherwise; requests are of it
}

// split takes a sixth of the images to learn from for what comes after training.
func split(learn, test *mnist.Set) (*sets, error) {
	n := learn.Len()
	if n < 120 || test.Len() < 1 {
		return nil, fmt.Errorf("%d images to learn from and %d to test: at least 120 and 1 are needed", n, test.Len())
	}
	return &sets{part(learn, 0, n-n/6), part(learn, n-n/6, n-n/12), part(learn, n-n/12, n), test}, nil
}

func part(set *mnist.Set, from, to int) *mnist.Set {
	return &mnist.Set{Images: set.Images[from:to], Labels: set.Labels[from:to]}
}

// models are all that were trained.
type models struct {
	softmax, small, big *network
	nearest             *nearest
	worse               *network // like small, but it has seen few images
}

// How many images the nearest neighbour knows, and how many it asks.
const (
	knownImages = 2000
	neighbours  = 3
)

func train(ctx context.Context, o options, s *sets, w io.Writer) (*models, error) {
	few := part(s.train, 0, min(o.worse, s.train.Len()))
	m := &models{nearest: newNearest(neighbours, part(s.train, 0, min(knownImages, s.train.Len())))}
	for _, t := range []struct {
		name   string
		to     **network
		set    *mnist.Set
		epochs int
		rate   float32
		hidden []int
	}{
		{"softmax regression", &m.softmax, s.train, o.epochs, 0.05, nil},
		{"small network", &m.small, s.train, o.epochs, 0.1, []int{32}},
		{"big network", &m.big, s.train, o.epochs, 0.1, []int{o.hidden}},
		{"worse network", &m.worse, few, 20, 0.1, []int{32}},
	} {
		n, err := training.Run(ctx, w, t.set, training.Config{
			Name: "training " + t.name, Hidden: t.hidden, Epochs: t.epochs, Rate: t.rate, Seed: o.seed,
		})
		if err != nil {
			return nil, fmt.Errorf("training %s: %w", t.name, err)
		}
		*t.to = newNetwork(n)
	}
	return m, nil
}
