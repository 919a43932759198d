package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/scalable-ai/patterns/ensemble"
	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/term"
)

// showCascade asks the softmax regression first, and the big network only if that is not sure enough.
func showCascade(ctx context.Context, o options, s *sets, m *models, w io.Writer) error {
	heading(w, "Cascade: the softmax regression, and the big network if it is not sure")
	calibrator, err := calibrate(ctx, o, s.calibrate, m.softmax)
	if err != nil {
		return err
	}
	confidence := func(p []float64) float64 { return calibrator.Calibrate(ensemble.MaxProbability(p)) }
	if err := showCalibration(ctx, o, s.test, m.softmax, confidence, w); err != nil {
		return err
	}

	samples, err := thresholdSamples(ctx, o, s.threshold, m, confidence)
	if err != nil {
		return err
	}
	right := 0
	for _, sample := range samples {
		if sample.Correct[1] {
			right++
		}
	}
	costs := []float64{float64(m.softmax.Parameters()) / 1000, float64(m.big.Parameters()) / 1000}
	target := float64(right)/float64(len(samples)) - o.loss
	fit, err := ensemble.FitThresholds(samples, ensemble.ThresholdConfig{TargetAccuracy: target, Costs: costs, Seed: o.seed})
	if err != nil { // too few samples, or a target that is too near to what is possible: no reason to stop
		_, _ = fmt.Fprintf(w, "no cascade: %v\n", err)
		return nil
	}
	_, _ = fmt.Fprintf(w, "accuracy asked for: %s, %s less than the big network's on the images for thresholds\n\n", percent(target, 1), percent(o.loss, 1))
	_, _ = fmt.Fprintf(w, "The half of these images that was held out (cost: thousands of parameters used)\n\n%v\n", fit.HeldOut)
	c, err := newCascade(m, confidence, fit.Thresholds[0])
	if err != nil {
		return err
	}
	return showSaving(ctx, s.test, m.big, c, w)
}

// calibrate makes the largest probability of a model the share of such answers that are right.
func calibrate(ctx context.Context, o options, set *mnist.Set, m model) (ensemble.Calibrator, error) {
	said, err := outputs(ctx, o.callers, m, set)
	if err != nil {
		return nil, err
	}
	scores, correct := make([]float64, len(said)), make([]bool, len(said))
	for i, p := range said {
		scores[i], correct[i] = ensemble.MaxProbability(p), digit(p) == set.Class(i)
	}
	return ensemble.FitIsotonic(scores, correct)
}

func showCalibration(ctx context.Context, o options, set *mnist.Set, m model, confidence func([]float64) float64, w io.Writer) error {
	said, err := outputs(ctx, o.callers, m, set)
	if err != nil {
		return err
	}
	raw, calibrated, correct := make([]float64, len(said)), make([]float64, len(said)), make([]bool, len(said))
	for i, p := range said {
		raw[i], calibrated[i], correct[i] = ensemble.MaxProbability(p), confidence(p), digit(p) == set.Class(i)
	}
	rows := [][]string{{"softmax regression", "says on average", "is right", "calibration error"}}
	for _, c := range []struct {
		name   string
		values []float64
	}{{"largest probability", raw}, {"calibrated", calibrated}} {
		r, err := ensemble.EvaluateCalibration(c.values, correct, 0)
		if err != nil {
			return err
		}
		rows = append(rows, []string{c.name, percent(r.Confidence, 1), percent(r.Accuracy, 1), percent(r.ECE, 1)})
	}
	_, _ = fmt.Fprintln(w, term.Table(rows))
	return nil
}

// thresholdSamples has both models answer all images.
func thresholdSamples(ctx context.Context, o options, set *mnist.Set, m *models, confidence func([]float64) float64) ([]ensemble.ThresholdSample, error) {
	first, err := outputs(ctx, o.callers, m.softmax, set)
	if err != nil {
		return nil, err
	}
	second, err := outputs(ctx, o.callers, m.big, set)
	if err != nil {
		return nil, err
	}
	samples := make([]ensemble.ThresholdSample, set.Len())
	for i := range samples {
		samples[i] = ensemble.ThresholdSample{
			Confidence: []float64{confidence(first[i]), ensemble.MaxProbability(second[i])},
			Correct:    []bool{digit(first[i]) == set.Class(i), digit(second[i]) == set.Class(i)},
		}
	}
	return samples, nil
}

func newCascade(m *models, confidence func([]float64) float64, threshold float64) (*ensemble.Cascade[mnist.Image, []float64], error) {
	return ensemble.NewCascade([]ensemble.Stage[mnist.Image, []float64]{
		{Name: "softmax regression", Do: do(m.softmax), Threshold: threshold, Confidence: confidence},
		{Name: "big network", Do: do(m.big)},
	}, ensemble.CascadeConfig{})
}

// showSaving asks the big network and the cascade in turn, so that whatever else the machine does hits both.
func showSaving(ctx context.Context, set *mnist.Set, big model, c *ensemble.Cascade[mnist.Image, []float64], w io.Writer) error {
	asked := 0
	ways := []struct {
		do    func(context.Context, mnist.Image) ([]float64, error)
		right int
		took  time.Duration
	}{{do: do(big)}, {do: c.Do}}
	for ; asked < set.Len() && ctx.Err() == nil; asked++ {
		for i := range ways {
			way := &ways[(asked+i)%2]
			began := time.Now()
			p, err := way.do(ctx, set.Images[asked])
			way.took += time.Since(began)
			if err != nil {
				return err
			}
			if digit(p) == set.Class(asked) {
				way.right++
			}
		}
	}
	if asked > 0 {
		big, cascade := ways[0], ways[1]
		escalated := c.Stats().Stages[0].Escalated
		mean := func(d time.Duration) string { return micros(d / time.Duration(asked)) }
		_, _ = fmt.Fprintf(w, "The test images\n\n%s", term.Table([][]string{
			{"", "always the big network", "cascade"},
			{"accuracy", percent(big.right, asked), percent(cascade.right, asked)},
			{"asked the big network", percent(asked, asked), percent(int(escalated), asked)},
			{"time for an image", mean(big.took), mean(cascade.took)},
			{"time saved", "", percent(float64(big.took-cascade.took), float64(big.took))},
		}))
	}
	return context.Cause(ctx)
}
