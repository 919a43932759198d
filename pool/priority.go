package pool

import (
	"context"
	"slices"
)

type priorityKey struct{}

// WithPriority puts the requests that are made with the returned context into a class: higher classes are served first. The
// class of a request whose context says nothing is 0; classes may be negative. Use few: a handful, not one for each caller.
//
// So that low classes do not starve, a worker now and then takes the oldest request of all: see [Config].ClassTurn. When
// the queue is full, a higher class is the first to get room in it; with Config.RejectWhenFull it takes the place of the
// newest request of the lowest class, if that is lower than its own: see [ErrEvicted].
func WithPriority(ctx context.Context, class int) context.Context {
	return context.WithValue(ctx, priorityKey{}, class)
}

func priorityOf(ctx context.Context) int {
	class, _ := ctx.Value(priorityKey{}).(int)
	return class
}

// class is the waiting requests of one priority, in the order of arrival: a list through the tasks' own links, so that
// leaving it costs the same anywhere.
type class[Req, Resp any] struct {
	level      int
	head, tail *task[Req, Resp]
}

// waiting is requests in order: by class, the highest first, and by arrival. There are only classes that have requests.
type waiting[Req, Resp any] struct {
	classes []class[Req, Resp]
	n       int
	passed  int // requests in a row that were taken while other classes waited
}

func (q *waiting[Req, Resp]) find(level int) (int, bool) {
	for i := range q.classes {
		if q.classes[i].level <= level {
			return i, q.classes[i].level == level
		}
	}
	return len(q.classes), false
}

func (q *waiting[Req, Resp]) push(t *task[Req, Resp]) {
	i, found := q.find(t.class)
	if !found {
		q.classes = slices.Insert(q.classes, i, class[Req, Resp]{level: t.class})
	}
	c := &q.classes[i]
	if c.tail == nil {
		c.head = t
	} else {
		t.prev, c.tail.next = c.tail, t
	}
	c.tail = t
	q.n++
}

func (q *waiting[Req, Resp]) remove(t *task[Req, Resp]) {
	i, _ := q.find(t.class)
	c := &q.classes[i]
	prev, next := t.prev, t.next
	if prev == nil {
		c.head = next
	} else {
		prev.next, t.prev = next, nil
	}
	if next == nil {
		c.tail = prev
	} else {
		next.prev, t.next = prev, nil
	}
	q.n--
	if c.head == nil {
		q.classes = slices.Delete(q.classes, i, i+1)
	}
}

// first is the oldest of the highest class, nil if there is none.
func (q *waiting[Req, Resp]) first() *task[Req, Resp] {
	if q.n == 0 {
		return nil
	}
	return q.classes[0].head
}

// last is the newest of the lowest class, nil if there is none.
func (q *waiting[Req, Resp]) last() *task[Req, Resp] {
	if q.n == 0 {
		return nil
	}
	return q.classes[len(q.classes)-1].tail
}

// take removes the request whose turn it is; nil if there is none.
func (q *waiting[Req, Resp]) take(classTurn int) *task[Req, Resp] {
	if q.n == 0 {
		return nil
	}
	t := q.classes[0].head
	switch {
	case len(q.classes) == 1:
		q.passed = 0
	case q.passed < classTurn:
		q.passed++
	default:
		q.passed = 0
		for i := range q.classes[1:] {
			if other := q.classes[i+1].head; other.seq < t.seq {
				t = other
			}
		}
	}
	q.remove(t)
	return t
}
