package batching

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

func expired(ctxErr error) bool { return errors.Is(ctxErr, context.DeadlineExceeded) }

// check is what is done before admission.
func (c *core[K, Req, Resp]) check(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ctx.Value(c) != nil {
		return ErrReentrant
	}
	return nil
}

func (c *core[K, Req, Resp]) weigh(req Req) (int64, error) {
	if c.opts.weight == nil {
		return 1, nil
	}
	w := c.opts.weight(req)
	if w < 0 {
		return 0, fmt.Errorf("%w: negative weight %d", ErrBadRequest, w)
	}
	return int64(w), nil
}

// prepare fills in a new item.
func (c *core[K, Req, Resp]) prepare(ctx context.Context, it *item[K, Req, Resp], key K, req Req, weight int64, now time.Duration) {
	it.key, it.req, it.weight, it.arrived = key, req, weight, now
	it.class = priorityOf(ctx)
	it.deadline = noDeadline
	if ctx.Done() != nil {
		it.ctx = ctx
		if d, ok := ctx.Deadline(); ok {
			it.deadline = d.Sub(c.start)
		}
	}
}

// reject says why n requests like this one, that weigh total, the heaviest of them heaviest, cannot be let in; nil if they can. Called
// under mu.
func (c *core[K, Req, Resp]) reject(like *item[K, Req, Resp], n int, total, heaviest int64) error {
	if c.draining {
		return ErrClosed
	}
	cfg := c.cfg
	if cfg.MaxWeight > 0 && heaviest > int64(cfg.MaxWeight) {
		return fmt.Errorf("%w: weight %d is more than Config.MaxWeight %d", ErrTooLarge, heaviest, cfg.MaxWeight)
	}
	if cfg.MaxQueueWeight > 0 && heaviest > int64(cfg.MaxQueueWeight) {
		return fmt.Errorf("%w: weight %d is more than Config.MaxQueueWeight %d", ErrTooLarge, heaviest, cfg.MaxQueueWeight)
	}
	if err := c.refuse(cfg.Policy.targetOf(like.arrived, like.deadline), like.arrived, like.weight); err != nil {
		c.stats.Drops.Refused += uint64(n)
		return err
	}
	if !cfg.RejectWhenFull {
		return nil
	}
	// Callers may wait for room from before a Reconfigure: nobody overtakes them.
	for !c.mayEnter(like.class) || !c.fits(n, total) {
		possible := n <= cfg.MaxQueue && (cfg.MaxQueueWeight == 0 || total <= int64(cfg.MaxQueueWeight))
		switch {
		case possible && c.free() && c.backlog.turn != nil: // what waits for company makes room
			c.dispatch(c.backlog.pick(c.quantum()), ReasonSlot)
			c.refill()
		case possible && c.evict(n, total, like.class):
			return nil
		default:
			c.stats.Drops.Rejected += uint64(n)
			return ErrQueueFull
		}
	}
	return nil
}

func (c *core[K, Req, Resp]) do(ctx context.Context, key K, req Req) (Resp, error) {
	var none Resp
	if err := c.check(ctx); err != nil {
		return none, err
	}
	weight, err := c.weigh(req)
	if err != nil {
		return none, err
	}
	it := c.itemPool.Get().(*item[K, Req, Resp])
	c.prepare(ctx, it, key, req, weight, c.now())

	c.mu.Lock()
	if err := c.reject(it, 1, weight, weight); err != nil {
		maxWeight := c.cfg.MaxWeight
		c.unlock()
		c.recycle(it)
		if c.opts.split != nil && errors.Is(err, ErrTooLarge) {
			return c.doSplit(ctx, key, req, maxWeight)
		}
		return none, err
	}
	if !c.admit(it) {
		c.kick()
	}
	c.unlock()

	if it.ctx == nil {
		<-it.wake
	} else {
		select {
		case <-it.wake:
		case <-ctx.Done():
			if c.leave(it, expired(ctx.Err())) {
				return none, context.Cause(ctx)
			}
			<-it.wake
		}
	}
	resp, err := it.resp, it.err
	c.recycle(it)
	return resp, err
}

// recycle returns an item that nobody else refers to.
func (c *core[K, Req, Resp]) recycle(it *item[K, Req, Resp]) {
	var (
		req  Req
		resp Resp
		key  K
	)
	it.batch, it.ctx, it.err, it.answered = nil, nil, nil, false
	it.key, it.req, it.resp = key, req, resp
	it.state, it.outcome = stateNew, atomic.Uint32{} // a plain write: nobody else sees it now
	c.itemPool.Put(it)
}

// doSplit answers a request that is heavier than a batch may be.
func (c *core[K, Req, Resp]) doSplit(ctx context.Context, key K, req Req, maxWeight int) (Resp, error) {
	resps, err := c.doAllSplit(ctx, []K{key}, []Req{req}, maxWeight)
	var each ItemErrors
	if errors.As(err, &each) {
		err = each[0]
	}
	if err != nil {
		var none Resp
		return none, err
	}
	return resps[0], nil
}
