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

// doInside is Do from inside of fn.
func (p *Pool[Req, Resp]) doInside(ctx context.Context, f *frame, req Req) (Resp, error) {
	seat := f.seat()
	select {
	case seat <- struct{}{}:
	case <-ctx.Done():
		var none Resp
		return none, context.Cause(ctx)
	}
	p.mu.Lock()
	p.seq++
	p.stats.Nested++
	p.stats.Inside++
	p.inside++
	p.mu.Unlock()

	child := &frame{owner: p}
	child.active.Store(true)
	out := outcome[Resp]{err: ErrGoexit}
	defer func() {
		child.active.Store(false)
		p.mu.Lock()
		p.inside--
		p.stats.Inside--
		if out.panics {
			p.stats.Panics++
		}
		if out.err != nil {
			p.stats.Failed++
		} else {
			p.stats.Answered++
		}
		p.checkIdle()
		p.mu.Unlock()
		<-seat
	}()
	out = p.call(&marked{ctx, child}, req)
	return out.resp, out.err
}

// enter waits until a Go that found the queue full is in it. f is the call from which it comes, or nil.
func (p *Pool[Req, Resp]) enter(ctx context.Context, t *task[Req, Resp], f *frame) {
	var seat chan struct{}
	if f != nil {
		seat = f.seat()
	}
	select {
	case <-t.wake:
	case <-ctx.Done():
		if t.leave(context.Cause(ctx), ctx.Err()) {
			t.finish()
		}
	case seat <- struct{}{}:
		p.runInside(t, seat)
	}
}

// wait is Future.Wait, for an outcome that is not there yet.
func (t *task[Req, Resp]) wait(ctx context.Context) (Resp, error) {
	w := t.join(&t.pool.waiters)
	if w == nil {
		return t.resp, t.err
	}
	var seat chan struct{}
	if f := t.pool.frameOf(ctx); f != nil {
		seat = f.seat()
	}
	for {
		select {
		case <-w.wake:
			t.pool.waiters.Put(w)
			return t.resp, t.err
		case <-ctx.Done():
			t.part(w)
			t.pool.waiters.Put(w)
			var none Resp
			return none, context.Cause(ctx)
		case seat <- struct{}{}:
			t.pool.runInside(t, seat) // Goexit in there leaves w to the garbage collector
			seat = nil                // it is over, or another worker has it: then there is only to wait
		}
	}
}

// runInside executes a task, if it still waits, on the calling goroutine, which has taken the seat for it.
func (p *Pool[Req, Resp]) runInside(t *task[Req, Resp], seat <-chan struct{}) {
	defer func() { <-seat }()
	p.mu.Lock()
	switch t.state {
	case stateBlocked:
		p.room.remove(t)
	case stateQueued:
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
	p.mu.Unlock()

	t.scope.frame = &frame{owner: p}
	out := outcome[Resp]{err: ErrGoexit}
	defer func() {
		p.mu.Lock()
		p.inside--
		wanted := p.settle(t, &out)
		p.checkIdle()
		p.mu.Unlock()
		t.end(wanted)
	}()
	out = p.call(t.scope, t.req)
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
