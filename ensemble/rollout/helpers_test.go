package rollout_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func v(n int) rollout.ID { return rollout.ID{Model: "m", Version: strconv.Itoa(n)} }

func source(do rollout.Func[int, int]) rollout.Source[int, int] {
	return rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
		return rollout.Model[int, int]{Do: do}, nil
	}}
}

// locked is the naive way: a read lock around each request.
type locked struct {
	mu    sync.RWMutex
	model rollout.Func[int, int]
}

func (l *locked) Do(ctx context.Context, n int) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.model(ctx, n)
}

// counted has one counter for all.
type counted struct {
	n     atomic.Int64
	model rollout.Func[int, int]
}

func (c *counted) Do(ctx context.Context, n int) (int, error) {
	c.n.Add(1)
	defer c.n.Add(-1)
	return c.model(ctx, n)
}
