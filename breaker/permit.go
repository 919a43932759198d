package breaker

import (
	"context"
	"sync/atomic"
	"time"
)

// Permit is the permission for one call, from Allow. It is settled once, by the first Done or Settle; all further calls do
// nothing. All methods are safe for concurrent use, and do nothing on a nil Permit.
//
// A permit that is never settled costs nothing while the breaker is closed; its call does not count. One that was given while the
// breaker was half-open is a probe, and is settled when Config.ProbeLease is over. It is still good style to settle each:
//
//	permit, err := b.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	defer permit.Settle(breaker.Failure, nil) // a panic, or a return that was forgotten
//	...
//	permit.Done(err)
type Permit struct {
	c       *core
	ctx     context.Context
	call    call
	first   atomic.Int64
	settled atomic.Bool
}

func (c *core) allow(ctx context.Context) (*Permit, error) {
	k, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	return &Permit{c: c, ctx: ctx, call: k}, nil
}

// FirstToken marks the moment when a stream's first token (row, chunk) came: with SlowAfter, the time up to here says whether the
// call was slow, and not how long the stream went on. A probe whose first token has come is a success when its lease ends.
// Marks after the first, and after Done, do nothing.
func (p *Permit) FirstToken() {
	if p == nil || p.settled.Load() {
		return
	}
	now := max(1, p.c.now())
	if !p.first.CompareAndSwap(0, int64(now)) || p.call.probe == nil {
		return
	}
	p.c.mu.Lock()
	p.call.probe.first = now
	p.c.mu.Unlock()
}

// Done ends the call with its error, by the default rules: see [Default].
func (p *Permit) Done(err error) { p.Settle(Default, err) }

// Settle ends the call with an outcome. err matters to Default, and for the Retry-After it may carry; it may be nil. An outcome
// that does not exist counts as a Failure.
func (p *Permit) Settle(o Outcome, err error) {
	if p == nil || !p.settled.CompareAndSwap(false, true) {
		return
	}
	first := time.Duration(p.first.Load())
	resolved := false
	defer func() {
		if !resolved { // a method of the context's or the error's has panicked
			p.c.settle(p.call, p.c.resolve(p.ctx, p.call, first, Failure, nil))
		}
	}()
	r := p.c.resolve(p.ctx, p.call, first, o, err)
	resolved = true
	p.c.settle(p.call, r)
}
