package pool

import (
	"context"
	"sync/atomic"
)

// Future is the outcome of a request, which may not be there yet. It is made by [Pool.Go]; the zero value is of no use. All
// methods are safe for concurrent use, and any number of goroutines may wait.
type Future[Resp any] struct {
	// The task, which knows the type of the request and is used for other requests afterwards. It is nil in the Future of a Do.
	task interface {
		wait(ctx context.Context, f *Future[Resp]) (Resp, error)
		cancel(f *Future[Resp])
		watch(f *Future[Resp]) <-chan struct{}
	}
	over     atomic.Bool // the rest does not change any more; changes under Pool.mu, as does the rest
	rejected bool        // the request never got as far as the queue; does not change after Go has returned
	resp     Resp
	err      error

	waiters *waiter
	done    chan struct{} // made when it is asked for
}

// closedChan is what Done returns for an outcome that nobody asked for before it was there.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Wait returns the outcome as soon as it is there: what fn returned, or one of the errors that [Pool.Do] returns. When ctx ends first
// Wait returns context.Cause(ctx), and the request goes on: see Cancel. An outcome that is there is returned even if ctx has ended.
//
// With a context that comes from a worker of the same pool, Wait does not wait for another worker: a request that is still queued is
// executed on the calling goroutine, as if Do had been called in place of Go; Wait then returns when fn does, even if ctx ends before. So a worker may wait for
// requests of its own pool whatever its size. If that happens in a goroutine which fn has left behind, and while it happens fn returns, the request runs on
// beside the next one in that place: for so long one more than Size runs.
func (f *Future[Resp]) Wait(ctx context.Context) (Resp, error) {
	if f.over.Load() {
		return f.resp, f.err
	}
	if ctx.Err() != nil {
		var none Resp
		return none, context.Cause(ctx)
	}
	return f.task.wait(ctx, f)
}

// Done returns a channel that is closed when the outcome is there; Wait then returns it at once.
func (f *Future[Resp]) Done() <-chan struct{} {
	switch {
	case !f.over.Load():
		return f.task.watch(f)
	case f.done != nil:
		return f.done
	default:
		return closedChan
	}
}

// Cancel ends the request, unless its outcome is there: the outcome is then context.Canceled. A request that waits is taken out of the queue and
// not executed. One that runs has its context cancelled; its worker is free when fn returns.
func (f *Future[Resp]) Cancel() {
	if !f.over.Load() {
		f.task.cancel(f)
	}
}

// finish sets the outcome and returns who waits for it. Called once, under Pool.mu.
func (f *Future[Resp]) finish(resp Resp, err error) *waiter {
	f.resp = resp
	if err != nil {
		f.err = err
	}
	if f.done != nil {
		close(f.done)
	}
	waiters := f.waiters
	if waiters != nil {
		f.waiters = nil
	}
	f.over.Store(true)
	return waiters
}

func (t *task[Req, Resp]) cancel(f *Future[Resp]) {
	t.pool.abandon(f, context.Canceled, context.Canceled)
}

func (t *task[Req, Resp]) watch(f *Future[Resp]) <-chan struct{} {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	if f.over.Load() {
		return f.Done()
	}
	if f.done == nil {
		f.done = make(chan struct{})
	}
	return f.done
}

// join registers a waiter, unless the outcome is there.
func (p *Pool[Req, Resp]) join(f *Future[Resp]) *waiter {
	w := p.waiters.Get().(*waiter)
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.over.Load() {
		p.waiters.Put(w)
		return nil
	}
	w.next, f.waiters = f.waiters, w
	return w
}

// part takes a waiter out again.
func (p *Pool[Req, Resp]) part(f *Future[Resp], w *waiter) {
	p.mu.Lock()
	told := true // whoever has finished f has it
	for at := &f.waiters; *at != nil; at = &(*at).next {
		if *at == w {
			*at, w.next, told = w.next, nil, false
			break
		}
	}
	p.mu.Unlock()
	if told {
		<-w.wake
	}
	p.waiters.Put(w)
}

// waiter is a goroutine in Wait.
type waiter struct {
	next *waiter
	wake chan struct{} // one slot
}
