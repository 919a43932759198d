package pool

import (
	"context"
	"runtime"
	"time"
)

// sampleEvery is how many requests share one look at the clock, which costs as much as all the rest of the bookkeeping.
const sampleEvery = 16

// maxLooking is how many workers may be on their way to the queue. A goroutine that has just been started waits in the place of its
// processor from which others take it only after a pause; the next one pushes it out of there.
const maxLooking = 2

func (p *Pool[Req, Resp]) now() time.Duration { return time.Since(p.start) }

// worker is a goroutine that executes tasks as long as there are any; between two goroutines it is kept for reuse.
type worker[Req, Resp any] struct {
	pool  *Pool[Req, Resp]
	next  *worker[Req, Resp] // in spares
	loop  func()             // work, made once so that starting a goroutine does not allocate
	frame *frame
	plain context.Context // for a Do whose context says nothing: ends with Close
	scope *scope          // for a Go whose context says nothing: ends when it is cancelled; made when it is needed

	task    *task[Req, Resp]
	looking bool // counted in Pool.looking
	started time.Duration
	out     outcome[Resp]
}

// outcome is what came of a call.
type outcome[Resp any] struct {
	over    bool // otherwise runtime.Goexit has ended the call
	resp    Resp
	err     error
	dropped bool // fn was not called, because the caller's context had ended
	expired bool // by its deadline
	panics  bool
}

// drop makes the outcome of a request whose caller's context, ctx, has ended before fn is called. It reports false if that has not. It is enough to
// have ended, even if the caller has not been scheduled since.
func (o *outcome[Resp]) drop(ctx context.Context) bool {
	err := ctx.Err()
	if err != nil {
		*o = outcome[Resp]{err: context.Cause(ctx), dropped: true, expired: expired(err), over: true}
	}
	return err != nil
}

func (o *outcome[Resp]) clear() {
	var none Resp
	o.resp, o.over, o.dropped, o.panics = none, false, false, false
	if o.err != nil {
		o.err = nil
	}
}

// wake starts a worker for what is queued, unless enough are about to look there or no more may run. A worker that finds more than it takes wakes
// the next: so as many are started as the requests keep busy, and for short ones that is few.
//
// The rule that keeps requests from being forgotten: whenever some are queued and fewer than size places are taken by workers and by requests in lanes, one
// worker is looking.
func (p *Pool[Req, Resp]) wake() {
	if int(p.looking.Load()) >= min(maxLooking, p.queue.n) || p.workers+p.lent >= p.size {
		return
	}
	w := p.spares
	if w != nil {
		p.spares, w.next = w.next, nil
	} else {
		w = &worker[Req, Resp]{pool: p}
		w.loop = w.work
		w.newFrame()
		p.all = append(p.all, w)
	}
	p.workers++
	p.looking.Add(1)
	w.looking = true
	go w.loop()
}

func (w *worker[Req, Resp]) newFrame() {
	w.frame = &frame{owner: w.pool}
	w.plain = &marked{w.pool.base, w.frame}
	w.scope = nil
}

func (w *worker[Req, Resp]) work() {
	returned := false
	defer func() {
		if !returned { // Goexit in fn: the place and the outcome must not go with this goroutine
			go w.loop()
		}
	}()
	for last := false; ; {
		switch w.turn(last) {
		case turnNext:
			last = false
			w.run()
		case turnNone:
			// Callers that have just got their answers may have another request: let them run before giving up.
			last = true
			runtime.Gosched()
		case turnGone:
			returned = true
			return
		}
	}
}

type turn uint8

const (
	turnNext turn = iota // the worker has a task
	turnNone             // there is none; the worker is counted as looking for one
	turnGone             // there is none, and the worker is another goroutine's
)

