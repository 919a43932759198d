package batching

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Where a request is. It changes under core.mu.
const (
	stateNew     uint8 = iota
	stateBlocked       // waits for room in the queue
	stateQueued        // in its lane
	stateRunning       // in a batch, which decides its outcome
	stateOver          // failed, or its caller went away, before it was in a batch
)

// The outcome of a request in a batch. It is decided by a compare-and-swap, either by the worker that has its result or
// by its caller that goes away, so that exactly one of them decides it.
const (
	outcomeOpen    uint32 = iota
	outcomeDone           // has its result; the wake-up is on its way
	outcomeLeft           // the caller went away while the batch ran
	outcomeDropped        // the caller's context had ended when the batch was about to run
)

const noDeadline = time.Duration(math.MaxInt64)

// item is one request and the place where its caller waits. Items of Do are pooled: whoever takes the wake-up, or
// removes a queued item, returns it; an item that its caller left running is left to the garbage collector,
// because the worker still looks at it.
type item[K comparable, Req, Resp any] struct {
	prev, next   *item[K, Req, Resp]  // in the lane or in the waiting room
	older, newer *item[K, Req, Resp]  // in the census
	branch       branch[K, Req, Resp] // in its class's tree
	lane         *lane[K, Req, Resp]
	batch        *batch[K, Req, Resp]
	group        *group        // the DoAll it belongs to, or nil
	wake         chan struct{} // one slot; nil if there is a group

	outcome  atomic.Uint32
	state    uint8
	answered bool            // resp and err are set
	key      K               // for the lane, while it is blocked
	ctx      context.Context // nil if it cannot be cancelled
	class    int             // priority
	arrived  time.Duration   // since core.start, as all times here
	deadline time.Duration   // of ctx, or noDeadline
	target   time.Duration   // an answer after that is late: the deadline, or sooner if the policy says so
	weight   int64

	req  Req
	resp Resp
	err  error
}

// group is the one wake-up for all items of a DoAll.
type group struct {
	pending atomic.Int64
	wake    chan struct{} // one slot
}

// deliver wakes the caller. The item belongs to the caller from then on.
func (it *item[K, Req, Resp]) deliver() {
	if g := it.group; g != nil {
		if g.pending.Add(-1) == 0 {
			g.wake <- struct{}{}
		}
		return
	}
	it.wake <- struct{}{}
}

// fifo is a doubly linked list through the items' own links: removal from the middle costs the same as from the
// head, and nothing allocates.
type fifo[K comparable, Req, Resp any] struct {
	head, tail *item[K, Req, Resp]
	n          int
	weight     int64
}

func (q *fifo[K, Req, Resp]) push(it *item[K, Req, Resp]) {
	it.prev, it.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = it
	} else {
		q.head = it
	}
	q.tail = it
	q.n++
	q.weight += it.weight
}

func (q *fifo[K, Req, Resp]) pushFront(it *item[K, Req, Resp]) {
	it.prev, it.next = nil, q.head
	if q.head != nil {
		q.head.prev = it
	} else {
		q.tail = it
	}
	q.head = it
	q.n++
	q.weight += it.weight
}

func (q *fifo[K, Req, Resp]) remove(it *item[K, Req, Resp]) {
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		q.head = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		q.tail = it.prev
	}
	it.prev, it.next = nil, nil
	q.n--
	q.weight -= it.weight
}
