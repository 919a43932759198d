package bulkhead

import (
	"context"
	"errors"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Bulkhead bounds what runs at the same time. All methods are safe for concurrent use. It owns no goroutine and nothing that must be
// closed.
type Bulkhead[Req, Resp any] struct {
	c    core
	next Func[Req, Resp]
	cost func(Req) int // nil: each costs 1
}

// New makes a Bulkhead around next.
func New[Req, Resp any](next Func[Req, Resp], cfg Config, opts ...Option[Req]) (*Bulkhead[Req, Resp], error) {
	if next == nil {
		return nil, errors.New("bulkhead: nil function")
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.withDefaults(o.cost != nil); err != nil {
		return nil, err
	}
	b := &Bulkhead[Req, Resp]{next: next, cost: o.cost}
	b.c.init(cfg)
	return b, nil
}

// Do calls next with req on the caller's goroutine, as soon as the request's cost (see [WithCost]) is free, and holds it until next
// returns, panics or calls runtime.Goexit. What next returns comes back untouched, and a panic goes on to the caller.
//
// The errors of the bulkhead itself all mean that next was not called: *RejectedError (which is ErrRejected, and ErrFull, ErrEvicted,
// ErrDeadline or ErrMaxWait), ErrTooLarge and ErrBadRequest. When ctx ends before next is called, Do returns context.Cause(ctx).
//
// A call from inside next, with the same bulkhead, needs a share of its own while it keeps the first: if all
// callers do that they may wait for each other until MaxWait or the end of their contexts.
func (b *Bulkhead[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	cost := 1
	if b.cost != nil {
		cost = b.cost(req)
	}
	t, err := b.c.acquire(ctx, cost, false)
	if err != nil {
		return none, err
	}
	defer b.c.release(t)
	return b.next(ctx, req)
}

// Acquire waits for a share of the capacity, as Do does, and returns a permit for it: for work that is not one call of
// a function (a stream, which holds its permit until it ends), for work whose cost changes while it runs
// (see [Permit.Settle]), and for other functions that use the same capacity. The errors are those of Do; the permit is then nil.
func (b *Bulkhead[Req, Resp]) Acquire(ctx context.Context, cost int) (*Permit, error) {
	return new(Permit).acquire(ctx, &b.c, cost, false)
}

// TryAcquire is Acquire without waiting: what Acquire would wait for is ErrFull. It has priority 0, and goes before those
// that wait only where Acquire would.
func (b *Bulkhead[Req, Resp]) TryAcquire(cost int) (*Permit, error) {
	return new(Permit).acquire(context.Background(), &b.c, cost, true)
}

// Resize changes the capacity, which must be from 1 to 1<<40; on an error nothing changes. More capacity goes at once to
// those that wait. With less, what runs goes on to its end, and nothing is admitted until enough has been
// released; callers that wait for more than the new capacity get ErrTooLarge.
func (b *Bulkhead[Req, Resp]) Resize(capacity int) error { return b.c.resize(capacity) }

// Config returns the configuration, with the defaults filled in and the Capacity that Resize has set last.
func (b *Bulkhead[Req, Resp]) Config() Config {
	cfg := b.c.cfg
	cfg.Capacity = int(b.c.capacity.Load())
	return cfg
}

// Stats returns the counters and gauges.
func (b *Bulkhead[Req, Resp]) Stats() Stats { return b.c.snapshot() }
