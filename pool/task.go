package pool

import (
	"context"
	"errors"
	"time"
)

// maxFree is how many tasks of Go are kept for use: as many as a queue of the usual length and its workers hold.
const maxFree = DefaultMaxQueue + 256

// state is where a task is. It changes only under Pool.mu.
type state uint8

const (
	stateNew     state = iota
	stateBlocked       // waits for room in the queue
	stateQueued
	stateRunning
	stateLeft // runs, but nobody wants the outcome
	stateOver
)

// task is one request while the pool has to do with it. It is used again: one of Do is given back by the caller when it has taken the
// wake-up, or left to the garbage collector if the caller has left it, because a worker may look at it; one of Go returns to Pool.free as
// soon as its outcome is in the Future, to which it therefore belongs only as long as task.future says so.
type task[Req, Resp any] struct {
	pool       *Pool[Req, Resp]
	future     *Future[Resp]    // where the outcome goes
	nowhere    *Future[Resp]    // what future is for a Submit: nobody has it, and it never gets an outcome; made when it is needed
	prev, next *task[Req, Resp] // in its class, or among those that run
	state      state
	inside     bool // runs inside of another request
	class      int
	seq        uint64        // in the order of arrival
	arrived    time.Duration // since Pool.start; 0 if it is not timed
	req        Req
	scope      *scope        // fn's context. It is nil if the caller's can neither end nor say anything; a Go then gets the worker's.
	stop       func() bool   // of the AfterFunc that watches the caller's context for a Go
	wake       chan struct{} // one slot. Do: the outcome is there. Go: there was room in the queue.
}

func (t *task[Req, Resp]) isGo() bool { return t.future.task != nil }

// plain reports whether ctx can neither end nor say anything. Asking for these two values cannot panic, as comparing
// arbitrary contexts could.
func plain(ctx context.Context) bool {
	return ctx == context.Background() || ctx == context.TODO()
}

func expired(ctxErr error) bool { return errors.Is(ctxErr, context.DeadlineExceeded) }

// borrow makes a task for a Go, or for a Submit if f is nil. Called under mu.
func (p *Pool[Req, Resp]) borrow(f *Future[Resp]) *task[Req, Resp] {
	var t *task[Req, Resp]
	if last := len(p.free) - 1; last >= 0 {
		t, p.free = p.free[last], p.free[:last]
	} else {
		t = &task[Req, Resp]{pool: p}
	}
	if f == nil {
		if t.nowhere == nil {
			t.nowhere = &Future[Resp]{task: t}
		}
		t.future = t.nowhere
		return t
	}
	t.future, f.task = f, t
	return t
}

// release takes back a task of Go or Submit that nothing in the pool refers to. Called under mu.
func (p *Pool[Req, Resp]) release(t *task[Req, Resp]) {
	var none Req
	t.future, t.req = nil, none
	t.state, t.inside = stateNew, false
	if t.scope != nil {
		t.scope = nil
	}
	if t.stop != nil || t.wake != nil { // seldom, and writing pointers costs something while memory is collected
		t.stop, t.wake = nil, nil
	}
	if len(p.free) < maxFree {
		p.free = append(p.free, t)
	}
}

// conclude sets the outcome of a task that nothing in the pool will execute any more. Called under mu.
func (p *Pool[Req, Resp]) conclude(t *task[Req, Resp], resp Resp, err error) notice {
	n := notice{wake: t.wake, stop: t.stop, scope: t.scope}
	switch {
	case !t.isGo():
		t.state, t.future.resp, t.future.err = stateOver, resp, err
		return n
	case t.future != t.nowhere:
		if t.state == stateBlocked { // otherwise Submit may look at it now
			t.future.rejected = true
		}
		n.waiters = t.future.finish(resp, err)
	}
	p.release(t)
	return n
}

// notice is what is to do outside the lock when a request is over.
type notice struct {
	scope   *scope
	stop    func() bool
	wake    chan struct{} // of the task: a task of Do belongs to the caller from then on, and a Go may wait for room
	waiters *waiter
}

func (n *notice) give() {
	if n.scope != nil {
		n.scope.end(endCanceled, true)
	}
	if n.stop != nil {
		n.stop()
	}
	for n.waiters != nil {
		w := n.waiters
		n.waiters, w.next = w.next, nil // it may be used again at once
		w.wake <- struct{}{}
	}
	if n.wake != nil {
		select {
		case n.wake <- struct{}{}:
		default: // a Go that knows already that there was room
		}
	}
}

// entered tells a Go that waits for room in the queue that it need not any more.
func (t *task[Req, Resp]) entered() {
	if t.isGo() {
		t.wake <- struct{}{} // cannot block: a task is blocked only once
	}
}
