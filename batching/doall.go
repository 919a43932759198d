package batching

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// doAll queues all requests under one lock and waits for them with one wake-up. keys is nil if there are none.
func (c *core[K, Req, Resp]) doAll(ctx context.Context, keys []K, reqs []Req, maySplit bool) ([]Resp, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	if len(reqs) == 0 {
		return []Resp{}, nil
	}
	items := make([]item[K, Req, Resp], len(reqs))
	g := &group{wake: make(chan struct{}, 1)}
	g.pending.Store(int64(len(reqs)))
	var total, heaviest int64
	now := c.now()
	for i, req := range reqs {
		weight, err := c.weigh(req)
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		var key K
		if keys != nil {
			key = keys[i]
		}
		c.prepare(ctx, &items[i], key, req, weight, now)
		items[i].group = g
		total += min(weight, math.MaxInt64-total)
		heaviest = max(heaviest, weight)
	}

	c.mu.Lock()
	if err := c.reject(&items[0], len(reqs), total, heaviest); err != nil {
		maxWeight := c.cfg.MaxWeight
		c.unlock()
		if maySplit && c.opts.split != nil && errors.Is(err, ErrTooLarge) {
			return c.doAllSplit(ctx, keys, reqs, maxWeight)
		}
		return nil, err
	}
	for i := range items {
		c.admit(&items[i])
	}
	c.kick()
	c.unlock()

	select {
	case <-g.wake:
	case <-ctx.Done():
		left := false
		for i := range items {
			if c.leave(&items[i], expired(ctx.Err())) {
				left = true
			}
		}
		if left {
			return nil, context.Cause(ctx)
		}
		<-g.wake
	}
	resps := make([]Resp, len(items))
	var errs ItemErrors
	for i := range items {
		resps[i] = items[i].resp
		errs = errs.set(len(items), i, items[i].err)
	}
	return resps, errs.orNil()
}

// doAllSplit is doAll for requests of which some are too heavy: it has the parts of these and the others
// answered in one doAll, and joins them.
func (c *core[K, Req, Resp]) doAllSplit(ctx context.Context, keys []K, reqs []Req, maxWeight int) ([]Resp, error) {
	var (
		parts    []Req
		partKeys []K
		ends     = make([]int, len(reqs)) // of each request's parts
		whole    = make([]bool, len(reqs))
	)
	for i, req := range reqs {
		weight, err := c.weigh(req)
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		if whole[i] = weight <= int64(maxWeight); whole[i] {
			parts = append(parts, req)
		} else {
			cut := c.opts.split(req, maxWeight)
			if len(cut) == 0 {
				return nil, fmt.Errorf("request %d: %w: split into no parts", i, ErrTooLarge)
			}
			parts = append(parts, cut...)
		}
		ends[i] = len(parts)
		for keys != nil && len(partKeys) < len(parts) {
			partKeys = append(partKeys, keys[i])
		}
	}
	answers, err := c.doAll(ctx, partKeys, parts, false)
	var each ItemErrors
	if err != nil && !errors.As(err, &each) {
		return nil, err
	}
	join := c.opts.join.(func([]Resp) (Resp, error))
	resps := make([]Resp, len(reqs))
	var errs ItemErrors
	start := 0
	for i, end := range ends {
		err := each.first(start, end)
		switch {
		case err != nil:
		case whole[i]:
			resps[i] = answers[start]
		default:
			resps[i], err = join(answers[start:end:end])
		}
		errs = errs.set(len(reqs), i, err)
		start = end
	}
	return resps, errs.orNil()
}
