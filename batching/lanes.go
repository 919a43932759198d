package batching

import (
	"container/heap"
	"time"
)

// lane is the queue of one key. It exists only while requests of that key are queued.
type lane[K comparable, Req, Resp any] struct {
	key     K
	q       classes[K, Req, Resp]
	deficit int64         // deficit round robin: what it may still send in this turn
	leftOut int           // batches in a row that took nothing of the class of the lane's oldest request
	due     time.Duration // nothing has to be done for the lane before that (a lower bound)

	prev, next *lane[K, Req, Resp] // in the ring
	index      int                 // in the heap
}

// backlog holds the lanes that have requests queued, twice: in a ring for the fair choice when a slot becomes
// free, and in a heap by due time for the waits for company while one is free.
type backlog[K comparable, Req, Resp any] struct {
	turn  *lane[K, Req, Resp] // whose turn it is; nil if there is none
	byDue dueHeap[K, Req, Resp]
}

// add puts a lane at the end of the round with a full quantum.
func (b *backlog[K, Req, Resp]) add(l *lane[K, Req, Resp], quantum int64) {
	l.deficit = quantum
	if b.turn == nil {
		l.prev, l.next = l, l
		b.turn = l
	} else {
		l.prev, l.next = b.turn.prev, b.turn
		l.prev.next, l.next.prev = l, l
	}
	heap.Push(&b.byDue, l)
}

func (b *backlog[K, Req, Resp]) remove(l *lane[K, Req, Resp]) {
	if l.next == l {
		b.turn = nil
	} else {
		l.prev.next, l.next.prev = l.next, l.prev
		if b.turn == l {
			b.turn = l.next
		}
	}
	l.prev, l.next = nil, nil
	heap.Remove(&b.byDue, l.index)
}

// pick returns the lane whose turn it is, nil if none has requests.
func (b *backlog[K, Req, Resp]) pick(quantum int64) *lane[K, Req, Resp] {
	for b.turn != nil && b.turn.deficit <= 0 {
		b.turn.deficit += quantum
		b.turn = b.turn.next
	}
	return b.turn
}

// charge takes the cost of a batch off the lane's deficit, and ends its turn when that is used up. This is
// deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with an overdraft: a batch goes if anything is left of the
// deficit and what it takes too much is paid in the next round, so that no lane has to save up for a batch.
func (b *backlog[K, Req, Resp]) charge(l *lane[K, Req, Resp], cost, quantum int64) {
	l.deficit -= cost
	if l.deficit > 0 {
		return
	}
	l.deficit = max(l.deficit+quantum, -quantum) // bounded debt: pick ends after a few rounds
	if b.turn == l {
		b.turn = l.next
	}
}

// setDue moves the lane's due time.
func (b *backlog[K, Req, Resp]) setDue(l *lane[K, Req, Resp], due time.Duration) {
	l.due = due
	heap.Fix(&b.byDue, l.index)
}

type dueHeap[K comparable, Req, Resp any] []*lane[K, Req, Resp]

func (h dueHeap[K, Req, Resp]) Len() int           { return len(h) }
func (h dueHeap[K, Req, Resp]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap[K, Req, Resp]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap[K, Req, Resp]) Push(x any) {
	l := x.(*lane[K, Req, Resp])
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *dueHeap[K, Req, Resp]) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return l
}
