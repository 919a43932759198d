package limiter

import (
	"context"
	"errors"
	"time"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Limiter lets requests through to a function as its limits have room for them. All methods are safe for concurrent use.
type Limiter[Req, Resp any] struct {
	next      Func[Req, Resp]
	callbacks callbacks[Req, Resp]
	shared    shared
	given     Config // as the caller gave it; guarded by shared.mu
	core      core
}

// New makes a Limiter in front of next. Its buckets are full. It owns no goroutine and needs no closing.
func New[Req, Resp any](next Func[Req, Resp], cfg Config, opts ...Option[Req]) (*Limiter[Req, Resp], error) {
	if next == nil {
		return nil, errors.New("limiter: nil function")
	}
	callbacks, err := newCallbacks[Req, Resp](opts)
	if err != nil {
		return nil, err
	}
	l := &Limiter[Req, Resp]{next: next, callbacks: callbacks, given: cfg}
	if cfg, err = cfg.withDefaults("Config", callbacks.cost != nil); err != nil {
		return nil, err
	}
	l.shared.start = time.Now()
	l.core.init(&l.shared, &cfg)
	return l, nil
}

// Do calls next with req once the limits have room for it, and settles what WithActual says when next returns.
//
// Requests are let through in the order of arrival; a heavy one at the head holds up those behind it until there is enough for it. One that
// would have to wait past the deadline of ctx, or longer than Config.MaxWait, fails at once; if a debt or a pause makes it late while it
// waits, it fails when it gets to the head of the queue. When ctx ends first, Do returns context.Cause(ctx) at once and nothing is taken;
// when it has ended already, nothing is called either.
//
// The errors of next are returned unchanged. The others are *LimitedError, ErrTooLarge and ErrBadRequest; they mean, as does the end of ctx
// while it waits, that next was not called and nothing is taken. If next panics or calls runtime.Goexit, what was
// reserved stays taken: its work may have been done.
func (l *Limiter[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var resp Resp
	if err := ended(ctx); err != nil {
		return resp, err
	}
	cost := l.callbacks.costOf(req)
	if err := checkCost(cost); err != nil {
		return resp, err
	}
	own := receipt{core: &l.core}
	var err error
	if l.callbacks.actual == nil {
		err = l.core.pass(ctx, cost)
	} else {
		own, err = l.core.acquire(ctx, cost, false)
	}
	if err != nil {
		return resp, err
	}
	resp, err = l.next(ctx, req)
	l.callbacks.after(own, receipt{}, cost, req, resp, err)
	return resp, err
}

// Acquire takes one request and the cost from the limits, waiting as Do does, and with the same errors. It is for work that is not a single
// call: a stream, whose cost is known when it ends. Settle the permit when it is; see Permit.
func (l *Limiter[Req, Resp]) Acquire(ctx context.Context, cost int) (*Permit, error) {
	return l.permit(ctx, cost, false)
}

// TryAcquire is Acquire without waiting: if the limits have no room now, or others wait, it fails at once with a *LimitedError.
func (l *Limiter[Req, Resp]) TryAcquire(cost int) (*Permit, error) {
	return l.permit(context.Background(), cost, true)
}

func (l *Limiter[Req, Resp]) permit(ctx context.Context, cost int, try bool) (*Permit, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if err := checkCost(cost); err != nil {
		return nil, err
	}
	own, err := l.core.acquire(ctx, cost, try)
	if err != nil {
		return nil, err
	}
	return &Permit{own: own, cost: cost}, nil
}

// Pause lets nothing through for d from now: a cooldown, for a back-end that asks for one (Retry-After) outside of what WithPause
// sees. Meanwhile the buckets fill up; requests wait, or are rejected, as for the limits. A pause that is on already is never made
// shorter; 0 or less does nothing.
func (l *Limiter[Req, Resp]) Pause(d time.Duration) { l.core.pause(d) }

// Resume ends a pause.
func (l *Limiter[Req, Resp]) Resume() { l.core.resume() }

// Lower tells what the back-end says is left (x-ratelimit-remaining-requests and -tokens, say), which may be less than is known here when others
// use the same account: the levels are lowered to it. They are never raised, because the back-end may not have counted yet
// what is on its way to it. A negative number means unknown.
func (l *Limiter[Req, Resp]) Lower(requests, cost int) { l.core.lower(requests, cost) }

// Level returns what the limits have room for now.
func (l *Limiter[Req, Resp]) Level() Level { return l.core.level() }

// Config returns the configuration in force, as it was given: a zero field stands for its default.
func (l *Limiter[Req, Resp]) Config() Config {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.given
}

// Reconfigure replaces the configuration while requests wait and run, for instance to change a limit:
//
//	cfg := l.Config()
//	cfg.Cost = limiter.PerMinute(200_000)
//	err := l.Reconfigure(cfg)
//
// On an error nothing changes. The levels stay, up to a lower Burst and a lower MaxDebt; a higher Burst fills up at the new
// rate, and a limit where there was none starts full. Those who wait stay in their order, except those that the new limits can never let
// through, which fail.
func (l *Limiter[Req, Resp]) Reconfigure(cfg Config) error {
	given := cfg
	cfg, err := cfg.withDefaults("Config", l.callbacks.cost != nil)
	if err != nil {
		return err
	}
	l.shared.mu.Lock()
	l.given = given
	l.shared.renew(l.core.cfg, &cfg)
	l.core.configure(&cfg)
	l.core.unlock()
	return nil
}

// Stats returns the counters and gauges.
func (l *Limiter[Req, Resp]) Stats() Stats {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.core.counters()
}
