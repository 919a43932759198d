package batching

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// stage is how far a worker has got with a batch. If run or a hook ends the worker's goroutine by
// runtime.Goexit, another one goes on from there.
type stage uint8

const (
	stageTaken stage = iota
	stageRun
	stageDelivered
	stageReported
)

// yieldBelow is the run time below which a worker lets the callers that it has just answered run before it takes the next
// batch. Without the pause the next batch would hold the few requests that came in the meantime, and the cost of a batch would be shared by a few instead
// of by many: a model that computes on all processors for so short a time leaves the callers none on which to ask again, but for the one that it has
// woken last, and would go on with that one alone until the scheduler takes its processor away, some milliseconds later.
const yieldBelow = 200 * time.Microsecond

// work executes batches as long as there are any for its slot.
func (c *core[K, Req, Resp]) work(b *batch[K, Req, Resp]) {
	returned := false
	defer func() {
		if !returned { // Goexit: the slot and the members' answers must not go with this goroutine
			go c.work(b)
		}
	}()
	for b != nil {
		c.execute(b)
		if b.hasSlot && b.event.RunTime < yieldBelow {
			runtime.Gosched()
		}
		b = c.next(b)
	}
	returned = true
}

// execute runs the batch and gives its members their answers. Each stage is marked before it is entered.
func (c *core[K, Req, Resp]) execute(b *batch[K, Req, Resp]) {
	if b.stage == stageTaken {
		b.stage = stageRun
		c.prune(b)
		if len(b.items) > 0 {
			c.runAll(b)
		}
	}
	if b.stage == stageRun {
		b.stage = stageDelivered
		b.cut = b.ctx.Err() != nil
		b.cancel()
		if len(b.items) > 0 {
			c.settle(b)
		}
	}
	if b.stage == stageDelivered {
		b.stage = stageReported
		if b.cfg.OnBatch != nil && len(b.items) > 0 {
			b.cfg.OnBatch(b.event)
		}
	}
}

// prune takes out the members whose callers have gone, or are about to: a context that has ended before the run starts is
// enough not to be executed, even if its caller has not been scheduled since. Contexts are asked here and not under the
// lock because they may be the user's own code.
func (c *core[K, Req, Resp]) prune(b *batch[K, Req, Resp]) {
	var drops Drops
	kept := b.items[:0]
	for _, it := range b.items {
		if it.ctx != nil {
			err := it.ctx.Err()
			if err != nil && it.outcome.CompareAndSwap(outcomeOpen, outcomeDropped) {
				// Its caller wakes by the context and finds the request dropped.
				drops.left(expired(err))
				b.live.Add(-1)
				continue
			}
			if err != nil || it.outcome.Load() == outcomeLeft {
				continue
			}
		}
		kept = append(kept, it)
	}
	clear(b.items[len(kept):])
	b.items = kept
	if n := drops.Cancelled + drops.Expired; n > 0 {
		c.mu.Lock()
		c.stats.Running -= int(n)
		c.stats.Drops.Cancelled += drops.Cancelled
		c.stats.Drops.Expired += drops.Expired
		c.mu.Unlock()
	}
}

// runAll runs the batch and, if that fails and Config says so, parts of it.
func (c *core[K, Req, Resp]) runAll(b *batch[K, Req, Resp]) {
	started := c.now()
	var waits time.Duration
	for _, it := range b.items {
		wait := started - it.arrived
		waits += wait
		b.event.QueueWait = max(b.event.QueueWait, wait)
		b.event.Weight += it.weight
	}
	b.event.Size = len(b.items)
	b.waits, b.started = waits, started
	if c.keyed && b.cfg.OnBatch != nil {
		b.event.Key = b.key
	}
	err, whole := c.runSome(b, b.items)
	b.event.Err = err
	b.failed = whole
	if whole {
		c.bisect(b, b.items, err)
	}
}

// bisect fails the items with err, or runs their halves as long as that is allowed and makes sense.
func (c *core[K, Req, Resp]) bisect(b *batch[K, Req, Resp], items []*item[K, Req, Resp], err error) {
	if len(items) == 1 || b.ctx.Err() != nil || b.event.ExtraRuns >= b.cfg.MaxExtraRuns {
		for _, it := range items {
			it.err, it.answered = err, true
		}
		return
	}
	mid := len(items) / 2
	for _, half := range [][]*item[K, Req, Resp]{items[:mid], items[mid:]} {
		if b.event.ExtraRuns >= b.cfg.MaxExtraRuns {
			c.bisect(b, half, err)
			continue
		}
		b.event.ExtraRuns++
		if err, whole := c.runSome(b, half); whole {
			c.bisect(b, half, err)
		}
	}
}

