package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Router sends each request to a member, and on to others when members fail. It is safe for concurrent use, owns no goroutine and need not be closed.
type Router[Req, Resp any] struct {
	cfg   Config
	opts  options[Req]
	table atomic.Pointer[compiled[Req, Resp]]
	trips sync.Pool

	calls, answered, unavailable atomic.Uint64
}

// New makes a router.
func New[Req, Resp any](table Table[Req, Resp], cfg Config, opts ...Option[Req]) (*Router[Req, Resp], error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if err := checkPick(cfg.Pick, o.key != nil); err != nil {
		return nil, fmt.Errorf("route: Config.Pick %w", err)
	}
	r := &Router[Req, Resp]{cfg: cfg, opts: o}
	c, err := compile(table.clone(), &r.cfg, nil, o.key != nil)
	if err != nil {
		return nil, err
	}
	r.table.Store(c)
	return r, nil
}

// Do asks a member, and when it fails another, until one answers. The error is:
//
//   - the cause of the caller's context, if that has ended, or [ErrNoTime];
//   - an [ErrNoMember], if no member could be asked;
//   - a *[MemberError], if it was the request's own fault ([RequestFailed]);
//   - an *[Error] with all attempts, once a member has failed; it wraps the above.
//
// Members are asked on the caller's goroutine, one after the other. A panic of one counts as its failure and goes on to the caller.
func (r *Router[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	r.calls.Add(1)
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	t := r.start(req)
	for {
		m, l, err := r.next(ctx, req, t)
		if err != nil {
			r.finish(t)
			return none, err
		}
		resp, out, err := r.attempt(ctx, req, m, &l)
		if out == answered {
			r.answered.Add(1)
			r.finish(t)
			return resp, nil
		}
		if err = t.failed(ctx, m.Name, out, err); err != nil {
			r.finish(t)
			return none, err
		}
	}
}

// attempt asks one member.
func (r *Router[Req, Resp]) attempt(ctx context.Context, req Req, m *Member[Req, Resp], l *lease) (resp Resp, out outcome, err error) {
	returned, crash := false, gaveUp // a panic in a hook or in Classify is not the member's fault
	defer func() {
		if !returned {
			r.report(l.end(time.Now(), crash, ErrPanicked, 0))
		}
	}()
	r.report(l.event)
	crash = failed
	resp, err = ask(ctx, req, m)
	crash = gaveUp
	out, retryAfter := r.judge(ctx, err)
	returned = true
	r.report(l.end(time.Now(), out, err, retryAfter))
	return resp, out, err
}

// ask calls the member with its timeout.
func ask[Req, Resp any](ctx context.Context, req Req, m *Member[Req, Resp]) (Resp, error) {
	if m.Timeout == 0 {
		return m.Do(ctx, req)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Timeout, ErrTimeout)
	defer cancel()
	resp, err := m.Do(ctx, req)
	if err != nil && context.Cause(ctx) == ErrTimeout { //nolint:errorlint // it is this context's own cause
		err = timeoutError(err)
	}
	return resp, err
}

// timeoutError is err as an ErrTimeout.
func timeoutError(err error) error {
	switch {
	case errors.Is(err, ErrTimeout):
		return err
	case err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return ErrTimeout // the member has only passed on the end of its context
	}
	return errors.Join(ErrTimeout, err)
}

// Update replaces the table by what change makes of it. Requests that are on their way finish with the members, rules and functions that they began with; members that keep
// their name keep their health and counters. The table that change gets is a copy. If tables are updated concurrently change is called again, with the newer one;
// so it must not update the same router itself.
func (r *Router[Req, Resp]) Update(change func(Table[Req, Resp]) Table[Req, Resp]) error {
	if change == nil {
		return fmt.Errorf("route: Update: nil function")
	}
	for {
		old := r.table.Load()
		c, err := compile(change(old.clone()).clone(), &r.cfg, old, r.opts.key != nil)
		if err != nil {
			return err
		}
		if r.table.CompareAndSwap(old, c) {
			return nil
		}
	}
}

// Stats returns counters and gauges.
func (r *Router[Req, Resp]) Stats() Stats {
	s := Stats{Calls: r.calls.Load(), Answered: r.answered.Load(), Unavailable: r.unavailable.Load()}
	now := time.Now()
	for _, h := range r.table.Load().health {
		s.Members = append(s.Members, h.snapshot(now))
	}
	return s
}
