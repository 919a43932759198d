package bulkhead

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/internal/stripe"
)

// The fields of core.state, a signed word: what is free, over a count of admissions, over a flag.
const (
	waiting   = 1               // somebody waits in the queue
	counted   = 1 << 1          // one admission
	countFull = timedEvery << 1 // set when the count has to be moved to core.admitted
	unit      = 1 << unitBits   // one unit of cost

	unitBits = 8

	// timedEvery is how many admissions without waiting there are to one that is timed, while there is plenty of room.
	timedEvery = 64
)

// core is the bulkhead without the types of the requests.
//
// A call takes its cost by one compare-and-swap on state if nobody waits and enough is free (take), and gives it back by one addition
// (free). While there is plenty of room part of it is in stripes (see place), with which calls do the same. All else happens under mu. No wake-up is lost, since both sides use the one word, whose changes have an order:
//
//   - Who has to wait sets the waiting flag, then looks at what is free (drain), both under mu.
//   - Who releases adds to what is free, and sees from the result of the same addition whether the flag is set.
//
// If the addition comes first, drain sees what it freed. If the flag comes first, the releaser sees it and calls drain
// itself, when it gets mu, which is after the waiter is in the queue. In between, nobody else gets what was
// freed: the flag keeps calls off the fast path, and those that get mu first go into the queue, in their place.
//
// Whenever mu is free, the flag is set if and only if the queue is not empty.
//
// What is free is negative while there is a debt, after Resize or Settle. Of the 56 bits that it has, capacity and cost take
// 40 at most, and Settle keeps the debt below 50.
//
// The count is in the same word because a second one, written by all processors at each call, would cost as much again
// as everything else.
type core struct {
	state   atomic.Int64
	_       [56]byte // what follows is read by all
	stripes []place  // none on a single processor

	cfg     Config
	start   time.Time // the zero of all times inside
	waiters sync.Pool // of *waiter

	capacity atomic.Int64 // written under mu

	mu        sync.Mutex
	striped   bool // the stripes are open
	queue     queue
	woken     fifo // have their outcome; unlock wakes them
	estimate  estimate
	overtakes uint64

	admitted  atomic.Uint64 // those counted in state come on top
	queued    atomic.Uint64
	queueWait atomic.Int64
	cancelled atomic.Uint64
	expired   atomic.Uint64
	rejected  [reasons]atomic.Uint64
}

func (c *core) init(cfg Config) {
	c.cfg, c.start = cfg, time.Now()
	c.waiters.New = func() any { return &waiter{ready: make(chan struct{}, 1)} }
	c.capacity.Store(int64(cfg.Capacity))
	c.state.Store(int64(cfg.Capacity) * unit)
	if n := stripe.Count(); n > 1 {
		c.stripes = make([]place, n)
	}
	for i := range c.stripes {
		c.stripes[i].state.Store(closed)
	}
}

func (c *core) now() time.Duration { return time.Since(c.start) }

// ticket is an admission. It is settled by one release.
type ticket struct {
	cost  int64
	since time.Duration // when it was admitted, or untimed
	from  *atomic.Int64 // core.state, or that of a stripe
}

const untimed time.Duration = -1

// acquire admits a call, whose context has been checked. If try is set it does not wait.
func (c *core) acquire(ctx context.Context, cost int, try bool) (ticket, error) {
	if cost <= 0 {
		if cost < 0 {
			return ticket{}, c.reject(rejection{outcome: outcome{reason: ReasonBadRequest}, cost: int64(cost), class: classOf(ctx)})
		}
		c.admitted.Add(1)
		return ticket{since: untimed, from: &c.state}, nil
	}
	if n := len(c.stripes); n > 0 {
		from := &c.stripes[stripe.Index(n)].state
		if s, ok := c.take(from, int64(cost)); ok {
			if s&(countFull-counted) != 0 {
				return ticket{int64(cost), untimed, from}, nil
			}
			return ticket{int64(cost), c.now(), from}, nil
		}
	}
	if s, ok := c.take(&c.state, int64(cost)); ok {
		// Reading the clock twice costs more than all the rest, so not every call is timed: one now and then, and those that leave
		// no room for another like them. That is few while there is room, and nearly all when the estimate is about to be needed.
		if s&(countFull-counted) != 0 && s>>unitBits >= 2*int64(cost) {
			return ticket{int64(cost), untimed, &c.state}, nil
		}
		return ticket{int64(cost), c.now(), &c.state}, nil
	}
	return c.acquireSlow(ctx, int64(cost), try)
}

// take takes the cost from core.state or from a stripe, if it is free there and the flag is not set. It returns the state before that.
func (c *core) take(from *atomic.Int64, cost int64) (int64, bool) {
	for {
		s := from.Load()
		switch {
		case s&waiting != 0 || s>>unitBits < cost:
			return s, false
		case s&countFull != 0:
			c.mu.Lock()
			c.moveCount(from)
			c.open()
			c.mu.Unlock()
		case from.CompareAndSwap(s, s-cost*unit+counted):
			return s, true
		}
	}
}

