package pool

import "sync/atomic"

// todo is a queue into which one goroutine at a time puts and from which any number take, in order, without a lock. It is the ring
// of a work-stealing deque (Chase and Lev, "Dynamic Circular Work-Stealing Deque", SPAA 2005) without the end where the owner takes.
// The zero value is empty.
type todo[T any] struct {
	head, tail atomic.Int64 // the items from head up to tail are there
	ring       atomic.Pointer[[]atomic.Pointer[T]]
}

func (q *todo[T]) empty() bool { return q.head.Load() == q.tail.Load() }

func (q *todo[T]) push(v *T) {
	head, tail := q.head.Load(), q.tail.Load()
	ring := q.ring.Load()
	if ring == nil || tail-head == int64(len(*ring)) {
		grown := make([]atomic.Pointer[T], max(8, 2*(tail-head)))
		for i := head; i < tail; i++ {
			grown[i%int64(len(grown))].Store((*ring)[i%int64(len(*ring))].Load())
		}
		ring = &grown
		q.ring.Store(ring)
	}
	(*ring)[tail%int64(len(*ring))].Store(v)
	q.tail.Store(tail + 1)
}

// take returns nil if the queue is empty.
func (q *todo[T]) take() *T {
	for {
		head := q.head.Load()
		if head >= q.tail.Load() {
			return nil
		}
		// What is read is another item only if somebody has taken this one, and then head has changed.
		ring := *q.ring.Load()
		v := ring[head%int64(len(ring))].Load()
		if q.head.CompareAndSwap(head, head+1) {
			return v
		}
	}
}
