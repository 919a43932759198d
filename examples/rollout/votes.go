package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/scalable-ai/patterns/ensemble"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// member is one of the three that make an ensemble, the best first, for whose vote a tie goes.
type member struct {
	name string
	model
}

func (m *models) members() []member {
	return []member{{"small network", m.small}, {"nearest neighbours", m.nearest}, {"softmax regression", m.softmax}}
}

// asMembers are the members of an ensemble of probabilities.
func asMembers(members []member) []ensemble.Member[mnist.Image, []float64] {
	var all []ensemble.Member[mnist.Image, []float64]
	for _, m := range members {
		all = append(all, ensemble.Member[mnist.Image, []float64]{Name: m.name, Do: do(m)})
	}
	return all
}

// showVotes counts how often each member is right, and what they make of it together.
func showVotes(ctx context.Context, o options, s *sets, m *models, w io.Writer) error {
	rows := [][]string{{"model", "right", "accuracy"}}
	defer func() {
		heading(w, "Together")
		_, _ = io.WriteString(w, term.Table(rows))
	}()
	row := func(name string, right, of int64) {
		rows = append(rows, []string{name, fmt.Sprintf("%d of %d", right, of), percent(right, of)})
	}
	total := int64(s.test.Len())
	for _, one := range append(m.members(), member{"big network", m.big}) {
		right, err := counted(ctx, o.callers, s.test, func(_ context.Context, image mnist.Image) (int, error) {
			return digit(one.probabilities(image)), nil
		})
		if err != nil {
			return err
		}
		row(one.name, right, total)
	}

	majority, err := newMajority(m.members())
	if err != nil {
		return err
	}
	var agreed, rightly, voted atomic.Int64
	err = spread(ctx, o.callers, s.test.Len(), func(ctx context.Context, i int) error {
		a, err := majority.Ask(ctx, s.test.Images[i])
		if err != nil {
			return err
		}
		right := int64(0)
		if a.Value == s.test.Class(i) {
			right = 1
		}
		voted.Add(right)
		if a.Agreement.Share > 0.99 {
			agreed.Add(1)
			rightly.Add(right)
		}
		return nil
	})
	if err != nil {
		return err
	}
	row("majority of the first three", voted.Load(), total)
	row("  where all three agree", rightly.Load(), agreed.Load())
	row("  where they do not", voted.Load()-rightly.Load(), total-agreed.Load())

	soft, err := ensemble.New(asMembers(m.members()), ensemble.SoftVote[float64](), ensemble.Config{})
	if err != nil {
		return err
	}
	right, err := counted(ctx, o.callers, s.test, soft.Do)
	if err != nil {
		return err
	}
	row("soft vote of the three", right, total)

	stacked, err := stack(ctx, o, s, m)
	if err != nil {
		return err
	}
	right, err = counted(ctx, o.callers, s.test, func(ctx context.Context, image mnist.Image) (int, error) {
		p, err := stacked.Do(ctx, image)
		return digit(p), err
	})
	if err != nil {
		return err
	}
	row("stacking of the three", right, total)
	return nil
}

func newMajority(members []member) (*ensemble.Ensemble[mnist.Image, int, int], error) {
	var all []ensemble.Member[mnist.Image, int]
	for _, m := range members {
		all = append(all, ensemble.Member[mnist.Image, int]{Name: m.name, Do: func(_ context.Context, image mnist.Image) (int, error) {
			return digit(m.probabilities(image)), nil
		}})
	}
	return ensemble.New(all, ensemble.MajorityVote[int](), ensemble.Config{})
}

// stack fits a logistic regression to what the members say to images that they have not learnt from.
func stack(ctx context.Context, o options, s *sets, m *models) (*ensemble.Ensemble[mnist.Image, []float64, []float64], error) {
	samples := make([][][]float64, s.calibrate.Len())
	classes := make([]int, len(samples))
	for _, one := range m.members() {
		said, err := outputs(ctx, o.callers, one, s.calibrate)
		if err != nil {
			return nil, err
		}
		for i, p := range said {
			samples[i] = append(samples[i], p)
			classes[i] = s.calibrate.Class(i)
		}
	}
	meta, err := ensemble.FitLogistic(samples, classes, 0)
	if err != nil {
		return nil, err
	}
	return ensemble.New(asMembers(m.members()), ensemble.StackLogistic[float64](meta), ensemble.Config{})
}
