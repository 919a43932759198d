package pool

import "context"

// frameOf returns the call of fn from which the context comes, nil if it comes from none that still runs.
func (p *Pool[Req, Resp]) frameOf(ctx context.Context) *frame {
	if plain(ctx) {
		return nil
	}
	f, _ := ctx.Value(p).(*frame)
	return f
}

// doInside is Do from inside of fn. It reports whether it was that still, after its wait for the place: otherwise nothing has happened.
func (p *Pool[Req, Resp]) doInside(ctx context.Context, f *frame, req Req) (resp Resp, inside bool, err error) {
	seat := f.seat()
	select {
	case seat <- struct{}{}:
	case <-ctx.Done():
		return resp, true, context.Cause(ctx)
	}
	if ctx.Err() != nil {
		<-seat
		return resp, true, context.Cause(ctx)
	}
	p.mu.Lock()
	// A call that is active under the lock is one that Shutdown and Close wait for still, and then they wait for this one too.
	if closed := p.closed; closed || !f.active.Load() {
		p.mu.Unlock()
		<-seat
		if closed {
			err = ErrClosed
		}
		return resp, closed, err
	}
	p.seq++
	p.stats.Nested++
	p.stats.Inside++
	p.inside++
	p.mu.Unlock()

	child := &frame{owner: p}
	child.active.Store(true)
	var out outcome[Resp]
	defer func() {
		child.active.Store(false)
		p.mu.Lock()
		p.inside--
		p.stats.Inside--
		if out.panics {
			p.stats.Panics++
		}
		if out.err != nil || !out.over {
			p.stats.Failed++
		} else {
			p.stats.Answered++
		}
		p.checkIdle()
		p.mu.Unlock()
		child.leave(seat)
	}()
	p.call(&marked{ctx, child}, req, &out)
	return out.resp, true, out.err
}

// enter waits until a Go that found the queue full is in it. caller is the call from which it comes, or nil.
func (p *Pool[Req, Resp]) enter(ctx context.Context, t *task[Req, Resp], f *Future[Resp], room <-chan struct{}, caller *frame) {
	var seat chan struct{}
	if caller != nil {
		seat = caller.seat()
	}
	select {
	case <-room:
	case <-ctx.Done():
		p.abandon(f, context.Cause(ctx), ctx.Err())
	case seat <- struct{}{}:
		p.runInside(t, f, seat)
	}
}

// wait is Future.Wait, for an outcome that is not there yet.
func (t *task[Req, Resp]) wait(ctx context.Context, f *Future[Resp]) (Resp, error) {
	p := t.pool
	w := p.join(f)
	if w == nil {
		return f.resp, f.err
	}
	var seat chan struct{}
	if caller := p.frameOf(ctx); caller != nil {
		seat = caller.seat()
	}
	for {
		select {
		case <-w.wake:
			p.waiters.Put(w)
			return f.resp, f.err
		case <-ctx.Done():
			p.part(f, w)
			var none Resp
			return none, context.Cause(ctx)
		case seat <- struct{}{}:
			p.runInside(t, f, seat) // Goexit in there leaves w to the garbage collector
			seat = nil              // it is over, or another worker has it: then there is only to wait
		}
	}
}

// runInside executes the task of f, if it still waits, on the calling goroutine, which has taken the seat for it.
func (p *Pool[Req, Resp]) runInside(t *task[Req, Resp], f *Future[Resp], seat <-chan struct{}) {
	var own *frame
	defer func() { own.leave(seat) }()
	p.mu.Lock()
	switch {
	case t.future != f: // it is over, and t is another's
		p.mu.Unlock()
		return
	case t.state == stateBlocked:
		p.room.remove(t)
	case t.state == stateQueued:
		p.queue.remove(t)
	default:
		p.mu.Unlock()
		return
	}
	t.state, t.inside = stateRunning, true
	p.link(t)
	p.stats.Nested++
	p.stats.Inside++
	p.inside++
	p.refill()
	if t.scope == nil {
		t.scope = &scope{Context: context.Background()}
	}
	own = &frame{owner: p}
	own.active.Store(true)
	t.scope.frame = own
	p.mu.Unlock()

	var out outcome[Resp]
	defer func() {
		own.active.Store(false)
		p.mu.Lock()
		p.inside--
		if out.dropped {
			p.stats.Nested--
		}
		n := p.settle(t, &out)
		p.checkIdle()
		p.mu.Unlock()
		n.give()
	}()
	if !out.drop(t.scope.Context) {
		p.call(t.scope, t.req, &out)
	}
}

// link enters a task into the list of those that run inside, whose contexts Close must find to cancel them.
func (p *Pool[Req, Resp]) link(t *task[Req, Resp]) {
	t.next = p.insiders
	if t.next != nil {
		t.next.prev = t
	}
	p.insiders = t
}

func (p *Pool[Req, Resp]) unlink(t *task[Req, Resp]) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		p.insiders = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}
