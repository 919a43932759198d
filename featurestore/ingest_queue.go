package featurestore

import "time"

// item is a row that has been accepted and is not done.
type item struct {
	row      Row
	due      time.Duration // since the ingest began: when it must go, even alone
	seq      uint64
	attempts int
	outcome  Outcome // of the last one
	err      error   // the same
	unstored bool    // it has come to its end, which is not in the store
	handed   bool    // to the function of WithDeadLetter, which may not have returned
	held     bool    // nobody has it: the position of its source stops before it
	ack      func(error)

	source    *Source
	position  int64
	before    int64 // the position before it
	hasBefore bool

	links [2]struct{ prev, next *item }
	link  *item // in the queue, in the free list, or among those that a newer one stands for
	older *item // those that it stands for in a batch, linked by link
}

// The lists an item is in.
const (
	all = iota
	ofSource
)

// itemList is a doubly linked list: what is done leaves it from anywhere, in constant time and without room for what has left before.
type itemList struct{ head, tail *item }

func (l *itemList) push(it *item, which int) {
	it.links[which].prev = l.tail
	if l.tail == nil {
		l.head = it
	} else {
		l.tail.links[which].next = it
	}
	l.tail = it
}

func (l *itemList) remove(it *item, which int) {
	at := &it.links[which]
	if at.prev == nil {
		l.head = at.next
	} else {
		at.prev.links[which].next = at.next
	}
	if at.next == nil {
		l.tail = at.prev
	} else {
		at.next.links[which].prev = at.prev
	}
	at.prev, at.next = nil, nil
}

// itemQueue holds the items that have not been tried yet, in order.
type itemQueue struct {
	head, tail *item
	n          int
}

func (q *itemQueue) push(it *item) {
	if q.tail == nil {
		q.head = it
	} else {
		q.tail.link = it
	}
	q.tail = it
	q.n++
}

func (q *itemQueue) pop() *item {
	it := q.head
	q.head, it.link = it.link, nil
	if q.head == nil {
		q.tail = nil
	}
	q.n--
	return it
}

// itemHeap holds the items that are to be tried again, the first due at the top. It is a heap.Interface.
type itemHeap []*item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h itemHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Push's.
func (h *itemHeap) Push(x any) { *h = append(*h, x.(*item)) }

// Pop is heap.Pop's.
func (h *itemHeap) Pop() any {
	last := len(*h) - 1
	it := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return it
}
