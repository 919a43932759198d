package session

import (
	"math"
	"time"
)

const never = time.Duration(math.MaxInt64)

// after is the time d after at; never if that is too far away to be told. Durations are the user's, and as long as they like: the
// longest one is how to say never in a field in which 0 is the default.
func after(at, d time.Duration) time.Duration {
	if at > never-d {
		return never
	}
	return at + d
}

// The life of a request. All changes are made under Pool.mu.
const (
	stateNew     uint8 = iota
	stateBlocked       // waits for room in the queue
	stateQueued        // waits for a session
	stateGranted       // has a session
	stateFailed        // has an error
	stateDone          // with LockThread: has its outcome
	stateLeft          // with LockThread: its caller went away while it ran
)

// item is one request and the place where its caller waits. Items are pooled.
type item[S, Req, Resp any] struct {
	prev, next *item[S, Req, Resp]
	list       *fifo[S, Req, Resp] // in which it is queued
	wake       chan struct{}       // one slot

	state   uint8
	waited  bool // is woken, and not only let in
	keyed   bool
	hash    uint64 // of the key
	cost    int
	seq     uint64        // the order of arrival
	arrived time.Duration // since Pool.start, as all times here
	wait    time.Duration
	slot    *slot[S, Req, Resp]
	err     error

	// With LockThread, for the session's goroutine; nil for a check.
	call *callContext
	req  Req
	resp Resp
}

// recycle returns an item that nobody else refers to.
func (p *Pool[S, Req, Resp]) recycle(it *item[S, Req, Resp]) {
	*it = item[S, Req, Resp]{wake: it.wake}
	p.items.Put(it)
}

// fifo is a doubly linked list through the items' own links: removal from the middle costs the same as from the head, and
// nothing allocates.
type fifo[S, Req, Resp any] struct {
	head, tail *item[S, Req, Resp]
	n          int
}

func (q *fifo[S, Req, Resp]) push(it *item[S, Req, Resp]) { q.insert(q.tail, it) }

// insert puts it behind prev, or at the head if that is nil.
func (q *fifo[S, Req, Resp]) insert(prev, it *item[S, Req, Resp]) {
	next := q.head
	if prev != nil {
		next = prev.next
	}
	it.prev, it.next = prev, next
	if prev != nil {
		prev.next = it
	} else {
		q.head = it
	}
	if next != nil {
		next.prev = it
	} else {
		q.tail = it
	}
	q.n++
}

func (q *fifo[S, Req, Resp]) remove(it *item[S, Req, Resp]) {
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
}

// merge moves all of other into q, in the order of arrival.
func (q *fifo[S, Req, Resp]) merge(other *fifo[S, Req, Resp]) {
	at := q.tail
	for it := other.tail; it != nil; it = other.tail {
		other.remove(it)
		for at != nil && at.seq > it.seq {
			at = at.prev
		}
		q.insert(at, it)
		it.list = q
	}
}
