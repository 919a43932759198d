package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// tolerated is by how much more a candidate may be wrong than the champion is on the images for thresholds.
const tolerated = 0.02

// candidate is a new version.
type candidate struct {
	version, what string
	model         model
}

// showRollouts brings two new versions before the small network: in the shadow first, then as a canary.
func showRollouts(ctx context.Context, o options, s *sets, m *models, w io.Writer) (err error) {
	f, err := newFleet(s)
	if err != nil {
		return err
	}
	defer func() {
		f.close(ctx, &err)
		heading(w, "The log: after how many requests, who, what")
		for _, line := range f.log.lines {
			_, _ = io.WriteString(w, line)
		}
		_, _ = fmt.Fprintf(w, "\nrequests on a closed model: %d; models loaded %d, closed %d\n", f.tooLate.Load(), f.loaded.Load(), f.closed.Load())
	}()
	if err := f.register("2", m.small, "small network"); err != nil {
		return err
	}
	if _, err := f.registry.Deploy(ctx, champion, id("2"), "the champion"); err != nil {
		return err
	}
	limit, err := errorRate(ctx, o, s.threshold, m.small)
	if err != nil {
		return err
	}
	limit += tolerated
	for i, c := range []candidate{
		{"3", "a network that has seen few images", m.worse},
		{"4", "the big network", m.big},
	} {
		if err := f.register(c.version, c.model, c.what); err != nil {
			return err
		}
		if _, err := f.registry.Deploy(ctx, challenger, id(c.version), "a candidate"); err != nil {
			return err
		}
		if err := f.try(ctx, c, traffic{o, s.test, uint64(2 + 2*i)}, limit, w); err != nil {
			return err
		}
		if err := f.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// errorRate is of a model on a set.
func errorRate(ctx context.Context, o options, set *mnist.Set, m model) (float64, error) {
	right, err := counted(ctx, o.callers, set, func(_ context.Context, image mnist.Image) (int, error) { return digit(m.probabilities(image)), nil })
	return 1 - float64(right)/float64(set.Len()), err
}

// try shadows a candidate, and then sends users to it.
func (f *fleet) try(ctx context.Context, c candidate, t traffic, limit float64, w io.Writer) error {
	heading(w, "Version %s, %s, instead of version %s", c.version, c.what, f.registry.Alias(champion).ID().Version)
	s, err := f.shadow(ctx, t)
	if s != nil {
		s.report(w)
	}
	if err != nil {
		return err
	}
	t.stream++
	r, err := f.ramp(ctx, t, limit)
	if r != nil {
		r.report(limit, w)
	}
	if err != nil {
		err = fmt.Errorf("canary: %w", err)
	}
	return err
}

func (s *shadowed) report(w io.Writer) {
	_, _ = fmt.Fprintf(w, "In the shadow\n\n%s\n", term.Table([][]string{
		{"requests", fmt.Sprint(s.Calls)},
		{"  errors", fmt.Sprint(s.errors)},
		{"  sampled", fmt.Sprint(s.Sampled)},
		{"  of these, dropped because the shadow was busy", fmt.Sprint(s.Dropped)},
		{"the answer was the champion's", percent(s.Agreed, s.Agreed+s.Differed)},
		{"where it was not, labelled", fmt.Sprint(s.labelled)},
		{"  the champion was right", fmt.Sprint(s.first)},
		{"  the shadow was right", fmt.Sprint(s.second)},
		{"  neither was", fmt.Sprint(s.neither)},
	}))
}

func (r *ramp) report(limit float64, w io.Writer) {
	over, _ := r.over()
	rows := [][]string{{"step", "requests", "time", "to the new", "labelled", "wrong", "errors, wrong"}}
	r.mu.Lock()
	events := r.events
	r.mu.Unlock()
	for i, e := range events {
		if e.Kind != rollout.CanaryStep {
			continue
		}
		st := r.steps[e.Step]
		requests, took := "-", "-"
		if i+1 < len(events) {
			requests = fmt.Sprint(events[i+1].request - e.request)
			took = events[i+1].Time.Sub(e.Time).Round(time.Millisecond).String()
		}
		var verdicts []string
		labelled, mean := uint64(0), "-"
		for _, g := range st.Gates {
			verdicts = append(verdicts, g.Verdict.String())
			if g.Name == wrong {
				labelled = g.Samples
				if labelled > 0 {
					mean = percent(g.Mean, 1)
				}
			}
		}
		rows = append(rows, []string{percent(e.Share, 1), requests, took, fmt.Sprint(st.Samples), fmt.Sprint(labelled), mean, strings.Join(verdicts, ", ")})
	}
	_, _ = fmt.Fprintf(w, "As a canary: at most %s of the answers may be wrong\n\n%s\n", percent(limit, 1), term.Table(rows))
	outcome := fmt.Sprintf("%v at a share of %s", over.Kind, percent(over.Share, 1))
	if over.Kind == rollout.CanaryRolledBack && over.Gate == "" {
		outcome = "not decided, so " + outcome
	}
	_, _ = fmt.Fprint(w, term.Table([][]string{
		{outcome, ""},
		{"  after requests", fmt.Sprint(over.request - r.began.Load())},
		{"answers of the champion", fmt.Sprint(r.counts[0].answers.Load())},
		{"  wrong", percent(r.counts[0].wrong.Load(), r.counts[0].answers.Load())},
		{"answers of the challenger", fmt.Sprint(r.counts[1].answers.Load())},
		{"  wrong", percent(r.counts[1].wrong.Load(), r.counts[1].answers.Load())},
		{"users who saw the challenger", fmt.Sprintf("%d of %d", r.users(), len(r.saw))},
		{"errors", fmt.Sprint(r.errors.Load())},
		{"requests after the end: by version " + r.champion, fmt.Sprint(r.after[0].Load())},
		{"  by version " + r.version, fmt.Sprint(r.after[1].Load())},
	}))
}
