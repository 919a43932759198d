package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// showRollout sends a tenth of the callers to version 2 while version 1 serves the others, then all, and then drops what version 1 has
// left in the cache.
func showRollout(ctx context.Context, o options, models map[string]*model, set *mnist.Set, w io.Writer) error {
	c, err := newChain(models, cache.Config{Size: o.size})
	if err != nil {
		return err
	}
	defer c.close()
	t := zipfTraffic(o, set.Len())
	rows := [][]string{{"", "hit rate", "accuracy", "entries"}}
	var last cache.Stats
	for _, stage := range []struct {
		name    string
		version func(i int) string
	}{
		{"version 1 for all", func(int) string { return "1" }},
		{"version 2 for one in ten", func(i int) string {
			if i%10 == 0 {
				return "2"
			}
			return "1"
		}},
		{"version 2 for all", func(int) string { return "2" }},
	} {
		m, err := t.serve(ctx, o.callers, set, stage.version, c.cache.Do)
		if err != nil {
			return err
		}
		s := c.cache.Stats()
		requests := s.Requests() - last.Requests()
		hits := s.Hits - last.Hits
		last = s
		rows = append(rows, []string{stage.name, percent(float64(hits), float64(requests)), percent(float64(m.correct), float64(len(t))), fmt.Sprint(s.Entries)})
	}
	began := time.Now()
	if err := c.cache.Invalidate(namespaceOf(key{version: "1"})); err != nil {
		return err
	}
	took := time.Since(began)
	if err := c.cache.Shutdown(ctx); err != nil { // waits for the sweep
		return err
	}
	rows = append(rows, []string{"version 1 invalidated", "", "", fmt.Sprint(c.cache.Stats().Entries)})
	_, _ = fmt.Fprintf(w, "A new version of the model\n\n%s\nInvalidating version 1 took %v.\n", term.Table(rows), took)
	return nil
}
