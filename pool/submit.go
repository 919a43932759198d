package pool

import "context"

// Submit is [Pool.Go] for a request whose outcome nobody wants: no Future is made, and with context.Background nothing is allocated. It returns as soon as
// the request is in the queue.
//
// An error means that no work began, and will not: ErrClosed, ErrQueueFull, or context.Cause(ctx) if ctx ended before there was room in the queue. What becomes of
// the request after that is told to nobody: fn's errors and panics, and requests that lose their place (ErrEvicted, Close, the end of ctx), are
// counted in [Stats]. [Config].OnPanic is given the panics; an error that matters is for fn to report.
//
// ctx counts until fn has returned, as for Go. So a request that is to outlive the call that it comes from, such as that of an HTTP handler, takes
// context.WithoutCancel(ctx).
func (p *Pool[Req, Resp]) Submit(ctx context.Context, req Req) error {
	if !plain(ctx) { // something must be there that the end of ctx can find, even when the task is another's already
		if f := p.Go(ctx, req); f.rejected {
			return f.err
		}
		return nil
	}
	p.mu.Lock()
	t := p.borrow(nil)
	t.req, t.class = req, 0
	evicted, err := p.admit(t, false)
	if err != nil {
		p.release(t)
		p.mu.Unlock()
		return err
	}
	if t.state != stateBlocked {
		p.mu.Unlock()
		evicted.give()
		return nil
	}
	f, room := &Future[Resp]{task: t}, make(chan struct{}, 1) // to be told of Close
	t.future, t.wake = f, room
	p.mu.Unlock()
	<-room
	if f.rejected {
		return f.err
	}
	return nil
}
