package rollout

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Metric is what a Gate looks at. Each sample of it is a number from 0, good, to 1, bad.
type Metric uint8

// The metrics.
const (
	// Errors: 1 for a request that has failed. See WithFailure.
	Errors Metric = iota

	// Slow: 1 for a request that has taken longer than Gate.SlowAfter.
	Slow

	// Abandoned: 1 for a request that its caller has cancelled before there was an answer. (It is no sample of Errors, and one of Slow only if it had been slow by then.)
	Abandoned

	// Disagreement: 1 if Agreed was told that the challenger's answer is not the champion's. A Shadow can find out, see WithResult.
	Disagreement

	// Observed: what Observe was told.
	Observed

	// Monitor: no samples; Gate.Check is asked in Step.
	Monitor
)

var metricNames = [...]string{"errors", "slow", "abandoned", "disagreement", "observed", "monitor"}

// String is the metric's name in lower case.
func (m Metric) String() string {
	if int(m) < len(metricNames) {
		return metricNames[m]
	}
	return fmt.Sprintf("Metric(%d)", uint8(m))
}

// DefaultMinSamples is the default of Gate.MinSamples.
const DefaultMinSamples = 100

// Gate is a condition that a challenger must meet. At every step of the ramp it starts with no samples and becomes pass, fail or inconclusive: pass if the mean of the metric is surely
// below the limit, fail if it is surely above, by a [MeanTest]. All gates must pass for the ramp to go on; one that fails rolls back.
//
// The limit is Max, or the champion's mean plus Margin. With Margin each sample is a difference: the mean of what the challenger has answered since the last, minus that of the champion, so both see the same
// traffic at the same time, and what hits both is not the challenger's fault.
type Gate struct {
	// Name is for events, Stats and Observe. Default: the name of the metric. Names must differ.
	Name string

	Metric Metric

	// Max is the highest mean that is in order, between 0 and 1. Exactly one of Max and Margin is needed, but for Monitor, which needs none.
	Max float64

	// Margin is by how much the mean may be higher than the champion's, between 0 and 1. Errors, Slow and Abandoned only. The smaller, the more samples it takes to pass: about 7/Margin of the challenger's with the
	// default Alpha, if neither ever fails.
	Margin float64

	// Hard is a mean, between Max or Margin and 1, above which the challenger is rolled back even before MinSamples: a hard breach. It is absolute. Default: 0, none.
	Hard float64

	// MinSamples is how many of the challenger's samples it takes, in each step, to pass or fail. Default: DefaultMinSamples.
	MinSamples int

	// Alpha bounds the probability that the gate ever fails, at whatever step, though the mean is in order. It is divided between the steps, and half of it goes to Hard, if that is
	// set. Default: DefaultAlpha.
	Alpha float64

	// Beta bounds the probability, for each step, that the gate passes though the mean is not in order. Default: Alpha.
	Beta float64

	// SlowAfter is for Slow.
	SlowAfter time.Duration

	// Check is for Monitor: it says what a drift or a fairness monitor reads. It runs on the goroutine of Step. Inconclusive holds the ramp. A panic in it goes to the caller of Step.
	Check func(context.Context) Verdict
}

func (g Gate) withDefaults(steps int) (Gate, error) {
	if g.Name == "" {
		g.Name = g.Metric.String()
	}
	bad := func(format string, args ...any) (Gate, error) {
		return g, fmt.Errorf("rollout: gate %q: "+format, append([]any{g.Name}, args...)...)
	}
	if g.Metric > Monitor {
		return bad("unknown %v", g.Metric)
	}
	if (g.Metric == Monitor) != (g.Check != nil) {
		return bad("Monitor needs a Check, and nothing else has one")
	}
	if (g.Metric == Slow) != (g.SlowAfter > 0) || g.SlowAfter < 0 {
		return bad("Slow needs a positive SlowAfter, and nothing else has one")
	}
	if g.Metric == Monitor {
		if g.Max != 0 || g.Margin != 0 || g.Hard != 0 || g.MinSamples != 0 || g.Alpha != 0 || g.Beta != 0 {
			return bad("Monitor has nothing but a Check")
		}
		return g, nil
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"Max", g.Max}, {"Margin", g.Margin}, {"Hard", g.Hard}, {"Alpha", g.Alpha}, {"Beta", g.Beta}} {
		if !(f.value >= 0 && f.value < 1) {
			return bad("%s must be between 0 and 1: %v", f.name, f.value)
		}
	}
	switch {
	case (g.Max > 0) == (g.Margin > 0):
		return bad("needs either Max or Margin")
	case g.Margin > 0 && g.Metric > Abandoned:
		return bad("%v of the champion is not known: Margin cannot be used", g.Metric)
	case g.Hard > 0 && g.Hard <= g.Max+g.Margin:
		return bad("Hard %v is not above the limit", g.Hard)
	case g.MinSamples < 0:
		return bad("MinSamples is negative: %d", g.MinSamples)
	}
	if g.MinSamples == 0 {
		g.MinSamples = DefaultMinSamples
	}
	if g.Alpha == 0 {
		g.Alpha = DefaultAlpha
	}
	if g.Beta == 0 {
		g.Beta = g.Alpha
	}
	if _, _, err := g.tests(steps); err != nil {
		return bad("%w", err)
	}
	return g, nil
}