// turn settles the worker's task, if it has one, and takes the next. last says whether to give up if there is none.
func (w *worker[Req, Resp]) turn(last bool) turn {
	p, t := w.pool, w.task
	var n notice
	if t != nil {
		var seat chan struct{}
		if w.frame.used.Load() {
			w.frame.active.Store(false)
			if !w.frame.vacant() {
				seat = w.frame.seat()
			}
			w.newFrame()
		}
		if w.scope != nil && w.scope.kept.Load() {
			w.scope = nil
		}
		var now time.Duration
		if t.arrived > 0 {
			now = p.now()
		}
		p.mu.Lock()
		n = w.settle(now)
		if seat != nil {
			// A goroutine that the call has left behind sits there still: the outcome can go, but not the place.
			p.mu.Unlock()
			n.give()
			n = notice{}
			seat <- struct{}{}
			<-seat
			p.mu.Lock()
		}
		p.busy--
	} else {
		p.mu.Lock()
	}
	if w.looking {
		w.looking = false
		p.looking.Add(-1)
	}
	var next *task[Req, Resp]
	if p.workers+p.lent <= p.size {
		next = p.queue.take(p.cfg.ClassTurn)
	} else {
		last = true // Resize has made it superfluous
	}
	found := turnNext
	var gone *scope
	w.task = next
	switch {
	case next != nil:
		p.busy++
		next.state = stateRunning
		w.adopt(next)
		if p.queue.n > 0 {
			p.wake()
		}
		if p.room.n > 0 {
			p.refill()
		}
	case last:
		found = turnGone
		p.workers--
		w.frame.active.Store(false)
		gone, w.scope = w.scope, nil
		w.next, p.spares = p.spares, w
		p.checkIdle()
	default:
		found = turnNone
		w.frame.active.Store(false)
		w.looking = true
		p.looking.Add(1)
	}
	p.mu.Unlock()
	n.give()
	if gone != nil {
		gone.end(endCanceled, true)
	}
	return found
}

// settle gives the worker's task its outcome. Called under mu.
func (w *worker[Req, Resp]) settle(now time.Duration) notice {
	p, t := w.pool, w.task
	if t.arrived > 0 && !w.out.dropped {
		p.stats.Timed++
		p.stats.QueueWait += w.started - t.arrived
		p.stats.RunTime += now - w.started
	}
	if t.scope == w.scope && t.state == stateLeft {
		w.scope = nil // it is about to be cancelled
	}
	n := p.settle(t, &w.out)
	if n.scope == w.scope {
		n.scope = nil
	}
	w.out.clear()
	w.task = nil
	return n
}

// adopt gives a task that the worker has taken its context. Called under mu.
func (w *worker[Req, Resp]) adopt(t *task[Req, Resp]) {
	if !w.frame.active.Load() {
		w.frame.active.Store(true)
	}
	switch {
	case t.scope != nil:
		t.scope.frame = w.frame
	case t.isGo():
		if w.scope == nil {
			w.scope = &scope{Context: context.Background(), frame: w.frame}
		}
		t.scope = w.scope
	}
}

// run calls fn with the worker's task. Should fn end this goroutine, what is set before is what turn finds.
func (w *worker[Req, Resp]) run() {
	t, ctx := w.task, w.plain
	if t.scope != nil {
		if t.scope != w.scope && w.out.drop(t.scope.Context) {
			return
		}
		ctx = t.scope
	}
	if t.arrived > 0 {
		w.started = w.pool.now()
	}
	w.pool.call(ctx, t.req, &w.out)
}

// call calls fn and makes an error of a panic. After Goexit it does not return.
func (p *Pool[Req, Resp]) call(ctx context.Context, req Req, out *outcome[Resp]) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err := newPanicError(v)
			out.err, out.panics, out.over = err, true, true
			if p.cfg.OnPanic != nil {
				p.cfg.OnPanic(err)
			}
		}
	}()
	resp, err := p.fn(ctx, req)
	returned = true
	out.resp, out.over = resp, true
	if err != nil {
		out.err = err
	}
}

// settle gives a task that runs its outcome, if anybody wants it still. Called under mu.
func (p *Pool[Req, Resp]) settle(t *task[Req, Resp], out *outcome[Resp]) notice {
	if t.inside {
		p.unlink(t)
	}
	if !out.over {
		out.err = ErrGoexit
	}
	count(&p.stats, out, t.state == stateRunning)
	if t.state != stateRunning {
		n := notice{scope: t.scope}
		if t.isGo() {
			p.release(t)
		}
		return n
	}
	if t.inside {
		p.stats.Inside--
	}
	return p.conclude(t, out.resp, out.err)
}

// count counts what came of a call. wanted says whether the caller was still there.
func count[Resp any](s *Stats, out *outcome[Resp], wanted bool) {
	if out.panics {
		s.Panics++
	}
	switch {
	case !wanted:
	case out.dropped:
		s.Drops.left(out.expired)
	case out.err != nil:
		s.Failed++
	default:
		s.Answered++
	}
}
