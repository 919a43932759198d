package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/training"
)

const (
	writers = 200 // whose digits are read

	hidden     = 96 // width of the network's hidden layer
	oldEpochs  = 1  // that version 1 has learnt
	newEpochs  = 4  // and version 2
	historyLen = 10_000
)

// world is what all runs have in common.
type world struct {
	old, new *nn.Network
	images   []mnist.Image // that users ask for, some of them often
	labels   []uint8       // what they show
	archive  []mnist.Image // that the importer sends, each once
	reviews  *reviews
}

// writerOf says who wrote an image.
func writerOf(image int) int64 { return int64(image % writers) }

// newWorld loads the images and trains the models. The images for training are divided: those to learn from, the history, on which the second model
// learns when the first is wrong, and the importer's archive. Users send the test images.
func newWorld(ctx context.Context, o options, stderr io.Writer) (*world, error) {
	train, test, err := mnist.Open(ctx, o.data)
	if err != nil {
		return nil, err
	}
	if least := o.train + writers; train.Len() < least {
		return nil, fmt.Errorf("there are %d images to learn from, -train %d needs %d: lower it", train.Len(), o.train, least)
	}
	learn, rest := split(train, o.train)
	history, archive := split(rest, min(historyLen, rest.Len()/2))
	w := &world{images: scrawl(test.Images, o.seed), labels: test.Labels, archive: scrawl(archive.Images, o.seed+1)}
	if w.old, err = trainNetwork(ctx, o, learn, stderr, "version 1", oldEpochs); err != nil {
		return nil, err
	}
	if w.new, err = trainNetwork(ctx, o, learn, stderr, "version 2", newEpochs); err != nil {
		return nil, err
	}
	history.Images = scrawl(history.Images, o.seed+2)
	confidences, wrong := examine(w.old, history)
	if w.reviews, err = newReviews(ctx, confidences, wrong); err != nil {
		return nil, fmt.Errorf("the second model: %w", err)
	}
	return w, nil
}

func split(s *mnist.Set, at int) (first, rest *mnist.Set) {
	return &mnist.Set{Images: s.Images[:at], Labels: s.Labels[:at]}, &mnist.Set{Images: s.Images[at:], Labels: s.Labels[at:]}
}

// scrawl returns the images as their writers write: some are careful, some leave up to a fifth of the paper in stains.
func scrawl(images []mnist.Image, seed uint64) []mnist.Image {
	random := rand.New(rand.NewPCG(seed, 3))
	scrawled := make([]mnist.Image, len(images))
	for i, image := range images {
		carelessness := float64(writerOf(i)) / writers
		stains := int(0.2 * carelessness * carelessness * carelessness * mnist.Pixels)
		scrawled[i] = append(mnist.Image(nil), image...)
		for range stains {
			scrawled[i][random.IntN(len(image))] = byte(random.IntN(256))
		}
	}
	return scrawled
}

func trainNetwork(ctx context.Context, o options, set *mnist.Set, w io.Writer, name string, epochs int) (*nn.Network, error) {
	network, err := training.Run(ctx, w, set, training.Config{
		Name: "training " + name, Hidden: []int{hidden}, Epochs: epochs, Seed: o.seed,
	})
	if err != nil {
		return nil, fmt.Errorf("training %s: %w", name, err)
	}
	return network, nil
}
