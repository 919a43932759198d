package breaker

import (
	"context"
	"errors"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Breaker keeps calls away from a back-end that fails or is too slow. All methods are safe for concurrent use, also from
// within next and Config.OnStateChange. It owns no goroutine and needs no closing.
type Breaker[Req, Resp any] struct {
	c        *core
	next     Func[Req, Resp]
	classify func(Req, Resp, error) Outcome
}

// New makes a Breaker around next. It is closed.
func New[Req, Resp any](next Func[Req, Resp], cfg Config, opts ...Option[Req, Resp]) (*Breaker[Req, Resp], error) {
	if next == nil {
		return nil, errors.New("breaker: nil function")
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.withDefaults(false); err != nil {
		return nil, err
	}
	return &Breaker[Req, Resp]{newCore(cfg, nil, nil, nil), next, o.classify}, nil
}

// Do calls next, or rejects the call with an [*OpenError] (errors.Is ErrOpen) without calling it.
//
// next runs on the caller's goroutine with the caller's context, and what it returns comes back untouched. If ctx has ended before, Do
// returns context.Cause(ctx) and next is not called. Do does not wait for anything but next: it returns when next does. A
// panic in next, or a runtime.Goexit, goes on to the caller and counts as a failure.
func (b *Breaker[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	return do(ctx, b.c, b.next, b.classify, req)
}

func do[Req, Resp any](
	ctx context.Context, c *core, next Func[Req, Resp], classify func(Req, Resp, error) Outcome, req Req,
) (resp Resp, err error) {
	k, err := c.enter(ctx)
	if err != nil {
		return resp, err
	}
	returned := false
	defer func() {
		if !returned {
			c.settle(k, c.resolve(ctx, k, 0, Failure, nil))
		}
	}()
	resp, err = next(ctx, req)
	o := Default
	if classify != nil {
		o = classify(req, resp, err)
	}
	r := c.resolve(ctx, k, 0, o, err)
	returned = true
	c.settle(k, r)
	return resp, err
}

// Allow asks for permission for a call that Do cannot make, because it ends in another place than it begins in: a stream, a message
// that is answered later. The caller makes the call and reports what came of it through the permit. Allow fails as Do
// does, and does not wait. ctx is kept for the default rules, see [Default].
func (b *Breaker[Req, Resp]) Allow(ctx context.Context) (*Permit, error) { return b.c.allow(ctx) }

// State returns the state. It notices if the open time, or the lease of a probe, is over.
func (b *Breaker[Req, Resp]) State() State { return b.c.current() }

// ForceOpen rejects all calls until ForceClosed or Reset.
func (b *Breaker[Req, Resp]) ForceOpen() { b.c.force(StateForcedOpen, ReasonForced) }

// ForceClosed lets all calls through, whatever their outcomes, until ForceOpen or Reset. The calls are counted in Stats.
func (b *Breaker[Req, Resp]) ForceClosed() { b.c.force(StateForcedClosed, ReasonForced) }

// Reset makes the breaker as new: closed, with an empty window. The counters in Stats go on. Results of calls that began
// before are dropped.
func (b *Breaker[Req, Resp]) Reset() { b.c.force(StateClosed, ReasonReset) }

// Config returns the configuration, with the defaults filled in.
func (b *Breaker[Req, Resp]) Config() Config { return b.c.cfg }

// Stats returns the counters and gauges.
func (b *Breaker[Req, Resp]) Stats() Stats { return b.c.snapshot() }
