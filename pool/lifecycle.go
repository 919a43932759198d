package pool

import (
	"context"
	"fmt"
)

// Resize changes the number of requests that may run at the same time, also while some do. Nothing that runs or waits is lost: after a
// reduction the workers that are too many end with their requests. size must be at least 1. It may be called
// from inside of fn.
func (p *Pool[Req, Resp]) Resize(size int) error {
	if size < 1 {
		return fmt.Errorf("pool: Resize: size must be at least 1: %d", size)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = size
	p.closeLanes()
	p.refill()
	if p.queue.n > 0 {
		p.wake()
	}
	return nil
}

// Config returns the configuration, with the defaults filled in and the Size that Resize has set last.
func (p *Pool[Req, Resp]) Config() Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	cfg := p.cfg
	cfg.Size = p.size
	return cfg
}

// Stats returns the counters and gauges.
func (p *Pool[Req, Resp]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Accepted = p.seq
	s.Size, s.Workers, s.Busy = p.size, p.workers, p.busy
	p.addLanes(&s)
	s.Queued, s.Blocked = p.queue.n, p.room.n
	over := s.Answered + s.Failed + s.Abandoned + s.Drops.Cancelled + s.Drops.Expired + s.Drops.Closed + s.Drops.Evicted
	s.Running = int(s.Accepted-over) - s.Queued - s.Blocked - s.Inside
	return s
}

// Shutdown rejects new requests with ErrClosed, has all accepted ones answered, and returns when they are. When ctx ends
// first it returns context.Cause(ctx) and the rest is still being answered: call Close to stop that. It may be called several
// times. It must not be called from inside of fn, for which it would wait.
//
// What running requests do from inside, by Do and Go with their contexts, is part of them and let in.
func (p *Pool[Req, Resp]) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	p.closeLanes()
	idle := p.whenIdle()
	p.mu.Unlock()
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

// Close rejects new requests, fails those that wait with ErrClosed, cancels the context of those that run, and waits for these. It always
// returns nil. It may be called several times, also during Shutdown. It must not be called from inside of fn, for which it would
// wait.
func (p *Pool[Req, Resp]) Close() error {
	p.mu.Lock()
	p.draining, p.closed = true, true
	p.closeLanes()
	var failed []notice
	for _, q := range []*waiting[Req, Resp]{&p.room, &p.queue} {
		for t := q.first(); t != nil; t = q.first() {
			failed = append(failed, p.drop(q, t, ErrClosed))
			p.stats.Drops.Closed++
		}
	}
	var running []*scope
	for t := p.insiders; t != nil; t = t.next {
		running = append(running, t.scope)
	}
	for _, w := range p.all {
		if w.task != nil && w.task.scope != nil {
			running = append(running, w.task.scope)
		}
	}
	for i := range p.lanes {
		running = p.lanes[i].scopes(running)
	}
	idle := p.whenIdle()
	p.mu.Unlock()

	p.cancel()
	for _, s := range running {
		s.cancel(context.Canceled)
	}
	for _, n := range failed {
		n.give()
	}
	<-idle
	return nil
}

// checkIdle tells Shutdown and Close when nothing is left. While requests wait there are workers, or requests in lanes.
func (p *Pool[Req, Resp]) checkIdle() {
	if p.idle != nil && p.workers == 0 && p.lent == 0 && p.inside == 0 {
		close(p.idle)
		p.idle = nil
	}
}

func (p *Pool[Req, Resp]) whenIdle() chan struct{} {
	idle := p.idle
	if idle == nil {
		idle = make(chan struct{})
		p.idle = idle
		p.checkIdle()
	}
	return idle
}