// tests are those of one of so many steps. hard is nil if there is none.
func (g *Gate) tests(steps int) (limit, hard *MeanTest, err error) {
	alpha := g.Alpha / float64(steps)
	if g.Hard > 0 {
		alpha /= 2
		if hard, err = NewMeanTest(MeanTestConfig{Limit: g.Hard, Alpha: alpha}); err != nil {
			return nil, nil, err
		}
	}
	cfg := MeanTestConfig{Limit: g.Max, Alpha: alpha, Beta: g.Beta}
	if g.Margin > 0 {
		cfg.Low, cfg.High, cfg.Limit = -1, 1, g.Margin
	}
	limit, err = NewMeanTest(cfg)
	return limit, hard, err
}

// arm is where a sample comes from.
type arm uint8

const (
	champion arm = iota
	challenger
)

// gauge is a Gate at one step. It is guarded by the canary's lock.
type gauge struct {
	Gate
	limit, hard *MeanTest
	sum         [2]float64 // of the samples of each arm
	n           [2]uint64
	block       [2]mean // of each arm since the last difference
	asked       Verdict // of Monitor: the latest answer
}

type mean struct {
	sum float64
	n   int
}

func (g *gauge) add(a arm, x float64) {
	if !(x <= 1) { // NaN too
		x = 1
	}
	x = math.Max(x, 0)
	g.sum[a] += x
	g.n[a]++
	if a == challenger && g.hard != nil {
		g.hard.Add(x)
	}
	if g.Margin == 0 {
		if a == challenger {
			g.limit.Add(x)
		}
		return
	}
	g.block[a].sum += x
	g.block[a].n++
	old, young := &g.block[champion], &g.block[challenger]
	if old.n > 0 && young.n > 0 {
		g.limit.Add(young.sum/float64(young.n) - old.sum/float64(old.n))
		*old, *young = mean{}, mean{}
	}
}

func (g *gauge) verdict() Verdict {
	switch {
	case g.Metric == Monitor:
		return g.asked
	case g.breached():
		return Fail
	case g.n[challenger] < uint64(g.MinSamples):
		return Inconclusive
	}
	return g.limit.Verdict()
}

func (g *gauge) breached() bool { return g.hard != nil && g.hard.Verdict() == Fail }

// GateStats is the reading of a Gate in the present step.
type GateStats struct {
	Name                     string
	Verdict                  Verdict
	Breached                 bool // Hard is
	ChampionSamples, Samples uint64
	ChampionMean, Mean       float64 // 0 without samples
	FailP, PassP             float64 // p-values, valid at any time; see MeanTest.PValues
}

func (g *gauge) stats() GateStats {
	st := GateStats{Name: g.Name, Verdict: g.verdict(), FailP: 1, PassP: 1}
	if g.Metric == Monitor {
		return st
	}
	st.Breached, st.ChampionSamples, st.Samples = g.breached(), g.n[champion], g.n[challenger]
	if st.ChampionSamples > 0 {
		st.ChampionMean = g.sum[champion] / float64(st.ChampionSamples)
	}
	if st.Samples > 0 {
		st.Mean = g.sum[challenger] / float64(st.Samples)
	}
	st.FailP, st.PassP = g.limit.PValues()
	return st
}
