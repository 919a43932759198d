package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Step is a share of the traffic that the challenger gets, and for how long.
type Step struct {
	// Share of the eligible keys, above 0 and up to 1. A gate with a Margin needs it below 1: there must be a champion to compare with.
	Share float64

	// MinDuration is how long the step lasts at least, so that it sees what comes by the hour or the day. It should be longer than
	// the slowest request: samples come when requests end, so those that time out come last. Default: 0.
	MinDuration time.Duration

	// MinSamples is how many requests the challenger must have answered in the step. Default: 0; the gates have minima of their own.
	MinSamples int

	// MaxDuration ends a step that does not end otherwise, because there is too little traffic or a gate stays inconclusive, by rolling back. Default: 0, wait for ever.
	MaxDuration time.Duration
}

// DefaultSteps are 1%, 5%, 25% and 50%, of ten minutes or more each.
func DefaultSteps() []Step {
	var steps []Step
	for _, share := range []float64{0.01, 0.05, 0.25, 0.5} {
		steps = append(steps, Step{Share: share, MinDuration: 10 * time.Minute, MinSamples: 100})
	}
	return steps
}

// DefaultGates is one gate: the rate of errors must be less than one percentage point above the champion's, and more than one half is a hard breach.
func DefaultGates() []Gate { return []Gate{{Metric: Errors, Margin: 0.01, Hard: 0.5}} }

// CanaryConfig is a ramp. Only Bucket.Salt is required. What is negative, NaN or contradictory is an error from NewCanary and Restart.
type CanaryConfig struct {
	// Bucket divides the keys. The Salt should be of this rollout (the challenger's version, say): with one that is always the same, the same users are always the first.
	Bucket BucketConfig

	// Steps of ascending share. After the last the challenger is promoted. Default: DefaultSteps.
	Steps []Step

	// Gates that must pass for each step. Default: DefaultGates.
	Gates []Gate

	// RatioAlpha is the level, over all steps, of the test for a sample ratio mismatch, which rolls back: see [RatioTest]. Its samples are keys, each counted once as far as they
	// are told apart (there are 32,768 places for them in a step): it finds keys that were chosen by the same salt before they came here, for example. Default: DefaultRatioAlpha.
	RatioAlpha float64

	// Promote, if not nil, makes the challenger the champion, for example by moving an alias of a Registry. It is called when the last step has passed, on the goroutine of Step or Promote. When it
	// has succeeded all requests go to the champion, which is the former challenger now; if it fails the ramp stays where it is, and the next Step tries again. Default: all requests go
	// to the challenger.
	Promote func(context.Context) error

	// OnEvent, if not nil, is called when the ramp has begun, gone a step further, or ended, on the goroutine of NewCanary, Restart, Step, Promote, RollBack, or of the Do, Agreed or Observe whose
	// sample made a gate fail. It may call the Canary. A panic in it goes to the caller.
	OnEvent func(CanaryEvent)
}

func (c CanaryConfig) withDefaults() (CanaryConfig, *Bucket, error) {
	bucket, err := NewBucket(c.Bucket)
	if err != nil {
		return c, nil, err
	}
	c.Steps, c.Gates = slices.Clone(c.Steps), slices.Clone(c.Gates) // the caller may go on to change its own
	if len(c.Steps) == 0 {
		c.Steps = DefaultSteps()
	}
	if len(c.Gates) == 0 {
		c.Gates = DefaultGates()
	}
	if c.RatioAlpha == 0 {
		c.RatioAlpha = DefaultRatioAlpha
	}
	if !(c.RatioAlpha > 0 && c.RatioAlpha < 1) {
		return c, nil, fmt.Errorf("rollout: CanaryConfig.RatioAlpha must be between 0 and 1: %v", c.RatioAlpha)
	}
	names := map[string]bool{}
	for i := range c.Gates {
		if c.Gates[i], err = c.Gates[i].withDefaults(len(c.Steps)); err != nil {
			return c, nil, err
		}
		if names[c.Gates[i].Name] {
			return c, nil, fmt.Errorf("rollout: two gates are named %q", c.Gates[i].Name)
		}
		names[c.Gates[i].Name] = true
	}
	for i, s := range c.Steps {
		switch {
		case !(s.Share > 0 && s.Share <= 1):
			return c, nil, fmt.Errorf("rollout: Steps[%d].Share must be above 0 and up to 1: %v", i, s.Share)
		case i > 0 && s.Share <= c.Steps[i-1].Share:
			return c, nil, fmt.Errorf("rollout: Steps[%d].Share %v is not above that of the step before", i, s.Share)
		case s.MinDuration < 0 || s.MaxDuration < 0 || s.MinSamples < 0:
			return c, nil, fmt.Errorf("rollout: Steps[%d] has something negative: %+v", i, s)
		case s.MaxDuration > 0 && s.MaxDuration < s.MinDuration:
			return c, nil, fmt.Errorf("rollout: Steps[%d].MaxDuration %v is less than MinDuration %v", i, s.MaxDuration, s.MinDuration)
		case s.Share == 1 && slices.ContainsFunc(c.Gates, func(g Gate) bool { return g.Margin > 0 }):
			return c, nil, fmt.Errorf("rollout: Steps[%d].Share 1 leaves no champion for the gates with a Margin", i)
		}
	}
	return c, bucket, nil
}

// stage is a step of a ramp as it runs. share and index do not change; the rest is guarded by the canary's lock.
type stage struct {
	index   int
	share   float64
	began   time.Time
	gauges  []*gauge
	samples uint64      // requests that the challenger has answered
	ratio   *RatioTest  // nil if the share is 1
	seen    ratioSample // not guarded
}

func (c *CanaryConfig) stage(index int) *stage {
	s := &stage{index: index, share: c.Steps[index].Share, began: time.Now()}
	for _, g := range c.Gates {
		u := &gauge{Gate: g}
		if g.Metric != Monitor {
			u.limit, u.hard, _ = g.tests(len(c.Steps)) // withDefaults has seen that there is no error
		}
		s.gauges = append(s.gauges, u)
	}
	if s.share < 1 {
		s.ratio, _ = NewRatioTest(s.share, c.RatioAlpha/float64(len(c.Steps)))
	}
	return s
}

// failed says why the stage must be rolled back, and is empty if it need not.
func (s *stage) failed() (gate, reason string) {
	for _, g := range s.gauges {
		if g.verdict() == Fail {
			if g.breached() {
				return g.Name, fmt.Sprintf("gate %s: hard breach, mean %.3g of %d samples", g.Name, g.sum[challenger]/float64(g.n[challenger]), g.n[challenger])
			}
			if g.Metric == Monitor {
				return g.Name, fmt.Sprintf("gate %s: the check says fail", g.Name)
			}
			return g.Name, fmt.Sprintf("gate %s: mean %.3g of %d samples is above the limit", g.Name, g.sum[challenger]/float64(g.n[challenger]), g.n[challenger])
		}
	}
	if s.ratio != nil && s.ratio.Mismatch() {
		return "", fmt.Sprintf("sample ratio mismatch: share %.3g of %d samples is not %.3g", s.ratio.Share(), s.ratio.Samples(), s.share)
	}
	return "", ""
}

// passed says whether everything is in order for the next step, but for the time.
func (s *stage) passed(step Step) bool {
	for _, g := range s.gauges {
		if g.verdict() != Pass {
			return false
		}
	}
	return s.samples >= uint64(step.MinSamples)
}
