package batching

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// core is the machinery of Batcher and Keyed: one queue for each key (its lane), one set of slots for all.
//
// A request goes from its caller into its lane; if the lane is full (or its bound in time has come) and a
// slot is free, a worker goroutine is started with a batch from it. A worker that is done takes the next
// batch itself, as long as there is one, and ends otherwise: nothing runs while nothing is queued.
//
// One rule keeps the choice cheap: whenever a slot is free, all lanes that are left are waiting for
// company. So an arrival has to look at its own lane only, the timer only at the lanes that are due, and a slot that
// becomes free takes the lane whose turn it is.
type core[K comparable, Req, Resp any] struct {
	run      func(ctx context.Context, key K, reqs []Req) ([]Resp, error)
	opts     options[Req]
	keyed    bool
	start    time.Time // the zero of all times inside
	itemPool sync.Pool // of *item
	lanePool sync.Pool // of *lane, Keyed only

	mu       sync.Mutex
	cfg      *Config // never nil; replaced, not changed
	given    Config  // the same without the defaults
	single   lane[K, Req, Resp]
	lanes    map[K]*lane[K, Req, Resp] // those in backlog; Keyed only
	mostKeys int                       // in lanes since it was made
	backlog  backlog[K, Req, Resp]
	census   census[K, Req, Resp]  // of what is queued; Keyed only
	room     classes[K, Req, Resp] // callers that wait for room in the queue, in order
	aimd     aimd
	latency  *latency           // nil if the policy is not Deadline
	longest  time.Duration      // no batch is expected to take longer
	begun    time.Duration      // when the last batch was taken
	failed   fifo[K, Req, Resp] // have their error, and are told when mu is free
	running  *batch[K, Req, Resp]
	workers  int                     // goroutines
	spares   [][]*item[K, Req, Resp] // batch.items for reuse
	timer    *time.Timer
	armedFor time.Duration // when timer fires; 0 if it is not armed
	draining bool          // Shutdown or Close was called
	idle     chan struct{} // closed when nothing is queued or running; made by who waits for it
	stats    Stats
}

func newCore[K comparable, Req, Resp any](
	run func(ctx context.Context, key K, reqs []Req) ([]Resp, error), keyed bool, cfg Config, opts []Option[Req],
) (*core[K, Req, Resp], error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if o.join != nil {
		if _, ok := o.join.(func([]Resp) (Resp, error)); !ok {
			return nil, fmt.Errorf("batching: WithSplit: join is %T, the run function needs %T", o.join, (func([]Resp) (Resp, error))(nil))
		}
	}
	given := cfg.clone()
	if cfg, err = o.check(cfg); err != nil {
		return nil, err
	}
	c := &core[K, Req, Resp]{run: run, opts: o, keyed: keyed, cfg: &cfg, given: given, start: time.Now()}
	c.adopt(cfg)
	c.itemPool.New = func() any { return &item[K, Req, Resp]{wake: make(chan struct{}, 1)} }
	if keyed {
		c.lanes = make(map[K]*lane[K, Req, Resp])
	}
	return c, nil
}

func (c *core[K, Req, Resp]) now() time.Duration { return time.Since(c.start) }

func (c *core[K, Req, Resp]) free() bool { return c.stats.InFlight < c.cfg.Concurrency }

// quantum is a lane's share of each round, in the unit of cost: that of one full batch.
func (c *core[K, Req, Resp]) quantum() int64 {
	if c.cfg.MaxWeight > 0 {
		return int64(c.cfg.MaxWeight)
	}
	return int64(c.cfg.MaxSize)
}

// fits reports whether the queue has room for it.
func (c *core[K, Req, Resp]) fits(n int, weight int64) bool {
	limit := int64(math.MaxInt64)
	if c.cfg.MaxQueueWeight > 0 {
		limit = int64(c.cfg.MaxQueueWeight)
	}
	return n <= c.cfg.MaxQueue-c.stats.Queued && weight <= limit-c.stats.QueuedWeight
}

// admit lets the item in, to the queue or to wait for room in it. The caller has checked for rejection and
// calls kick afterwards, unless the item just joins others: see enqueue.
func (c *core[K, Req, Resp]) admit(it *item[K, Req, Resp]) (joins bool) {
	c.stats.Accepted++
	if c.mayEnter(it.class) && c.fits(1, it.weight) {
		return c.enqueue(it)
	}
	if !c.free() && c.evict(1, it.weight, it.class) {
		c.enqueue(it)
		return false // what lost its place may have changed more
	}
	it.state = stateBlocked
	c.room.push(it, false)
	c.stats.Blocked++
	return false
}

// mayEnter reports whether nobody waits for room whom a request of that class must not overtake.
func (c *core[K, Req, Resp]) mayEnter(class int) bool {
	head := c.room.head()
	return head == nil || head.class < class
}

// enqueue puts the item into its lane, and dispatches the lane if that made it full and a slot is free. It reports whether the
// item just joins others that wait and leaves all else as it was: nothing is due sooner, and the queue has room left. That is so for
// most requests, and kick would then find nothing to do.
func (c *core[K, Req, Resp]) enqueue(it *item[K, Req, Resp]) (joins bool) {
	l := c.laneOf(it.key)
	it.lane = l
	it.target = c.cfg.Policy.targetOf(it.arrived, it.deadline)
	it.state = stateQueued
	l.q.push(it, c.deadlines())
	if c.keyed {
		c.census.add(it)
	}
	c.stats.Queued++
	c.stats.QueuedWeight += it.weight
	if due := c.due(l, it); l.q.n == 1 {
		l.due = due
		c.backlog.add(l, c.quantum())
	} else if due != l.due {
		c.backlog.setDue(l, due)
	} else if !c.full(l) {
		return c.fits(1, 1)
	}
	for c.free() && c.full(l) {
		c.dispatch(l, ReasonSize)
	}
	return false
}

