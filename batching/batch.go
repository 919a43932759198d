package batching

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// batch is one batch, from the moment its members leave the queue until they have their answers.
type batch[K comparable, Req, Resp any] struct {
	ctx    batchContext
	cancel context.CancelFunc
	live   atomic.Int64 // members whose callers still wait

	prev, next *batch[K, Req, Resp] // in core.running
	cfg        *Config              // as it was when the batch was taken
	key        K
	items      []*item[K, Req, Resp]
	stage      stage
	hasSlot    bool
	failed     bool // as a whole, at the first run
	cut        bool // its context ended before the run did
	started    time.Duration
	soonest    time.Duration // when it may be over, if the policy is Deadline
	waits      time.Duration // sum over the members
	event      BatchEvent
}

// batchContext is the context of a batch. Beside the deadline and the cancellation it carries only the mark by
// which Do sees that it is called from inside the run function.
type batchContext struct {
	context.Context
	owner any
}

func (c *batchContext) Value(key any) any {
	if key == c.owner {
		return key
	}
	return c.Context.Value(key)
}

// take makes a batch of requests of the lane, in the order of their class and arrival or as the policy chooses, and takes a
// slot for it. It returns nil if the policy drops all of them. Called under mu.
func (c *core[K, Req, Resp]) take(l *lane[K, Req, Resp], reason Reason) *batch[K, Req, Resp] {
	timed := c.deadlines()
	var now time.Duration
	if timed {
		now = c.now()
		if c.dropLost(l, now); l.q.n == 0 {
			return nil
		}
	}
	b := &batch[K, Req, Resp]{cfg: c.cfg, key: l.key}
	if n := len(c.spares); n > 0 {
		b.items = c.spares[n-1]
		c.spares = c.spares[:n-1]
	}
	weight, maxWeight, latest := int64(0), int64(c.cfg.MaxWeight), time.Duration(math.MinInt64)
	limit := c.sizeLimit()
	first, eldest := c.turn(l)
	took := false // of the class eldest
	add := func(it *item[K, Req, Resp]) bool {
		// A request that is too heavy alone was let in before the bound was lowered: it goes alone.
		if maxWeight > 0 && len(b.items) > 0 && weight > maxWeight-it.weight {
			reason = ReasonWeight
			return false
		}
		c.unqueue(it)
		took = took || it.class == eldest
		it.batch = b
		it.state = stateRunning
		b.items = append(b.items, it)
		weight += it.weight
		latest = max(latest, it.deadline)
		return len(b.items) < limit
	}
	if timed {
		c.choose(l, now, first, add)
		b.soonest = now + c.latency.fast(c.latency.size(c.cfg.paddedSize(len(b.items)), weight))
	} else {
		cl := &l.q.list[first]
		for more, n := true, cl.q.n; more && n > 0; n-- {
			more = add(cl.q.head)
		}
		for l.q.n > 0 && len(b.items) < limit && add(l.q.head()) {
		}
	}
	if l.q.n > 0 { // otherwise the lane is gone already, and nobody was left out
		l.leftOut++
		if took || l.leftOut > c.cfg.ClassTurn {
			l.leftOut = 0
		}
	}
	cost := int64(len(b.items))
	switch {
	case len(b.items) == limit:
		reason = ReasonSize
	case maxWeight > 0 && weight >= maxWeight:
		reason = ReasonWeight
	}
	if maxWeight > 0 {
		cost = weight
	}
	if l.q.n > 0 { // otherwise the lane is gone already
		c.backlog.charge(l, cost, c.quantum())
	}
	c.begun = now
	b.event.Reason = reason
	b.live.Store(int64(len(b.items)))
	b.ctx.owner = c
	if latest == noDeadline {
		b.ctx.Context, b.cancel = context.WithCancel(context.Background())
	} else {
		b.ctx.Context, b.cancel = context.WithDeadline(context.Background(), c.start.Add(latest))
	}
	b.link(&c.running)
	b.hasSlot = true
	c.stats.InFlight++
	c.stats.Running += len(b.items)
	return b
}

// turn says with which of the lane's classes the next batch begins, and which class has the oldest request.
func (c *core[K, Req, Resp]) turn(l *lane[K, Req, Resp]) (first, eldest int) {
	at := l.q.oldest()
	if l.leftOut >= c.cfg.ClassTurn {
		first = at
	}
	return first, l.q.list[at].level
}

// leave counts a member out, and cancels the run when it was the last.
func (b *batch[K, Req, Resp]) leave() {
	if b.live.Add(-1) == 0 {
		b.cancel()
	}
}

func (b *batch[K, Req, Resp]) link(list **batch[K, Req, Resp]) {
	b.next = *list
	if b.next != nil {
		b.next.prev = b
	}
	*list = b
}

func (b *batch[K, Req, Resp]) unlink(list **batch[K, Req, Resp]) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		*list = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
}