// runSome calls run with the items, and answers them unless it failed as a whole.
func (c *core[K, Req, Resp]) runSome(b *batch[K, Req, Resp], items []*item[K, Req, Resp]) (err error, whole bool) {
	resps, n, err := c.call(b, items)
	var each ItemErrors
	if err != nil {
		if !errors.As(err, &each) {
			return err, true
		}
		if len(each) != n {
			return fmt.Errorf("%w: %d item errors for %d requests: %w", ErrResultCount, len(each), n, err), true
		}
	}
	if len(resps) != n { // then all must have failed
		for i := range items {
			if each == nil || each[i] == nil {
				return fmt.Errorf("%w: %d results for %d requests", ErrResultCount, len(resps), n), true
			}
		}
	}
	// From here on all have their outcome. Nothing may be set before: bisection may run the items again.
	for i, it := range items {
		it.answered = true
		if each != nil && each[i] != nil {
			it.err = each[i]
		} else {
			it.resp = resps[i]
		}
	}
	return err, false
}

// call calls run with a slice of its own, padded to an allowed size, and makes an error of a panic. n is the size of that
// slice. The slice is not used again: a run function that keeps it after it returned (a model call that
// was given up) does no harm.
func (c *core[K, Req, Resp]) call(b *batch[K, Req, Resp], items []*item[K, Req, Resp]) (resps []Resp, n int, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// After Goexit recover returns nil, and this goroutine ends: see work.
		if v := recover(); v != nil {
			resps, err = nil, newPanicError(v)
		}
	}()
	n = b.cfg.paddedSize(len(items))
	reqs := make([]Req, 0, n)
	for _, it := range items {
		reqs = append(reqs, it.req)
	}
	for len(reqs) < n {
		reqs = append(reqs, c.opts.pad(items[len(items)-1].req))
		b.event.Padding++
	}
	resps, err = c.run(&b.ctx, b.key, reqs)
	returned = true
	return resps, n, err
}

// settle decides the outcome of each member, counts it, and wakes those who still wait. It counts first, so
// that a caller finds its own answer in Stats.
//
// If requests wait for a slot, the batch keeps its own until next, so that those which come in the meantime can join them. If none
// do, the slot is free from here on: who comes now, be it a caller that has just been answered, finds an idle
// model, and waits for company if that is configured.
func (c *core[K, Req, Resp]) settle(b *batch[K, Req, Resp]) {
	answered, failed, late := 0, 0, 0
	now := c.now()
	for i, it := range b.items {
		if !it.answered { // only Goexit leaves one so
			it.err = ErrGoexit
			b.event.Err = ErrGoexit
			b.failed = true
		}
		err := it.err
		switch {
		case it.ctx != nil && !it.outcome.CompareAndSwap(outcomeOpen, outcomeDone):
			b.items[i] = nil // its caller has gone
			if err != nil {
				b.event.Failed++
			}
		case err != nil:
			failed++
			b.event.Failed++
		default:
			answered++
			if now > it.target {
				late++
			}
		}
	}
	b.event.RunTime = now - b.started
	c.mu.Lock()
	c.learn(b, now)
	s := &c.stats
	s.Answered += uint64(answered)
	s.Late += uint64(late)
	s.Failed += uint64(failed)
	s.Running -= answered + failed
	s.Batches++
	s.Items += uint64(b.event.Size)
	s.Padding += uint64(b.event.Padding)
	s.ExtraRuns += uint64(b.event.ExtraRuns)
	s.Flushes.add(b.event.Reason)
	s.QueueWait += b.waits
	s.RunTime += b.event.RunTime
	// Nothing is to be run: the slot is free for who comes next. But after a short run its callers come first, see yieldBelow, and find the slot taken until all of
	// them have asked again; unless requests wait for company anyway.
	if (c.free() || c.backlog.turn == nil) && (b.event.RunTime >= yieldBelow || c.cfg.MaxWait > 0) {
		b.hasSlot = false
		c.release(b)
		c.kick()
	}
	c.unlock()
	for _, it := range b.items {
		if it != nil {
			it.deliver()
		}
	}
}
