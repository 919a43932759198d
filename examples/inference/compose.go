package main

import (
	"context"
	"errors"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/pool/session"
)

// compose puts the layers around each other, from the inside out. Each takes the Do of the one before as its next.
func compose(s settings, versions *registry, reviews *reviews) (c *chain, err error) {
	c = &chain{settings: s, versions: versions, reviews: reviews}
	c.champion = versions.Alias("champion") // whichever version that is, with its pool of sessions
	if c.batcher, err = batching.New(c.champion.Do, s.batcher); err != nil {
		return nil, err
	}
	if c.breaker, err = breaker.New(c.batcher.Do, s.breaker); err != nil {
		return nil, err
	}
	if c.bulkhead, err = bulkhead.New(c.breaker.Do, s.bulkhead); err != nil {
		return nil, err
	}
	if c.limiter, err = limiter.NewKeyed(tenantOf, c.bulkhead.Do, s.limiter); err != nil {
		return nil, err
	}
	c.cache, err = cache.NewKeyed(c.keyOf, c.limiter.Do, s.cache, cache.WithEqual(sameImage), cache.WithNamespace(namespaceOf))
	return c, err
}

// Do answers a request: what the digit is, from the chain, and whether somebody should look at that, by a second model with the features of who wrote
// it from the store. The second is outside of the cache: a writer's features change, what is on an image does not.
func (c *chain) Do(ctx context.Context, r request) (reply, error) {
	digit, err := c.read(ctx, r)
	if err != nil {
		return reply{}, err
	}
	return c.reviews.Do(ctx, read{r.writer, digit})
}

// version is one of the model, for the registry: the network behind a pool of sessions on the device.
func version(m *model) source {
	return source{
		Load: func(ctx context.Context) (loaded, error) {
			pool, err := session.New(m.open, m.close, m.classify, session.Config{Min: sessions, MaxOpening: sessions})
			if err != nil {
				return loaded{}, err
			}
			if err := pool.Ready(ctx); err != nil {
				return loaded{}, errors.Join(err, pool.Close())
			}
			return loaded{Do: pool.Do, Close: pool.Close}, nil
		},
		Warm: func(ctx context.Context, do rollout.Func[[]request, []answer]) error {
			_, err := do(ctx, make([]request, maxBatch)) // blank images
			return err
		},
	}
}
