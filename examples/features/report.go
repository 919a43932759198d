package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
	fs "github.com/scalable-ai/patterns/featurestore"
)

// report is what the run has shown, in at most 80 columns.
func report(o options, h *history) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "users %d, items %d; requests %d of 1 user and %d items, callers %d\n\n",
		o.users, o.items, o.requests, o.candidates, o.callers)
	b.WriteString(stores(h))
	shown := ""
	for _, r := range h.runs {
		if r.ingested == nil || r.served == nil {
			continue // a cache: what the store before it found
		}
		if v := views(&r.served.stats); v != shown { // stores in memory are alike
			_, _ = fmt.Fprintf(&b, "\nWhat the requests found in %s\n\n%s", r.name, v)
			shown = v
		}
	}
	if first := h.runs[0].served; first != nil {
		_, _ = fmt.Fprintf(&b, "\nOf the matrices' cells %s had no value; a default or a mean is in them.\n", percent(first.absent, first.cells))
	}
	if h.picks != nil {
		_, _ = fmt.Fprintf(&b, "\nThe scores and the clicks (of %s of the items)\n\n%s", percentOf(h.clickRate), qualities(h))
		_, _ = fmt.Fprintf(&b, "\nThe best for user %d, whose budget is %.2f\n\n%s", h.request.user, h.request.budget, picks(h.picks))
	}
	return b.String()
}

// stores has a column for each store.
func stores(h *history) string {
	type line struct {
		label string
		cell  func(*storeRun) string
	}
	in := func(f func(*ingested) string) func(*storeRun) string {
		return func(r *storeRun) string {
			if r.ingested == nil {
				return ""
			}
			return f(r.ingested)
		}
	}
	out := func(f func(*served) string) func(*storeRun) string {
		return func(r *storeRun) string {
			if r.served == nil {
				return ""
			}
			return f(r.served)
		}
	}
	lines := []line{
		{"", func(r *storeRun) string { return r.name }},
		{"rows sent", in(func(i *ingested) string { return fmt.Sprint(i.sent) })},
		{"  a second time", in(func(i *ingested) string { return fmt.Sprint(i.copies) })},
		{"  out of order", in(func(i *ingested) string { return fmt.Sprint(i.order) })},
		{"  late", in(func(i *ingested) string { return fmt.Sprint(i.late) })},
		{"written", in(func(i *ingested) string { return fmt.Sprint(i.written) })},
		{"stale", in(func(i *ingested) string { return fmt.Sprint(i.stale) })},
		{"superseded in their batch", in(func(i *ingested) string { return fmt.Sprint(i.superseded) })},
		{"rows per second", in(func(i *ingested) string { return rate(i.sent, i.took) })},
		{"rows verified", func(r *storeRun) string {
			if r.verified == 0 {
				return ""
			}
			return fmt.Sprint(r.verified)
		}},
		{"requests answered", out(func(s *served) string { return fmt.Sprint(s.requests) })},
		{"requests per second", out(func(s *served) string { return rate(s.requests, s.took) })},
		{"latency, median", out(func(s *served) string { return duration(stats.Percentile(s.latencies, 50)) })},
		{"latency, 99th percentile", out(func(s *served) string { return duration(stats.Percentile(s.latencies, 99)) })},
	}
	if last := h.runs[len(h.runs)-1]; last.hitRate > 0 {
		lines = append(lines, line{"items from the cache", func(r *storeRun) string {
			if r.hitRate == 0 {
				return ""
			}
			return percentOf(r.hitRate)
		}})
	}
	var rows [][]string
	for _, l := range lines {
		row := []string{l.label}
		for i := range h.runs {
			row = append(row, l.cell(&h.runs[i]))
		}
		rows = append(rows, row)
	}
	return term.Table(rows)
}

// views says for each view what its rows were like.
func views(s *fs.Stats) string {
	rows := [][]string{{"view", "rows", "missing", "expired", "nulls", "mean age", "oldest"}}
	for _, name := range viewNames {
		v := s.Views[name]
		all := int(v.Present + v.Missing + v.Expired + v.Unavailable)
		rows = append(rows, []string{
			name, fmt.Sprint(all), percent(int(v.Missing), all), percent(int(v.Expired), all), percent(int(v.Nulls), all),
			hours(v.MeanAge()), hours(v.MaxAge),
		})
	}
	return term.Table(rows)
}

func qualities(h *history) string {
	rows := [][]string{{"", "AUC", "log loss"}}
	for _, line := range []struct {
		name string
		q    quality
	}{{"served scores", h.served}, {"the generator's own chances", h.best}, {"the same for all", h.base}} {
		auc := "-"
		if !math.IsNaN(line.q.auc) {
			auc = fmt.Sprintf("%.3f", line.q.auc)
		}
		rows = append(rows, []string{line.name, auc, fmt.Sprintf("%.4f", line.q.logLoss)})
	}
	return term.Table(rows)
}

func picks(list []pick) string {
	rows := [][]string{{"item", "score", "chance", "category", "price", "clicks", "counted"}}
	for _, p := range list {
		price := fmt.Sprintf("%.2f", p.features.Price)
		if p.features.PriceStatus != fs.Present {
			price = p.features.PriceStatus.String()
		}
		clicks, counted := p.features.StatsStatus.String(), ""
		if p.features.StatsStatus == fs.Present {
			clicks = fmt.Sprintf("%d of %d", p.features.Clicks, p.features.Impressions)
			counted = hours(p.read.Sub(p.features.StatsAt)) + " ago"
		}
		rows = append(rows, []string{fmt.Sprint(p.item), fmt.Sprintf("%.3f", p.score), fmt.Sprintf("%.3f", p.chance), p.features.Category, price, clicks, counted})
	}
	return term.Table(rows)
}

func rate(n int, took time.Duration) string {
	return fmt.Sprintf("%.0f", float64(n)/max(took.Seconds(), 1e-9))
}

func duration(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }

func hours(d time.Duration) string { return fmt.Sprintf("%.1f h", d.Hours()) }

func percent(part, all int) string { return percentOf(float64(part) / max(float64(all), 1)) }

func percentOf(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
