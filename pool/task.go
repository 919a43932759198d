package pool

import (
	"context"
	"errors"
	"time"
)

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

// task is one request. Those of Do are used again: the caller gives one back when it has taken the wake-up. One that its caller has left is
// left to the garbage collector, because a worker may look at it. Those of Go belong to the user, as a Future.
type task[Req, Resp any] struct {
	Future[Resp]
	pool       *Pool[Req, Resp]
	prev, next *task[Req, Resp] // in its class, or among those that run
	state      state
	inside     bool // runs inside of another request
	class      int
	seq        uint64        // in the order of arrival
	arrived    time.Duration // since Pool.start; 0 if it is not timed
	req        Req
	scope      *scope        // fn's context. Do: nil if the caller's can neither end nor say anything.
	own        scope         // scope of a Go
	stop       func() bool   // of the AfterFunc that watches the caller's context for a Go
	wake       chan struct{} // one slot. Do: the outcome is there. Go: there was room in the queue.
}

// plain reports whether ctx can neither end nor say anything. Asking for these two values cannot panic, as comparing
// arbitrary contexts could.
func plain(ctx context.Context) bool {
	return ctx == context.Background() || ctx == context.TODO()
}

func expired(ctxErr error) bool { return errors.Is(ctxErr, context.DeadlineExceeded) }

// deliver tells whoever waits that the outcome is there. A task of Do belongs to the caller from then on.
func (t *task[Req, Resp]) deliver() {
	if t.owner != nil {
		if t.stop != nil {
			t.stop()
		}
		t.finish()
		if t.wake != nil { // Go itself may still wait for room
			select {
			case t.wake <- struct{}{}:
			default:
			}
		}
		return
	}
	t.wake <- struct{}{}
}

// entered tells a Go that waits for room in the queue that it need not any more.
func (t *task[Req, Resp]) entered() {
	if t.owner != nil {
		t.wake <- struct{}{} // cannot block: a task is blocked only once
	}
}
