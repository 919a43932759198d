package limiter

import (
	"sync"
	"time"
)

// waiter is a request that waits. Waiters are pooled: whoever takes the wake-up, or takes itself out of the queue, returns it.
type waiter struct {
	prev, next *waiter
	wake       chan struct{} // one slot
	queued     bool          // in the queue; otherwise it has its outcome and the wake-up is on its way
	cost       int
	weight     int64         // cost, bounded so that the sum over a queue does not overflow
	arrived    time.Duration // since core.start
	deadline   time.Duration // of its context, likewise, or Never
	waited     time.Duration // set with the outcome
	err        error         // the outcome: nil if it was let through
	from       epochs        // of the limits that it took from
}

// waiterPool belongs to one Limiter or Keyed, not to the package: the channels of one that is used in a synctest bubble must not get into
// another.
type waiterPool struct{ pool sync.Pool }

func (p *waiterPool) get(cost int, arrived, deadline time.Duration) *waiter {
	w, _ := p.pool.Get().(*waiter)
	if w == nil {
		w = &waiter{wake: make(chan struct{}, 1)}
	}
	w.cost, w.weight = cost, min(int64(cost), 2*MaxEvents)
	w.arrived, w.deadline = arrived, deadline
	return w
}

func (p *waiterPool) put(w *waiter) {
	w.err = nil
	p.pool.Put(w)
}

// fifo is a doubly linked list through the waiters' own links, so that leaving from the middle is cheap and nothing allocates.
type fifo struct {
	head, tail *waiter
	n          int
	weight     int64
}

func (q *fifo) push(w *waiter) {
	w.queued = true
	w.prev, w.next = q.tail, nil
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.n++
	q.weight += w.weight
}

func (q *fifo) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued = false
	w.prev, w.next = nil, nil
	q.n--
	q.weight -= w.weight
}
