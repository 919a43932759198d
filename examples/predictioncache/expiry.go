package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/term"
	"github.com/scalable-ai/patterns/examples/internal/wait"
)

// How often an answer expires, and how long it lives.
const (
	expiries = 10
	lifetime = 30 * time.Millisecond
)

// showExpiry has all callers ask for one image when its answer has just expired: without a cache, with one, and with one that serves the
// old answer while it fetches the new.
func showExpiry(ctx context.Context, o options, models map[string]*model, set *mnist.Set, w io.Writer) error {
	rows := [][]string{{"", "images that the model got", "latency, median", "latency, worst"}}
	for _, way := range []struct {
		name   string
		cached bool
		cfg    cache.Config
	}{
		{"no cache", false, cache.Config{}},
		{"cache", true, cache.Config{TTL: lifetime}},
		{"cache, stale while revalidate", true, cache.Config{TTL: lifetime, StaleWhileRevalidate: time.Minute}},
	} {
		m, images, err := expire(ctx, o, models, set, way.cached, way.cfg)
		if err != nil {
			return err
		}
		rows = append(rows, []string{way.name, fmt.Sprintf("%.1f", images), micros(m.median()), micros(m.worst())})
	}
	_, _ = fmt.Fprintf(w, "%d callers at once ask for an image whose answer has expired; mean of %d times\n\n%s\n", o.callers, expiries, term.Table(rows))
	return nil
}

// expire returns how the callers fared at all expiries, and how many images the model got at each.
func expire(ctx context.Context, o options, models map[string]*model, set *mnist.Set, cached bool, cfg cache.Config) (*measured, float64, error) {
	c, err := newChain(models, cfg)
	if err != nil {
		return nil, 0, err
	}
	defer c.close()
	do := c.batcher.Do
	if cached {
		do = c.cache.Do
	}
	second := func(int) string { return "2" }
	if _, err := do(ctx, request{"2", set.Images[0]}); err != nil {
		return nil, 0, err
	}
	all := &measured{}
	before := models["2"].images.Load()
	for range expiries {
		if err := wait.For(ctx, lifetime+lifetime/3); err != nil {
			return nil, 0, err
		}
		m, err := make(traffic, o.callers).serve(ctx, o.callers, set, second, do)
		if err != nil {
			return nil, 0, err
		}
		all.latencies = append(all.latencies, m.latencies...)
		for c.cache.Stats().Loading > 0 { // a refresh
			if err := wait.For(ctx, time.Millisecond); err != nil {
				return nil, 0, err
			}
		}
	}
	slices.Sort(all.latencies)
	return all, float64(models["2"].images.Load()-before) / expiries, nil
}
