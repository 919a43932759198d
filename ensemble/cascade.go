package ensemble

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Cascade asks a cheap model first, and the next only while the answer is not sure enough. Use NewCascade to make one. It is safe for
// concurrent use and has no goroutines: everything runs on the caller's, so Do returns when the stage that runs does. A stage that ignores its
// context keeps its caller waiting beyond any Timeout; put it behind something that abandons calls.
type Cascade[Req, Resp any] struct {
	stages     []Stage[Req, Resp]
	cfg        CascadeConfig
	annotate   func(Resp, CascadeEvent) Resp
	review     func(context.Context, Req, *AbstainError[Resp])
	thresholds atomic.Pointer[[]float64] // one for each stage; replaced, not changed
	latency    []stageLatency
	count      []stageCounters
	failed     atomic.Uint64
	ended      atomic.Uint64
}

// NewCascade makes a Cascade of stages, the cheapest first. It is an error if there are none, if one has no Do or makes no sense, if names are
// not different, if a stage but the last has no threshold, or the last has none and CascadeConfig.Abstain is set, and if a stage with a threshold has no confidence.
func NewCascade[Req, Resp any](stages []Stage[Req, Resp], cfg CascadeConfig, opts ...CascadeOption[Resp]) (*Cascade[Req, Resp], error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	o, err := newCascadeOptions(opts)
	if err != nil {
		return nil, err
	}
	review, err := reviewOf[Req](o, cfg.Abstain)
	if err != nil {
		return nil, err
	}
	stages = slices.Clone(stages)
	if err := checkStages(stages, o.confidence); err != nil {
		return nil, err
	}
	c := &Cascade[Req, Resp]{
		stages: stages, cfg: cfg, annotate: o.annotate, review: review,
		latency: make([]stageLatency, len(stages)), count: make([]stageCounters, len(stages)),
	}
	thresholds := make([]float64, len(stages))
	for i, s := range stages {
		thresholds[i] = s.Threshold
	}
	return c, c.set(thresholds)
}

// SetThresholds replaces the thresholds, such as when they have been fitted anew: one for each stage, or for each but the last, whose threshold then
// stays. Requests that run go on with those they began with. After an error nothing has changed.
func (c *Cascade[Req, Resp]) SetThresholds(thresholds ...float64) error {
	n := len(c.stages)
	if len(thresholds) != n && len(thresholds) != n-1 {
		return fmt.Errorf("ensemble: SetThresholds: %d thresholds for %d stages", len(thresholds), n)
	}
	next := append(make([]float64, 0, n), thresholds...)
	if len(next) < n {
		next = append(next, (*c.thresholds.Load())[n-1])
	}
	if next[n-1] != 0 && c.stages[n-1].Confidence == nil {
		return fmt.Errorf("ensemble: SetThresholds: stage %q has no Confidence", c.stages[n-1].Name)
	}
	return c.set(next)
}

// Thresholds are those of all stages, 0 for a last one without.
func (c *Cascade[Req, Resp]) Thresholds() []float64 { return slices.Clone(*c.thresholds.Load()) }

func (c *Cascade[Req, Resp]) set(thresholds []float64) error {
	for i, t := range thresholds {
		if err := checkThreshold(c.stages[i].Name, t, i < len(thresholds)-1 || c.cfg.Abstain); err != nil {
			return err
		}
	}
	c.thresholds.Store(&thresholds)
	return nil
}