// takeOnly is take under mu, with the queue empty. It does not count the admission.
func (c *core) takeOnly(cost int64) bool {
	for {
		s := c.state.Load()
		if s>>unitBits < cost {
			return false
		}
		if c.state.CompareAndSwap(s, s-cost*unit) {
			return true
		}
	}
}

// moveCount empties the count of admissions in a state if it is full, under mu. Being full, it does not change meanwhile.
func (c *core) moveCount(state *atomic.Int64) {
	if state.Load()&countFull != 0 {
		state.Add(-countFull)
		c.admitted.Add(countFull / counted)
	}
}

// release ends an admission.
func (c *core) release(t ticket) {
	if t.since == untimed {
		c.free(t.from, t.cost)
		return
	}
	held := c.now() - t.since
	if t.from == &c.state || !giveBack(t.from, t.cost) {
		c.state.Add(t.cost * unit)
	}
	c.mu.Lock()
	c.estimate.observe(t.cost, held)
	c.drain()
	c.unlock()
}

// free gives back what was taken, and wakes those that it is enough for.
func (c *core) free(from *atomic.Int64, cost int64) {
	if from != &c.state && giveBack(from, cost) {
		return
	}
	if c.state.Add(cost*unit)&waiting != 0 {
		c.mu.Lock()
		c.drain()
		c.unlock()
	}
}

// available is what is free now in core.state, negative if there is a debt: all that is free, unless the stripes are open.
func (c *core) available() int64 { return c.state.Load() >> unitBits }

// drain grants what can be granted to those in the queue. It must follow, under mu, whatever adds to what is free or changes the queue.
//
// What is free may grow meanwhile, which the releaser will see to, and shrink by Settle, which may take what
// was about to be granted: that is the same as if it had come right after the grant.
func (c *core) drain() {
	for c.queue.n > 0 {
		free := c.available()
		if free <= 0 {
			return
		}
		w := c.queue.first()
		if w.cost > free {
			head := w
			if head.passed >= c.cfg.MaxOvertakes {
				return
			}
			if w = c.queue.fitting(free); w == nil {
				return
			}
			head.passed++
			c.overtakes++
		}
		c.state.Add(-w.cost * unit)
		c.remove(w, outcome{state: stateGranted})
	}
	c.state.And(^waiting)
}

// remove takes a waiter out of the queue, with its outcome. drain must follow: it may have been the one that did not fit.
func (c *core) remove(w *waiter, o outcome) {
	c.queue.remove(w)
	c.finish(w, o)
}

// finish gives a waiter that is not in the queue its outcome; unlock tells it.
func (c *core) finish(w *waiter, o outcome) {
	w.outcome = o
	c.woken.push(w)
}

// unlock unlocks mu and wakes those that have their outcome.
func (c *core) unlock() {
	w := c.woken.head
	c.woken = fifo{}
	c.mu.Unlock()
	for w != nil {
		next := w.next
		w.prev, w.next = nil, nil
		w.ready <- struct{}{} // does not block; w is its caller's from here on
		w = next
	}
}

func (c *core) resize(capacity int) error {
	if capacity < 1 || int64(capacity) > maxCapacity {
		return fmt.Errorf("bulkhead: Resize to %d: the capacity must be from 1 to 1<<40", capacity)
	}
	c.mu.Lock()
	defer c.unlock()
	c.close()
	old := c.capacity.Swap(int64(capacity))
	c.state.Add((int64(capacity) - old) * unit)
	for i := range c.queue.class {
		for w := c.queue.class[i].head; w != nil; {
			next := w.next
			if w.cost > int64(capacity) {
				c.remove(w, outcome{state: stateRejected, reason: ReasonTooLarge})
			}
			w = next
		}
	}
	c.drain()
	return nil
}

func (c *core) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The stripes come first: what Settle takes from core.state may go into a stripe by Release, but nothing goes the other way while mu is
	// held. So nothing that is free is counted twice, and InUse is never below 0.
	var free int64
	admitted := c.admitted.Load()
	count := func(state int64) {
		free += state >> unitBits
		admitted += uint64(state & (unit - 1) / counted)
	}
	for i := range c.stripes {
		count(c.stripes[i].state.Load())
	}
	count(c.state.Load())
	capacity := c.capacity.Load()
	return Stats{
		Admitted:  admitted,
		Waited:    c.queued.Load(),
		Overtakes: c.overtakes,
		Rejected: Rejections{
			Full:       c.rejected[ReasonFull].Load(),
			Evicted:    c.rejected[ReasonEvicted].Load(),
			Deadline:   c.rejected[ReasonDeadline].Load(),
			MaxWait:    c.rejected[ReasonMaxWait].Load(),
			TooLarge:   c.rejected[ReasonTooLarge].Load(),
			BadRequest: c.rejected[ReasonBadRequest].Load(),
		},
		Cancelled:  c.cancelled.Load(),
		Expired:    c.expired.Load(),
		QueueWait:  time.Duration(c.queueWait.Load()),
		Capacity:   int(capacity),
		InUse:      capacity - free,
		Queued:     c.queue.n,
		QueuedCost: c.queue.costFrom(0),
		HoldTime:   c.estimate.holdTime(),
	}
}
