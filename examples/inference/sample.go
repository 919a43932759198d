package main

import (
	"context"
	"time"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

// width is the number of columns that a run is drawn in.
const width = 8 * phases

// column is what happened in a part of a run.
type column struct {
	results  [results]int64 // requests that ended
	made     int64
	inFlight int64
	batch    float64 // mean size, 0: there was none
	hitRate  float64 // of the cache, 0 to 1
	state    breaker.State
	version  string // the champion
}

func (c column) rejected() (n int64) {
	for r := limited; r < results; r++ {
		n += c.results[r]
	}
	return n
}

// sample looks at the chain after each column of time.
func (t *trial) sample(ctx context.Context, c *chain, show func(*trial)) {
	var (
		counts  [results]int64
		made    int64
		batches batching.Stats
		cached  cache.Stats
	)
	most := 0
	for i := range width {
		end := t.start.Add(t.plan.total() * time.Duration(i+1) / width)
		for peek := time.Now(); peek.Before(end); peek = peek.Add(5 * time.Millisecond) { // the most in flight would be missed otherwise
			if !wait.Until(ctx, peek) {
				return
			}
			most = max(most, int(t.live.inFlight.Load()))
		}
		if !wait.Until(ctx, end) {
			return
		}
		now := column{inFlight: t.live.inFlight.Load(), made: t.made.Load() - made, state: c.breaker.State(), version: c.champion.ID().Version}
		made += now.made
		after := t.live.counts()
		for r := range counts {
			now.results[r] = after[r] - counts[r]
		}
		counts = after
		b := c.batcher.Stats()
		now.batch = ratio(b.Items-batches.Items, b.Batches-batches.Batches)
		batches = b
		s := c.cache.Stats()
		now.hitRate = ratio(s.Hits-cached.Hits, s.Requests()-cached.Requests())
		cached = s
		t.mu.Lock()
		t.columns = append(t.columns, now)
		t.mostOpen = most
		t.mu.Unlock()
		show(t)
	}
}

func ratio(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
