package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

// maxBatch is the largest batch that a model takes.
const maxBatch = 64

// request is an image for a version of the model. Its key is what the answer depends on: the version and the pixels.
type request struct {
	version string
	image   mnist.Image
}

type key struct {
	version string
	pixels  uint64
}

func keyOf(r request) key { return key{r.version, cache.HashBytes(r.image)} }

func namespaceOf(k key) cache.Namespace { return cache.Namespace{Model: "digits", Version: k.version} }

func sameRequest(a, b request) bool {
	return a.version == b.version && string(a.image) == string(b.image)
}

// model runs a network for as many batches at a time as it has workspaces.
type model struct {
	network  *nn.Network
	idle     chan *nn.Workspace
	overhead time.Duration
	images   atomic.Int64 // that it has answered
	busy     atomic.Int64 // nanoseconds that it has worked
}

func newModel(network *nn.Network, o options) *model {
	m := &model{network: network, idle: make(chan *nn.Workspace, slots()), overhead: o.overhead}
	for range slots() {
		m.idle <- network.NewWorkspace(maxBatch)
	}
	return m
}

// classify returns the digits that the images show.
func (m *model) classify(ctx context.Context, images []request) ([]int, error) {
	var work *nn.Workspace
	select {
	case work = <-m.idle:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { m.idle <- work }()
	began := time.Now()
	defer func() {
		m.images.Add(int64(len(images)))
		m.busy.Add(int64(time.Since(began)))
	}()
	if err := wait.For(ctx, m.overhead); err != nil { // the way to the machine with the model, and back
		return nil, err
	}
	for i, r := range images {
		r.image.Input(work.Input(i))
	}
	digits := make([]int, len(images))
	m.network.Classify(work, digits)
	return digits, nil
}

// chain is what stands before the models: a cache, before a batcher with a queue for each version.
type chain struct {
	batcher *batching.Keyed[string, request, int]
	cache   *cache.Keyed[key, request, int]
}

func newChain(models map[string]*model, cfg cache.Config) (*chain, error) {
	batcher, err := batching.NewKeyed(func(r request) string { return r.version },
		func(ctx context.Context, version string, reqs []request) ([]int, error) {
			return models[version].classify(ctx, reqs)
		}, batching.Config{MaxSize: maxBatch, Concurrency: slots()})
	if err != nil {
		return nil, err
	}
	answers, err := cache.NewKeyed(keyOf, batcher.Do, cfg, cache.WithNamespace(namespaceOf), cache.WithEqual(sameRequest))
	if err != nil {
		_ = batcher.Close()
		return nil, err
	}
	return &chain{batcher, answers}, nil
}

func (c *chain) close() {
	_ = c.cache.Close() // first: its loads wait for the batcher
	_ = c.batcher.Close()
}
