package session

import (
	"context"
	"sync/atomic"
)

// Lease is the right to use a session, for work that is longer than a call: a stream, a conversation. It is made by
// Acquire and must be given back by Release.
type Lease[S any] struct {
	session  S
	call     *callContext
	release  func(error)
	released atomic.Bool
}

// Acquire waits for a session as Do does, with the cost and the key of req, and leases it. fn is not called. The errors are those of
// Do that mean that no work began, and ErrLockThread with Config.LockThread.
//
// The session keeps being the caller's when ctx ends, or the pool is closed; the lease's Context ends then, and Close and
// Shutdown wait for the Release.
func (p *Pool[S, Req, Resp]) Acquire(ctx context.Context, req Req) (*Lease[S], error) {
	if p.cfg.LockThread {
		return nil, ErrLockThread
	}
	it, err := p.acquire(ctx, req)
	if err != nil {
		return nil, err
	}
	sl, cost := it.slot, it.cost
	p.recycle(it)
	return &Lease[S]{
		session: sl.session,
		call:    p.newCall(ctx, sl),
		release: func(err error) {
			end := ending{fault: true, reason: ReasonPanic, err: ErrPanic}
			defer func() { p.release(sl, cost, end) }() // also if WithBroken's function panics
			end = p.judge(err)
		},
	}, nil
}

// Session returns the session. It must not be used after Release.
func (l *Lease[S]) Session() S { return l.session }

// Context returns a context that ends with that of Acquire, when the pool is closed, and on Release. What is done with the
// session should end when it does.
func (l *Lease[S]) Context() context.Context { return l.call }

// Release gives the session back. err says how it went: nil, or an error, of which Bad and WithBroken decide whether it is
// the session's. Only the first call counts; it is safe for concurrent use, and does nothing on a nil Lease.
func (l *Lease[S]) Release(err error) {
	if l == nil || l.released.Swap(true) {
		return
	}
	l.call.end()
	l.release(err)
}
