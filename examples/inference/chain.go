package main

import (
	"context"
	"errors"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

// objective is within what a caller wants its answer: its deadline.
const objective = 200 * time.Millisecond

// request is an image, of a tenant's customer.
type request struct {
	tenant string
	writer int64 // who wrote the digit
	image  mnist.Image
}

// answer is what the digits' network says of an image.
type answer struct {
	digit      int
	confidence float32
	version    string
}

// read is an answer about a digit that a writer wrote: what the second model judges.
type read struct {
	writer int64
	answer answer
}

// reply is what a caller gets.
type reply struct {
	answer
	review bool // somebody should look at it
}

// key is what an answer depends on. While a new version takes over, neither gets the answers of the other.
type key struct {
	version string
	pixels  uint64
}

// What the registry holds are models of batches.
type (
	registry = rollout.Registry[[]request, []answer]
	source   = rollout.Source[[]request, []answer]
	loaded   = rollout.Model[[]request, []answer]
)

// chain is the layers, from the outside in. The sessions are inside of the versions.
type chain struct {
	settings settings
	reviews  *reviews
	cache    *cache.Keyed[key, request, answer]
	limiter  *limiter.Keyed[string, request, answer]
	bulkhead *bulkhead.Bulkhead[request, answer]
	breaker  *breaker.Breaker[request, answer]
	batcher  *batching.Batcher[request, answer]
	champion *rollout.Alias[[]request, []answer]
	versions *registry
}

// read answers what digit it is.
func (c *chain) read(ctx context.Context, r request) (answer, error) {
	if c.settings.uncached {
		return c.limiter.Do(ctx, r)
	}
	return c.cache.Do(ctx, r)
}

func (c *chain) keyOf(r request) key { return key{c.champion.ID().Version, cache.HashBytes(r.image)} }

func namespaceOf(k key) cache.Namespace { return cache.Namespace{Model: modelName, Version: k.version} }

func sameImage(a, b request) bool { return string(a.image) == string(b.image) }

func tenantOf(r request) string { return r.tenant }

// deploy makes a version the champion, while requests go on, and drops what the cache has of the last.
func (c *chain) deploy(ctx context.Context, m *model) error {
	id := rollout.ID{Model: modelName, Version: m.version}
	source := version(m)
	if c.settings.unpooled {
		source.Load = func(context.Context) (loaded, error) { return loaded{Do: m.classifyOnce}, nil }
	}
	if err := c.versions.Register(id, source, "trained when the program began"); err != nil {
		return err
	}
	old, err := c.versions.Deploy(ctx, c.champion.Name(), id, "it is better")
	if err != nil || old == (rollout.ID{}) {
		return err
	}
	return c.cache.Invalidate(cache.Namespace{Model: old.Model, Version: old.Version})
}

// close ends what owns goroutines, from the outside in.
func (c *chain) close() error {
	err := errors.Join(c.cache.Close(), c.batcher.Close())
	return errors.Join(err, c.versions.Shutdown(context.Background()))
}
