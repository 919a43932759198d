package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/cache"
)

type (
	Image struct {
		tenant string
		shade  float32
	}
	Label string
)

// predictBatch is the model.
func predictBatch(_ context.Context, images []Image) ([]Label, error) {
	labels := make([]Label, len(images))
	for i, image := range images {
		labels[i] = "dark"
		if image.shade > 0.5 {
			labels[i] = "bright"
		}
	}
	return labels, nil
}

func tenantOf(image Image) string { return image.tenant }

func hashOf(image Image) uint64 { return cache.HashFloats([]float32{image.shade}) }

func quickStart(ctx context.Context, image Image) error {
	batcher, err := batching.New(predictBatch, batching.Config{MaxSize: 64})
	if err != nil {
		return err
	}
	defer batcher.Close()

	// From any number of goroutines: one request, one answer.
	label, err := batcher.Do(ctx, image)
	fmt.Println(label)
	return err
}

func composed(ctx context.Context, image Image) error {
	batcher, err1 := batching.New(predictBatch, batching.Config{Policy: batching.Deadline(100 * time.Millisecond)})
	guard, err2 := breaker.New(batcher.Do, breaker.Config{SlowAfter: 80 * time.Millisecond})
	bounded, err3 := bulkhead.New(guard.Do, bulkhead.Config{Capacity: 256})
	limited, err4 := limiter.NewKeyed(tenantOf, bounded.Do, limiter.KeyedConfig{Each: limiter.Config{Requests: limiter.PerSecond(100)}})
	cached, err5 := cache.NewKeyed(hashOf, limited.Do, cache.Config{Size: 100_000, TTL: time.Minute})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	defer batcher.Close()
	defer cached.Close()

	label, err := cached.Do(ctx, image)
	fmt.Println(label)
	return err
}

// A chain of patterns is a function like the model that it ends in.
func Example() {
	ctx := context.Background()
	fmt.Println(quickStart(ctx, Image{shade: 0.1}))
	fmt.Println(composed(ctx, Image{"acme", 0.9}))
	// Output:
	// dark
	// <nil>
	// bright
	// <nil>
}