// refill moves callers from the waiting room into the queue, as far as it has room.
func (c *core[K, Req, Resp]) refill() {
	// Into an empty queue goes what a lowered bound would keep out for ever.
	for it := c.room.head(); it != nil && (c.stats.Queued == 0 || c.fits(1, it.weight)); it = c.room.head() {
		c.room.remove(it)
		c.stats.Blocked--
		c.enqueue(it)
	}
}

// kick must follow whatever puts requests into the queue, takes them out, or frees a slot: it lets the next in,
// dispatches what need not wait and sets the timer for the rest.
func (c *core[K, Req, Resp]) kick() {
	for {
		c.refill()
		if !c.free() || c.backlog.turn == nil || c.waits() {
			c.arm()
			return
		}
		c.dispatch(c.backlog.pick(c.quantum()), c.slotReason())
	}
}

func (c *core[K, Req, Resp]) laneOf(key K) *lane[K, Req, Resp] {
	if !c.keyed {
		return &c.single
	}
	l := c.lanes[key]
	if l == nil {
		if l, _ = c.lanePool.Get().(*lane[K, Req, Resp]); l == nil {
			l = new(lane[K, Req, Resp])
		}
		l.key = key
		c.lanes[key] = l
		c.mostKeys = max(c.mostKeys, len(c.lanes))
	}
	return l
}

// unqueue takes the item out of its lane, and forgets the lane if that was its last.
func (c *core[K, Req, Resp]) unqueue(it *item[K, Req, Resp]) {
	l := it.lane
	it.lane = nil
	l.q.remove(it)
	if c.keyed {
		c.census.remove(it)
	}
	c.stats.Queued--
	c.stats.QueuedWeight -= it.weight
	if l.q.n > 0 {
		return
	}
	c.backlog.remove(l)
	if !c.keyed {
		return
	}
	delete(c.lanes, l.key)
	if len(c.lanes) == 0 && c.mostKeys > 1024 {
		// A map keeps the size that it once had.
		c.lanes = make(map[K]*lane[K, Req, Resp])
		c.backlog.byDue = nil
		c.mostKeys = 0
	}
	var none K
	l.key, l.leftOut = none, 0
	c.lanePool.Put(l)
}

// full reports whether waiting could add nothing to the lane's next batch.
func (c *core[K, Req, Resp]) full(l *lane[K, Req, Resp]) bool {
	return l.q.n >= c.sizeLimit() || c.cfg.MaxWeight > 0 && l.q.weight >= int64(c.cfg.MaxWeight)
}

// dispatch starts a worker with a batch from the lane, unless all its requests are lost. There must be a free slot.
func (c *core[K, Req, Resp]) dispatch(l *lane[K, Req, Resp], reason Reason) {
	if b := c.take(l, reason); b != nil {
		c.workers++
		go c.work(b)
	}
}

// dispatchAll uses all free slots for whatever is queued.
func (c *core[K, Req, Resp]) dispatchAll(reason Reason) {
	for c.free() && c.backlog.turn != nil {
		c.dispatch(c.backlog.pick(c.quantum()), reason)
		c.refill()
	}
	c.kick()
}

// release gives the slot of a batch back.
func (c *core[K, Req, Resp]) release(b *batch[K, Req, Resp]) {
	c.stats.InFlight--
	b.unlink(&c.running)
}

// next is what a worker does whose batch is over: it returns the batch for which its slot is used next, or nil.
func (c *core[K, Req, Resp]) next(done *batch[K, Req, Resp]) *batch[K, Req, Resp] {
	c.mu.Lock()
	defer c.unlock()
	if len(c.spares) < c.cfg.Concurrency {
		clear(done.items)
		c.spares = append(c.spares, done.items[:0])
	}
	var b *batch[K, Req, Resp]
	if done.hasSlot {
		wasBusy := !c.free()
		c.release(done)
		// If a slot has been free all along, the lanes that are left wait for company, and may go on to.
		for wasBusy && c.free() && b == nil && c.backlog.turn != nil {
			b = c.take(c.backlog.pick(c.quantum()), c.slotReason())
		}
		c.kick()
	}
	if b == nil {
		c.workers--
		c.checkIdle()
	}
	return b
}

func (c *core[K, Req, Resp]) slotReason() Reason {
	if c.draining {
		return ReasonClose
	}
	return ReasonSlot
}

// leave is what a caller does whose context has ended: it takes its request out of the queue, or leaves it to the
// batch that runs. It returns false if the request has its outcome already: the wake-up is then on its way.
func (c *core[K, Req, Resp]) leave(it *item[K, Req, Resp], expired bool) bool {
	c.mu.Lock()
	if it.state == stateRunning {
		if !it.outcome.CompareAndSwap(outcomeOpen, outcomeLeft) {
			c.mu.Unlock()
			return it.outcome.Load() == outcomeDropped
		}
		b := it.batch
		c.stats.Running--
		c.stats.Abandoned++
		c.mu.Unlock()
		b.leave()
		return true
	}
	defer c.unlock()
	switch it.state {
	case stateBlocked:
		c.room.remove(it)
		c.stats.Blocked--
	case stateQueued:
		c.unqueue(it)
	default:
		return false
	}
	it.state = stateOver
	c.stats.Drops.left(expired)
	c.kick()
	c.checkIdle()
	return true
}
