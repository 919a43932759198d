package bulkhead

import (
	"math"
	"time"
)

// What has become of a waiter. It changes under core.mu, once.
const (
	stateQueued   uint8 = iota
	stateGranted        // its cost has been taken for it
	stateRejected       // for a reason
	stateLeft           // its context ended
)

type outcome struct {
	state    uint8
	reason   Reason
	expected time.Duration // wait, for the rejected
}

// waiter is one caller in the queue and the place where it waits. Waiters are pooled: its caller recycles it when it has taken
// the wake-up, after which nobody else looks at it.
type waiter struct {
	prev, next *waiter
	cost       int64 // positive
	class      int
	rank       time.Duration // when it came, less what its priority is worth; the smaller the sooner
	passed     int           // callers that went first while it was at the head and did not fit
	outcome    outcome

	ready chan struct{} // the wake-up; one slot
	timer *time.Timer   // made when first needed
}

// fifo is a doubly linked list through the waiters' own links.
type fifo struct {
	head, tail *waiter
	cost       int64
	lightest   int64 // no waiter costs less (a lower bound)
}

func (q *fifo) push(w *waiter) {
	w.prev, w.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = w
	} else {
		q.head, q.lightest = w, math.MaxInt64
	}
	q.tail = w
	q.cost += w.cost
	q.lightest = min(q.lightest, w.cost)
}

func (q *fifo) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.tail = w.prev
	}
	w.prev, w.next = nil, nil
	q.cost -= w.cost
}

// fitting returns the first waiter that costs at most free. A search in vain makes the lower bound exact, so that a
// queue of heavy waiters is not searched again at each release.
func (q *fifo) fitting(free int64) *waiter {
	if q.head == nil || q.lightest > free {
		return nil
	}
	lightest := int64(math.MaxInt64)
	for w := q.head; w != nil; w = w.next {
		if w.cost <= free {
			return w
		}
		lightest = min(lightest, w.cost)
	}
	q.lightest = lightest
	return nil
}

// queue holds the waiters: one list for each priority, each in the order of arrival. Their common order is
// that of rank, which never changes: a waiter ages as fast as those that it is compared with, so that
// ageing takes no work.
type queue struct {
	class [classes]fifo
	n     int
}

func (q *queue) push(w *waiter) {
	q.class[w.class].push(w)
	q.n++
}

func (q *queue) remove(w *waiter) {
	q.class[w.class].remove(w)
	q.n--
}

// first returns the waiter whose turn it is, nil if there is none.
func (q *queue) first() *waiter { return q.fitting(math.MaxInt64) }

// fitting returns the first waiter in order that costs at most free, nil if there is none. Of equals the higher priority goes first.
func (q *queue) fitting(free int64) *waiter {
	var first *waiter
	for i := classes - 1; i >= 0; i-- {
		if w := q.class[i].fitting(free); w != nil && (first == nil || w.rank < first.rank) {
			first = w
		}
	}
	return first
}

// newestOfLowest returns the waiter that gives way first.
func (q *queue) newestOfLowest() *waiter {
	for i := range q.class {
		if w := q.class[i].tail; w != nil {
			return w
		}
	}
	return nil
}

// costFrom returns the cost of all waiters of the class and those above.
func (q *queue) costFrom(class int) int64 {
	var cost int64
	for i := class; i < classes; i++ {
		cost += q.class[i].cost
	}
	return cost
}
