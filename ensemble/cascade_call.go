package ensemble

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// stageCall is what came of calling one stage.
type stageCall[Resp any] struct {
	answer     Resp
	confidence float64
	took       time.Duration
	failure    *MemberError // the stage has failed
	cut        error        // the caller's context or the Reserve has ended the call, which is not the stage's fault: why
}

func (c *stageCall[Resp]) answered() bool { return c.failure == nil && c.cut == nil }

func (c *stageCall[Resp]) err() error {
	if c.failure != nil {
		return c.failure
	}
	return c.cut
}

// noRest is the rest of the time of a call that no deadline bounds.
const noRest = time.Duration(math.MaxInt64)

// call runs stage i. rest is the time that the caller's deadline leaves it, if there is an answer in hand that could stand instead.
func (c *Cascade[Req, Resp]) call(ctx context.Context, i int, req Req, began time.Time, rest time.Duration) (call stageCall[Resp]) {
	s, count := &c.stages[i], &c.count[i]
	count.calls.Add(1)
	limit, cause, reserved := s.Timeout, ErrStageTimeout, false
	// Without a Reserve the caller's own deadline does it, at no cost.
	if c.cfg.Reserve > 0 && rest < noRest && (limit == 0 || rest < limit) {
		limit, cause, reserved = rest, errReserve, true
	}
	stageCtx := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		stageCtx, cancel = context.WithTimeoutCause(ctx, limit, cause)
		defer cancel()
	}
	returned := false
	defer func() {
		if !returned { // a panic or a Goexit, which goes on to the caller
			count.errors.Add(1)
			count.time.Add(int64(time.Since(began)))
		}
	}()
	answer, err := s.Do(stageCtx, req)
	call.took = time.Since(began)
	if err == nil {
		call.answer, call.confidence = answer, s.confidence(answer)
	}
	returned = true
	count.time.Add(int64(call.took))
	switch {
	case err == nil:
		c.learn(i, call.took, false)
	case ctx.Err() != nil:
		call.cut = context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // a cancellation says nothing about the stage
			c.learn(i, call.took, true)
		}
	case stageCtx.Err() != nil && reserved:
		call.cut = errReserve
		c.learn(i, call.took, true)
	case stageCtx.Err() != nil:
		count.timeouts.Add(1)
		call.failure = &MemberError{Member: s.Name, Err: fmt.Errorf("%w: %w", ErrStageTimeout, err)}
		c.learn(i, call.took, true)
	default:
		call.failure = &MemberError{Member: s.Name, Err: err} // how long it took to fail says nothing about an answer
	}
	switch {
	case call.cut != nil:
		count.cut.Add(1)
	case call.failure != nil:
		count.errors.Add(1)
	}
	return call
}

// learn takes a sample of how long a stage takes. The first stage is never skipped, so there is nothing to learn.
func (c *Cascade[Req, Resp]) learn(i int, took time.Duration, cut bool) {
	if i > 0 && c.stages[i].Latency == 0 {
		c.latency[i].observe(took, cut)
	}
}

func (s *Stage[Req, Resp]) confidence(answer Resp) float64 {
	if s.Confidence == nil {
		return math.NaN()
	}
	return s.Confidence(answer)
}
