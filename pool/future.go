package pool

import (
	"context"
	"sync"
	"sync/atomic"
)

// Future is the outcome of a request, which may not be there yet. It is made by [Pool.Go]; the zero value is of no use. All
// methods are safe for concurrent use, and any number of goroutines may wait.
type Future[Resp any] struct {
	owner interface { // the task, which knows the type of the request. It is nil in a task of Do.
		wait(ctx context.Context) (Resp, error)
		leave(cause, ctxErr error) bool
	}
	over atomic.Bool // resp and err are set
	resp Resp
	err  error

	mu      sync.Mutex
	waiters *waiter
	done    chan struct{} // made when it is asked for
}

// Wait returns the outcome as soon as it is there: what fn returned, or one of the errors that [Pool.Do] returns. When ctx ends first
// Wait returns context.Cause(ctx), and the request goes on: see Cancel. An outcome that is there is returned even if ctx has ended.
//
// With a context that comes from a worker of the same pool, Wait does not wait for another worker: a request that is still queued is
// executed on the calling goroutine, as if Do had been called in place of Go; Wait then returns when fn does, even if ctx ends before. So a worker may wait for
// requests of its own pool whatever its size.
func (f *Future[Resp]) Wait(ctx context.Context) (Resp, error) {
	if f.over.Load() {
		return f.resp, f.err
	}
	if ctx.Err() != nil {
		var none Resp
		return none, context.Cause(ctx)
	}
	return f.owner.wait(ctx)
}

// Done returns a channel that is closed when the outcome is there; Wait then returns it at once.
func (f *Future[Resp]) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.over.Load() {
			close(f.done)
		}
	}
	return f.done
}

// Cancel ends the request, unless its outcome is there: the outcome is then context.Canceled. A request that waits is taken out of the queue and
// not executed. One that runs has its context cancelled; its worker is free when fn returns.
func (f *Future[Resp]) Cancel() {
	if !f.over.Load() && f.owner.leave(context.Canceled, context.Canceled) {
		f.finish()
	}
}

// finish makes the outcome known. Whoever has changed the task's state calls it, so it is called once.
func (f *Future[Resp]) finish() {
	f.mu.Lock()
	f.over.Store(true)
	waiters := f.waiters
	f.waiters = nil
	if f.done != nil {
		close(f.done)
	}
	f.mu.Unlock()
	for waiters != nil {
		w := waiters
		waiters, w.next = w.next, nil // it may be used again at once
		w.wake <- struct{}{}
	}
}

// join registers a waiter, unless the outcome is there.
func (f *Future[Resp]) join(pool *sync.Pool) *waiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over.Load() {
		return nil
	}
	w := pool.Get().(*waiter)
	w.next, f.waiters = f.waiters, w
	return w
}

// part takes a waiter out again.
func (f *Future[Resp]) part(w *waiter) {
	f.mu.Lock()
	told := true // finish has taken it
	for p := &f.waiters; *p != nil; p = &(*p).next {
		if *p == w {
			*p, w.next, told = w.next, nil, false
			break
		}
	}
	f.mu.Unlock()
	if told {
		<-w.wake
	}
}

// waiter is a goroutine in Wait.
type waiter struct {
	next *waiter
	wake chan struct{} // one slot
}
