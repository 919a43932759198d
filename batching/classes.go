package batching

import (
	"context"
	"slices"
	"time"
)

type priorityKey struct{}

// WithPriority puts the requests that are made with the returned context into a class: higher classes are served first. The class of
// a request whose context says nothing is 0; classes may be negative. Use few: a handful, not one for each caller.
//
// Classes order the requests of one batcher, in [Keyed] those of one key: between keys the turns stay fair. So that low classes do not
// starve, a batch now and then begins with the class of the oldest request: see [Config].ClassTurn.
//
// When the queue is full, a request takes the place of the newest request of the lowest class, whatever its key, if that class is lower
// than its own: see [ErrEvicted].
func WithPriority(ctx context.Context, class int) context.Context {
	return context.WithValue(ctx, priorityKey{}, class)
}

func priorityOf(ctx context.Context) int {
	class, _ := ctx.Value(priorityKey{}).(int)
	return class
}

// class holds the waiting requests of one priority class, in the order of arrival and, if the policy asks for it, by deadline.
type class[K comparable, Req, Resp any] struct {
	level  int
	q      fifo[K, Req, Resp]
	byTime tree[K, Req, Resp]
}

// classes holds waiting requests: those of the highest class first. There are only classes that have requests.
type classes[K comparable, Req, Resp any] struct {
	list    []class[K, Req, Resp]
	n       int
	weight  int64
	arrived time.Duration // sum over the requests
}

// at is where the class is in the list, or belongs.
func (cs *classes[K, Req, Resp]) at(level int) (int, bool) {
	for i := range cs.list {
		if cs.list[i].level <= level {
			return i, cs.list[i].level == level
		}
	}
	return len(cs.list), false
}

func (cs *classes[K, Req, Resp]) class(level int) *class[K, Req, Resp] {
	i, found := cs.at(level)
	if !found {
		cs.list = slices.Insert(cs.list, i, class[K, Req, Resp]{level: level})
	}
	return &cs.list[i]
}

// push adds a request as the newest of its class; timed says whether it is wanted by deadline.
func (cs *classes[K, Req, Resp]) push(it *item[K, Req, Resp], timed bool) {
	cl := cs.class(it.class)
	cl.q.push(it)
	cs.added(cl, it, timed)
}

// pushFront adds a request as the oldest of its class.
func (cs *classes[K, Req, Resp]) pushFront(it *item[K, Req, Resp], timed bool) {
	cl := cs.class(it.class)
	cl.q.pushFront(it)
	cs.added(cl, it, timed)
}

func (cs *classes[K, Req, Resp]) added(cl *class[K, Req, Resp], it *item[K, Req, Resp], timed bool) {
	if timed {
		cl.byTime.insert(it)
	}
	cs.n++
	cs.weight += it.weight
	cs.arrived += it.arrived
}

func (cs *classes[K, Req, Resp]) remove(it *item[K, Req, Resp]) {
	i, _ := cs.at(it.class)
	cl := &cs.list[i]
	cl.q.remove(it)
	if cl.byTime.root != nil {
		cl.byTime.remove(it)
	}
	if cl.q.n == 0 {
		cs.list = slices.Delete(cs.list, i, i+1)
	}
	cs.n--
	cs.weight -= it.weight
	cs.arrived -= it.arrived
}

// head is the oldest request of the highest class, nil if there is none.
func (cs *classes[K, Req, Resp]) head() *item[K, Req, Resp] {
	if len(cs.list) == 0 {
		return nil
	}
	return cs.list[0].q.head
}

// oldest is where the class of the oldest request is in the list, which is not empty.
func (cs *classes[K, Req, Resp]) oldest() int {
	oldest := 0
	for i := range cs.list {
		if cs.list[i].q.head.arrived < cs.list[oldest].q.head.arrived {
			oldest = i
		}
	}
	return oldest
}

// order sorts the class for a policy that has just come into force.
func (cl *class[K, Req, Resp]) order(p Policy) {
	cl.byTime = tree[K, Req, Resp]{}
	for it := cl.q.head; it != nil; it = it.next {
		it.target = p.targetOf(it.arrived, it.deadline)
		if p.kind == policyDeadline {
			cl.byTime.insert(it)
		}
	}
}
