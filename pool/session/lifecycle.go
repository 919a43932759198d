package session

import (
	"context"
	"time"
)

// Shutdown rejects new requests with ErrClosed, has all accepted ones answered, closes all sessions and returns when they
// are closed. When ctx ends first it returns context.Cause(ctx) and the rest goes on: call Close to cut it short. It may be called
// several times. It must not be called from open, close, fn, or a hook, which it would wait for.
func (p *Pool[S, Req, Resp]) Shutdown(ctx context.Context) error {
	idle := p.drain(false)
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close rejects new requests, fails those that wait with ErrClosed, cancels the contexts of those that run, of leases and of
// openings, waits for them, and closes all sessions. It always returns nil. It may be called several times, also during Shutdown. It
// must not be called from open, close, fn, or a hook, which it would wait for.
func (p *Pool[S, Req, Resp]) Close() error {
	idle := p.drain(true)
	p.stop()
	<-idle
	return nil
}

// drain begins the end, and returns a channel that is closed when nothing is left.
func (p *Pool[S, Req, Resp]) drain(fail bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	p.tellReady(ErrClosed)
	if fail {
		p.stats.Drops.Closed += uint64(p.stats.Queued + p.stats.Blocked)
		p.failAll(ErrClosed)
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.settle(p.now())
	return idle
}

// dismiss gives up, when draining, the sessions for which nobody waits any more.
func (p *Pool[S, Req, Resp]) dismiss(now time.Duration) {
	if p.stats.Queued+p.stats.Blocked > 0 {
		return
	}
	p.stats.Target = 0
	p.spare = never
	if p.timer != nil {
		p.timer.Stop()
	}
	p.abandon() // no code of the user's runs in it
	for _, sl := range p.slots {
		if sl.state == slotLive {
			p.retire(sl, ending{reason: ReasonShutdown}, now)
			p.freed(sl, now)
		}
	}
}

// checkIdle tells Shutdown and Close when nothing is left.
func (p *Pool[S, Req, Resp]) checkIdle() {
	s := &p.stats
	if p.draining && p.idle != nil && s.Queued+s.Blocked+s.Running+s.Sessions+s.Opening+s.Leaving == 0 {
		select {
		case <-p.idle:
		default:
			close(p.idle)
		}
	}
}
