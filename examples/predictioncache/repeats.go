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

func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1e3) }

func percent(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*part/whole)
}

// showRepeats serves the same requests with the cache and without.
func showRepeats(ctx context.Context, o options, models map[string]*model, set *mnist.Set, w io.Writer) error {
	c, err := newChain(models, cache.Config{Size: o.size})
	if err != nil {
		return err
	}
	defer c.close()
	t := zipfTraffic(o, set.Len())
	m := models["2"]
	version := func(int) string { return "2" }

	images, busy := m.images.Load(), m.busy.Load()
	without, err := t.serve(ctx, o.callers, set, version, c.batcher.Do)
	if err != nil {
		return err
	}
	imagesWithout, busyWithout := m.images.Load()-images, time.Duration(m.busy.Load()-busy)
	images, busy = m.images.Load(), m.busy.Load()
	with, err := t.serve(ctx, o.callers, set, version, c.cache.Do)
	if err != nil {
		return err
	}
	imagesWith, busyWith := m.images.Load()-images, time.Duration(m.busy.Load()-busy)
	s := c.cache.Stats()
	_, _ = fmt.Fprintf(w, "Repeated requests\n\n%s\n", term.Table([][]string{
		{"", "batcher", "cache, batcher"},
		{"requests per second", rate(len(t), without.elapsed), rate(len(t), with.elapsed)},
		{"latency, median", micros(without.median()), micros(with.median())},
		{"latency, 99th percentile", micros(without.p99()), micros(with.p99())},
		{"accuracy", percent(float64(without.correct), float64(len(t))), percent(float64(with.correct), float64(len(t)))},
		{"images that the model got", fmt.Sprint(imagesWithout), fmt.Sprint(imagesWith)},
		{"time that the model worked", busyWithout.Round(time.Millisecond).String(), busyWith.Round(time.Millisecond).String()},
		{"hit rate", "", percent(s.HitRate(), 1)},
		{"waited for another's load", "", fmt.Sprint(s.Coalesced)},
		{"latency saved, all callers", "", s.Saved.Round(time.Millisecond).String()},
	}))
	_, _ = fmt.Fprintf(w, "The cache saved %s of the model's work.\n\n", percent(float64(busyWithout-busyWith), float64(busyWithout)))
	return nil
}

func rate(n int, elapsed time.Duration) string {
	return fmt.Sprintf("%.0f", float64(n)/max(elapsed.Seconds(), 1e-9))
}
