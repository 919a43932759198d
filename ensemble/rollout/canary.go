package rollout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Canary sends a growing share of the requests to a challenger, and the others to the champion.
//
// Do takes samples. It acts on bad news at once: the request whose sample makes a gate fail rolls back. Good news waits for [Canary.Step], which the user calls now and then, or has called by [Canary.Run]: it asks the monitors,
// goes a step further when all gates have passed and the time is up, and promotes after the last step. The canary has no goroutine.
//
// Safe for concurrent use.
type Canary[Req, Resp any] struct {
	arms    [2]Func[Req, Resp]
	key     func(context.Context, Req) string
	failure func(Req, Resp, error) bool

	plan       atomic.Pointer[plan] // what Do needs to decide; replaced under mu
	ineligible atomic.Uint64

	mu     sync.Mutex
	cfg    CanaryConfig
	bucket *Bucket
	phase  Phase
	stage  *stage // the present one, or the last
	why    string
	count  canaryCounters
}

// plan is where requests go. Without a stage all go to the same arm and nothing is counted.
type plan struct {
	bucket *Bucket
	stage  *stage
	all    arm
}

const passedWhy = "all gates have passed"

// NewCanary begins a ramp.
//
// If challengerDo is that of an alias, the alias must point at a version for as long as the canary is used: a request that Do has sent to the challenger may ask for the
// alias after the ramp has been rolled back. Point it at the champion then, and not at none.
func NewCanary[Req, Resp any](championDo, challengerDo Func[Req, Resp], cfg CanaryConfig, opts ...CanaryOption[Req]) (*Canary[Req, Resp], error) {
	if championDo == nil || challengerDo == nil {
		return nil, fmt.Errorf("rollout: NewCanary: nil function")
	}
	c := &Canary[Req, Resp]{arms: [2]Func[Req, Resp]{championDo, challengerDo}, phase: RolledBack}
	var o canaryOptions[Req]
	for _, opt := range opts {
		if opt == nil {
			return nil, fmt.Errorf("rollout: nil CanaryOption")
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	c.key = o.key
	if o.failure != nil {
		failure, ok := o.failure.(func(Req, Resp, error) bool)
		if !ok {
			return nil, fmt.Errorf("rollout: WithFailure: %T does not take the answers of this canary", o.failure)
		}
		c.failure = failure
	}
	if err := c.Restart(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// Restart begins another ramp, with no samples, when the former has ended: for the next version behind the same functions. It fails with ErrRunning while a ramp goes on.
func (c *Canary[Req, Resp]) Restart(cfg CanaryConfig) error {
	cfg, bucket, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.phase == Ramping || c.phase == Promoting {
		c.mu.Unlock()
		return ErrRunning
	}
	c.cfg, c.bucket, c.phase, c.why = cfg, bucket, Ramping, ""
	e := c.enter(0, "the ramp begins")
	c.mu.Unlock()
	cfg.tell(e)
	return nil
}

// enter begins a step. The lock is held.
func (c *Canary[Req, Resp]) enter(index int, why string) CanaryEvent {
	c.stage = c.cfg.stage(index)
	c.plan.Store(&plan{bucket: c.bucket, stage: c.stage})
	return CanaryEvent{Time: time.Now(), Kind: CanaryStep, Step: index, Share: c.stage.share, Why: why}
}

// leave ends the ramp. The lock is held.
func (c *Canary[Req, Resp]) leave(to Phase, gate, why string) CanaryEvent {
	c.phase, c.why = to, why
	next, kind := &plan{all: champion}, CanaryRolledBack
	if to == Promoted {
		kind = CanaryPromoted
		c.count.promotions++
		if c.cfg.Promote == nil {
			next.all = challenger
		}
	} else {
		c.count.rollBacks++
	}
	c.plan.Store(next)
	return CanaryEvent{Time: time.Now(), Kind: kind, Step: c.stage.index, Share: c.stage.share, Gate: gate, Why: why}
}

func (c *CanaryConfig) tell(e CanaryEvent) {
	if c.OnEvent != nil && !e.Time.IsZero() {
		c.OnEvent(e)
	}
}

// route decides which arm a request goes to.
func (c *Canary[Req, Resp]) route(ctx context.Context, req Req, p *plan) (a arm, keyed, eligible bool) {
	key := ""
	if c.key != nil {
		key = c.key(ctx, req)
	}
	if key == "" {
		// Anonymous: any arm, in the proportion of the others. In a namespace there is no telling whether it is ours.
		if p.bucket.cfg.Namespace != "" {
			return champion, false, false
		}
		if rand.Float64() < p.stage.share {
			return challenger, false, true
		}
		return champion, false, true
	}
	if !p.bucket.Eligible(key) {
		return champion, true, false
	}
	h := hash(p.bucket.salt, key)
	if place(h) < p.stage.share {
		a = challenger
	}
	c.assign(p.stage, a, h)
	return a, true, true
}

// Do answers the request by the champion or the challenger. The errors are the cause of ctx if that has ended already, or those of the function that was called; a panic or a Goexit in it goes on to the
// caller, and is counted as a failure.
func (c *Canary[Req, Resp]) Do(ctx context.Context, req Req) (resp Resp, err error) {
	if ctx.Err() != nil {
		return resp, context.Cause(ctx)
	}
	p := c.plan.Load()
	if p.stage == nil {
		return c.arms[p.all](ctx, req)
	}
	a, keyed, eligible := c.route(ctx, req, p)
	if !eligible {
		c.ineligible.Add(1)
		return c.arms[champion](ctx, req)
	}
	began := time.Now()
	returned := false
	defer func() {
		o := outcome{arm: a, keyed: keyed, took: time.Since(began), failed: true}
		defer func() { c.record(p.stage, o) }() // also if c.failure panics
		if returned {
			o.cancelled = err != nil && errors.Is(ctx.Err(), context.Canceled)
			if c.failure == nil || o.cancelled {
				o.failed = err != nil
			} else {
				o.failed = c.failure(req, resp, err)
			}
		}
	}()
	resp, err = c.arms[a](ctx, req)
	returned = true
	return resp, err
}

// Step moves the ramp on if it is time: see [Canary]. It returns where the ramp is. The errors are the cause of ctx if that has ended already, and that of CanaryConfig.Promote.
func (c *Canary[Req, Resp]) Step(ctx context.Context) (CanaryStats, error) {
	if ctx.Err() != nil {
		return c.Stats(), context.Cause(ctx)
	}
	c.mu.Lock()
	s := c.stage
	if c.phase != Ramping {
		defer c.mu.Unlock()
		return c.stats(), nil
	}
	c.mu.Unlock()
	asked := make([]Verdict, len(s.gauges))
	for i, g := range s.gauges {
		if g.Metric == Monitor {
			asked[i] = g.Check(ctx)
		}
	}
	c.mu.Lock()
	if c.phase != Ramping || c.stage != s {
		defer c.mu.Unlock() // another call has moved it meanwhile
		return c.stats(), nil
	}
	for i, g := range s.gauges {
		g.asked = asked[i]
	}
	cfg := c.cfg
	step, age := cfg.Steps[s.index], time.Since(s.began)
	var e CanaryEvent
	switch gate, why := s.failed(); {
	case why != "":
		e = c.leave(RolledBack, gate, why)
	case s.passed(step) && age >= step.MinDuration:
		if s.index == len(cfg.Steps)-1 {
			c.mu.Unlock()
			err := c.Promote(ctx, passedWhy)
			if errors.Is(err, ErrOver) {
				err = nil
			}
			return c.Stats(), err
		}
		e = c.enter(s.index+1, passedWhy)
	case step.MaxDuration > 0 && age >= step.MaxDuration:
		e = c.leave(RolledBack, "", fmt.Sprintf("step %d has not passed within %v", s.index, step.MaxDuration))
	}
	st := c.stats()
	c.mu.Unlock()
	cfg.tell(e)
	return st, nil
}

// Run calls Step at once and then in every interval, on the caller's goroutine, until the ramp has ended, and returns where it has. It goes on when CanaryConfig.Promote fails. The
// errors are the cause of ctx if that ends first, or that the interval is not positive.
func (c *Canary[Req, Resp]) Run(ctx context.Context, interval time.Duration) (st CanaryStats, err error) {
	if interval <= 0 {
		return c.Stats(), fmt.Errorf("rollout: interval must be positive: %v", interval)
	}
	err = every(ctx, interval, func() (bool, error) {
		st, _ = c.Step(ctx)
		return st.Phase == Promoted || st.Phase == RolledBack, nil
	})
	return c.Stats(), err
}

// Promote ends the ramp by making the challenger the champion, whatever the gates say. The errors are ErrOver if the ramp has ended or is being promoted, and that of CanaryConfig.Promote, with which the
// ramp goes on.
func (c *Canary[Req, Resp]) Promote(ctx context.Context, why string) (err error) {
	c.mu.Lock()
	if c.phase != Ramping {
		c.mu.Unlock()
		return ErrOver
	}
	c.phase = Promoting
	cfg := c.cfg
	c.mu.Unlock()
	if cfg.Promote != nil {
		err = errAbandoned // which it still is in the defer if Promote panics or calls Goexit
	}
	defer func() {
		var e CanaryEvent
		c.mu.Lock()
		if err == nil {
			e = c.leave(Promoted, "", why)
		} else {
			c.phase = Ramping
			e = CanaryEvent{Time: time.Now(), Kind: CanaryPromoteFailed, Step: c.stage.index, Share: c.stage.share, Why: err.Error()}
		}
		c.mu.Unlock()
		cfg.tell(e)
	}()
	if cfg.Promote != nil {
		if err = cfg.Promote(ctx); err != nil {
			err = fmt.Errorf("rollout: promote: %w", err)
		}
	}
	return err
}

// RollBack ends the ramp: all requests go to the champion. It fails with ErrOver if the ramp has ended or is being promoted.
func (c *Canary[Req, Resp]) RollBack(why string) error {
	c.mu.Lock()
	if c.phase != Ramping {
		c.mu.Unlock()
		return ErrOver
	}
	cfg := c.cfg
	e := c.leave(RolledBack, "", why)
	c.mu.Unlock()
	cfg.tell(e)
	return nil
}
