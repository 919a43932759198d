package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/ensemble"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/stats"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// partialImages is how many images are asked for when a member hangs.
const partialImages = 400

// showPartial has the first member, the best, hang, and says what comes of it under each policy.
func showPartial(ctx context.Context, o options, s *sets, m *models, w io.Writer) error {
	set := part(s.test, 0, min(partialImages, s.test.Len()))
	rows := [][]string{{"soft vote of three, of which", "answered", "partial", "accuracy", "median", "worst"}}
	defer func() {
		heading(w, "A member hangs: %d images, deadline %v", set.Len(), o.deadline)
		_, _ = io.WriteString(w, term.Table(rows))
	}()
	for _, way := range []struct {
		name  string
		hangs bool
		cfg   ensemble.Config
	}{
		{"none hangs; all by the deadline", false, ensemble.Config{Policy: ensemble.Partial, Deadline: o.deadline}},
		{"one hangs; all are needed", true, ensemble.Config{Policy: ensemble.All, Deadline: o.deadline}},
		{"one hangs; who is there by then", true, ensemble.Config{Policy: ensemble.Partial, Deadline: o.deadline}},
		{"one hangs; the first two", true, ensemble.Config{Policy: ensemble.Quorum, Quorum: 2, Deadline: o.deadline}},
	} {
		p, err := askPartial(ctx, o, set, m, way.hangs, way.cfg)
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			way.name, fmt.Sprint(p.answered.Load()), fmt.Sprint(p.partial.Load()), percent(p.right.Load(), p.answered.Load()),
			millis(stats.Percentile(p.latencies, 50)), millis(stats.Percentile(p.latencies, 100)),
		})
	}
	return nil
}

// partials are counts of answers, and how long they, or the errors, took.
type partials struct {
	answered, partial, right atomic.Int64
	latencies                []time.Duration // ascending
}

func askPartial(ctx context.Context, o options, set *mnist.Set, m *models, hangs bool, cfg ensemble.Config) (*partials, error) {
	members := asMembers(m.members())
	if hangs {
		members[0].Do = func(ctx context.Context, _ mnist.Image) ([]float64, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
	}
	e, err := ensemble.New(members, ensemble.SoftVote[float64](), cfg)
	if err != nil {
		return nil, err
	}
	p := &partials{latencies: make([]time.Duration, set.Len())}
	err = spread(ctx, o.callers, set.Len(), func(ctx context.Context, i int) error {
		began := time.Now()
		a, err := e.Ask(ctx, set.Images[i])
		p.latencies[i] = time.Since(began)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			p.count(a, set.Class(i))
		}
		return nil
	})
	slices.Sort(p.latencies)
	return p, err
}

func (p *partials) count(a ensemble.Answer[int], right int) {
	p.answered.Add(1)
	if a.Partial() {
		p.partial.Add(1)
	}
	if a.Value == right {
		p.right.Add(1)
	}
}

func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1e3) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
