package pool

import (
	"context"
	"time"

	"github.com/scalable-ai/patterns/internal/stripe"
)

// runner executes a request in a place of a lane: on the goroutine of its caller if that cannot leave, because its context has no end, and otherwise on
// one of its own.
type runner[Req, Resp any] struct {
	pool       *Pool[Req, Resp]
	lane       *lane[Req, Resp]
	prev, next *runner[Req, Resp] // in lane.running, or next in lane.spares
	loop       func()             // work, made once so that starting a goroutine does not allocate
	frame      *frame
	plain      context.Context // for a context that says nothing: ends with Close

	scope   *scope           // fn's context, nil if it is plain
	task    *task[Req, Resp] // nil on the caller's goroutine
	timed   bool
	arrived time.Duration // for a task
	started time.Duration
	out     outcome[Resp]
}

// board returns a runner with a place and with the scope, nil if there is no room in the lane.
func (p *Pool[Req, Resp]) board(s *scope, t *task[Req, Resp]) *runner[Req, Resp] {
	width := p.width.Load()
	if width == 0 {
		return nil
	}
	l := &p.lanes[stripe.Index(int(width))]
	l.mu.Lock()
	if l.free == 0 {
		l.mu.Unlock()
		return nil
	}
	l.free--
	l.stats.Accepted++
	r := l.spares
	if r != nil {
		l.spares, r.next = r.next, nil
	} else {
		r = &runner[Req, Resp]{pool: p, lane: l}
		r.loop = r.work
		r.newFrame()
	}
	r.timed = l.stats.Accepted%sampleEvery == 1
	if r.task = t; t != nil {
		t.state, t.scope = stateRunning, s
		l.threads++
	}
	if s != nil {
		r.scope, s.frame = s, r.frame
		r.link()
	}
	l.mu.Unlock()
	return r
}

func (r *runner[Req, Resp]) newFrame() {
	r.frame = &frame{owner: r.pool}
	r.plain = &marked{r.pool.base, r.frame}
}

// link enters the runner into the list of those that Close must find.
func (r *runner[Req, Resp]) link() {
	if r.next = r.lane.running; r.next != nil {
		r.next.prev = r
	}
	r.lane.running = r
}

func (r *runner[Req, Resp]) unlink() {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		r.lane.running = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
}

// doHere runs the request on the caller's goroutine.
func (r *runner[Req, Resp]) doHere(req Req) (Resp, error) {
	defer r.settle()
	r.run(req)
	if !r.out.over { // a panic(nil) where GODEBUG lets it be one: nobody can tell it from a Goexit
		return r.out.resp, ErrGoexit
	}
	return r.out.resp, r.out.err
}

// doApart runs the request on another goroutine, so that the caller can leave.
func (r *runner[Req, Resp]) doApart(ctx context.Context, t *task[Req, Resp]) (Resp, error) {
	l := r.lane // r is another's as soon as the request is over
	if r.timed {
		r.arrived = r.pool.now()
	}
	go r.loop()
	select {
	case <-t.wake:
	case <-ctx.Done():
		l.mu.Lock()
		left := t.state == stateRunning
		if left {
			t.state = stateLeft
			l.stats.Abandoned++
		}
		l.mu.Unlock()
		if left {
			var none Resp
			t.scope.cancel(ctx.Err())
			return none, context.Cause(ctx)
		}
		<-t.wake
	}
	return t.take()
}

func (r *runner[Req, Resp]) work() {
	defer r.settle()
	if !r.out.drop(r.scope.Context) {
		r.run(r.task.req)
	}
}

func (r *runner[Req, Resp]) run(req Req) {
	ctx := r.plain
	if r.scope != nil {
		ctx = r.scope
	}
	r.frame.active.Store(true)
	if r.timed {
		r.started = r.pool.now()
	}
	r.pool.call(ctx, req, &r.out)
}

// settle ends the request: after fn has returned or panicked, or in a Goexit that it has called.
func (r *runner[Req, Resp]) settle() {
	var now time.Duration
	if r.timed {
		now = r.pool.now()
	}
	// A call from inside says that it uses the frame before it looks whether that is active: so either it is seen here, or sees that it has come too late.
	r.frame.active.Store(false)
	if r.scope != nil {
		r.scope.end(endCanceled, true) // before another request has the frame, for one of which this context would be taken
	}
	var seat chan struct{}
	if r.frame.used.Load() {
		if !r.frame.vacant() {
			seat = r.frame.seat()
		}
		r.newFrame()
	}
	if !r.out.over {
		r.out.err = ErrGoexit
	}
	l, t := r.lane, r.task
	closed := false
	l.mu.Lock()
	wanted := t == nil || t.state == stateRunning
	count(&l.stats, &r.out, wanted)
	if r.timed && !r.out.dropped {
		l.stats.Timed++
		l.stats.RunTime += now - r.started
		if t != nil {
			l.stats.QueueWait += r.started - r.arrived
		}
	}
	if t != nil {
		l.threads--
		if wanted {
			t.state, t.future.resp, t.future.err = stateOver, r.out.resp, r.out.err
		}
	}
	if r.scope != nil {
		r.unlink()
	}
	r.scope, r.task = nil, nil
	r.out.clear()
	if seat == nil {
		closed = r.leave()
	}
	l.mu.Unlock()
	if closed {
		r.pool.regain()
	}
	if seat != nil { // a goroutine that the call has left behind sits there still: the outcome can go, but not the place
		go r.wait(seat)
	}
	if t != nil && wanted {
		t.wake <- struct{}{}
	}
}

// leave gives back the place to the lane. It reports whether that is closed: then it is for the pool to take. Under lane.mu.
func (r *runner[Req, Resp]) leave() (closed bool) {
	l := r.lane
	r.next, l.spares = l.spares, r
	if l.open {
		l.free++
	}
	return !l.open
}

// wait gives back the place when nobody sits in it any more.
func (r *runner[Req, Resp]) wait(seat chan struct{}) {
	seat <- struct{}{}
	<-seat
	r.lane.mu.Lock()
	closed := r.leave()
	r.lane.mu.Unlock()
	if closed {
		r.pool.regain()
	}
}
