package rollout

import (
	"context"
	"sync/atomic"
)

// Lease keeps a version loaded until it is released. Safe for concurrent use.
type Lease[Req, Resp any] struct {
	live   *instance[Req, Resp]
	stripe *stripe
	state  atomic.Uint64 // calls of Do that run, and the bit released
}

const released = 1 << 63

// ID is the version.
func (l *Lease[Req, Resp]) ID() ID { return l.live.id }

// Do answers the request by the lease's version, wherever the alias points by now. The errors are the cause of ctx if that has ended already, ErrReleased, or those of the
// model.
func (l *Lease[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var zero Resp
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}
	for {
		n := l.state.Load()
		if n >= released {
			return zero, ErrReleased
		}
		if l.state.CompareAndSwap(n, n+1) {
			break
		}
	}
	defer l.done()
	return l.live.model.Do(ctx, req)
}

func (l *Lease[Req, Resp]) done() {
	// After Release no call can begin, so only one can be the last to end.
	if l.state.Add(^uint64(0)) == released {
		l.live.leave(l.stripe)
	}
}

// Release gives the version back: at once, or when the calls of Do that still run have ended. Further calls do nothing.
func (l *Lease[Req, Resp]) Release() {
	if l.state.Or(released) == 0 {
		l.live.leave(l.stripe)
	}
}