// Do returns the answer of the first stage that is sure of it, or of the last.
//
// An answer that is not sure stands, without an error, if no better one can be had: if the stages after it failed, or were skipped because the caller's
// deadline leaves less time than they are expected to take, or ran into that deadline. [Cascade.DoResult], [WithAnnotation] and
// CascadeConfig.OnResult tell such an answer from the others, and CascadeConfig.Abstain refuses it. Without an answer no stage is skipped.
//
// The errors: a *MemberError if a stage with [StageErrorEnds] fails, or the only stage that was called does; a *CascadeError if all stages fail; an
// *[AbstainError] if CascadeConfig.Abstain is set; context.Cause(ctx) if ctx has ended before Do begins (no stage has been called then), or ends before there is a
// sure answer, by a cancellation or by its deadline with no answer at hand. A panic in a stage or callback goes on to the caller.
func (c *Cascade[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	r, err := c.walk(ctx, req, false)
	if err != nil {
		var zero Resp
		return zero, err
	}
	return r.Answer, nil
}

// DoResult is Do, and says which stage answered, what each did and why the cascade stopped. With an error the result holds what is known.
func (c *Cascade[Req, Resp]) DoResult(ctx context.Context, req Req) (CascadeResult[Resp], error) {
	return c.walk(ctx, req, true)
}

// walk goes through the stages until one is sure. What r holds is the latest answer.
func (c *Cascade[Req, Resp]) walk(ctx context.Context, req Req, detailed bool) (r CascadeResult[Resp], err error) {
	r = CascadeResult[Resp]{Stage: -1, Reason: StopFailure}
	if ctx.Err() != nil {
		r.Reason = StopEnded
		return r, context.Cause(ctx)
	}
	began := time.Now()
	now := began
	thresholds := *c.thresholds.Load()
	deadline, timed := ctx.Deadline()
	var failures []*MemberError
	last := len(c.stages) - 1
	escalated := false // the answer in r has been tried to be bettered
	for i := range c.stages {
		if i > 0 {
			now = time.Now() // Confidence has taken time too
		}
		rest := noRest
		if r.Stage >= 0 && timed {
			rest = max(0, deadline.Sub(now)) - c.cfg.Reserve
			if rest <= 0 || rest < c.expected(i) {
				c.skip(i, rest)
				r.Reason = StopDeadline
				if detailed {
					r.Steps = append(r.Steps, CascadeStep{Stage: i, Name: c.stages[i].Name, Skipped: true})
				}
				continue
			}
		}
		if r.Stage >= 0 && !escalated {
			c.count[r.Stage].escalated.Add(1)
			escalated = true
		}
		call := c.call(ctx, i, req, now, rest)
		now = now.Add(call.took)
		if detailed {
			r.Steps = append(r.Steps, CascadeStep{
				Stage: i, Name: c.stages[i].Name, Confidence: call.confidence, Duration: call.took, Err: call.err(),
			})
		}
		if call.answered() {
			r.Answer, r.Confidence, r.Stage, r.Name = call.answer, call.confidence, i, c.stages[i].Name
			r.Reason, escalated = StopLast, false
			if call.confidence >= thresholds[i] && (i < last || thresholds[i] != 0) {
				r.Reason = StopConfident
				break
			}
			c.count[i].unsure.Add(1)
			if i == last {
				break
			}
		}
		if call.failure != nil {
			failures = append(failures, call.failure)
			r.Reason = StopFailure
			if c.stages[i].ErrorPolicy == StageErrorEnds {
				err = call.failure
				break
			}
		}
		if ended := ctx.Err(); ended != nil || call.cut != nil {
			if r.Stage >= 0 && (ended == nil || errors.Is(ended, context.DeadlineExceeded)) {
				r.Reason = StopDeadline
			} else {
				r.Reason, err = StopEnded, context.Cause(ctx)
			}
			break
		}
	}
	return c.finish(ctx, req, r, failures, err, now.Sub(began), thresholds)
}

// finish decides what becomes of the latest answer, and tells everyone.
func (c *Cascade[Req, Resp]) finish(
	ctx context.Context, req Req, r CascadeResult[Resp], failures []*MemberError, err error, took time.Duration, thresholds []float64,
) (CascadeResult[Resp], error) {
	r.Failures = joinStages(failures)
	if err == nil && r.Stage < 0 {
		err = r.Failures
	}
	var abstained *AbstainError[Resp]
	switch {
	case err != nil && r.Reason == StopEnded:
		c.ended.Add(1)
	case err != nil:
		c.failed.Add(1)
	case c.cfg.Abstain && r.Reason != StopConfident:
		c.count[r.Stage].abstained.Add(1)
		abstained = &AbstainError[Resp]{
			Answer: r.Answer, Confidence: r.Confidence, Threshold: thresholds[r.Stage], Stage: r.Stage, Name: r.Name, Reason: r.Reason, Err: r.Failures,
		}
		err = abstained
	default:
		c.count[r.Stage].answered.Add(1)
		if r.Reason == StopDeadline || r.Reason == StopFailure {
			c.count[r.Stage].fallback.Add(1)
		}
	}
	if abstained != nil && c.review != nil {
		c.review(ctx, req, abstained)
	}
	if c.annotate == nil && c.cfg.OnResult == nil {
		return r, err
	}
	event := CascadeEvent{
		Stage: r.Stage, Name: r.Name, Confidence: r.Confidence, Reason: r.Reason, Duration: took, Failures: r.Failures, Err: err,
	}
	if err == nil && c.annotate != nil {
		r.Answer = c.annotate(r.Answer, event)
	}
	if c.cfg.OnResult != nil {
		c.cfg.OnResult(event)
	}
	return r, err
}

// expected is how long a stage is expected to take; 0 if nothing is known. It cannot be more than its Timeout.
func (c *Cascade[Req, Resp]) expected(i int) time.Duration {
	s := &c.stages[i]
	expected := s.Latency
	if expected == 0 {
		expected = c.latency[i].expected()
	}
	if s.Timeout > 0 {
		expected = min(expected, s.Timeout)
	}
	return expected
}

// skip counts. If some time was left it is what was learned that has forbidden the call.
func (c *Cascade[Req, Resp]) skip(i int, rest time.Duration) {
	c.count[i].skipped.Add(1)
	if rest > 0 && c.stages[i].Latency == 0 {
		c.latency[i].skipped()
	}
}
