package pool

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/internal/stripe"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Pool runs a function for its callers, so many at a time and no more. All methods are safe for concurrent use.
type Pool[Req, Resp any] struct {
	fn             Func[Req, Resp]
	cfg            Config
	start          time.Time       // the zero of all times inside, which are positive
	base           context.Context // ends with Close
	cancel         context.CancelFunc
	tasks, waiters sync.Pool // not global: a channel must not get from one synctest bubble into another
	lanes          []lane[Req, Resp]
	width          atomic.Int32 // how many of the lanes are open; changes under mu
	_              [64]byte     // what is above is read by all, and seldom written

	mu       sync.Mutex
	size     int
	workers  int          // goroutines
	looking  atomic.Int32 // those of them that have no task and are about to look for one; changes under mu
	busy     int          // those that have one
	lent     int          // places that the lanes have, see lane
	laneFrom uint64       // the value of seq from which on lanes may be opened
	laneRest uint64       // laneRest, but for tests
	draining bool         // Shutdown or Close was called
	closed   bool         // Close was
	seq      uint64       // requests accepted
	queue    waiting[Req, Resp]
	room     waiting[Req, Resp] // those that wait for room in the queue
	spares   *worker[Req, Resp] // without a goroutine
	all      []*worker[Req, Resp]
	free     []*task[Req, Resp] // tasks for Go
	inside   int                // calls of fn inside of others
	insiders *task[Req, Resp]   // those of them that came by Go
	idle     chan struct{}      // closed when nothing waits or runs; made by who waits for it
	stats    Stats              // without gauges, but for Inside
}

// New makes a Pool that answers requests with fn. It starts nothing: goroutines exist only while there are requests. Call Close
// when it is no longer needed.
//
// fn is called on goroutines of the pool and, by Do, on the caller's: see there when. Its context has the values
// and the deadline of the caller's; it is cancelled when that ends, when the Future is cancelled, and on Close. It is meant for the time of the call: it may be
// cancelled when fn has returned, so work that outlives the call takes context.WithoutCancel of it.
func New[Req, Resp any](fn Func[Req, Resp], cfg Config) (*Pool[Req, Resp], error) {
	if fn == nil {
		return nil, errors.New("pool: nil function")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool[Req, Resp]{fn: fn, cfg: cfg, size: cfg.Size, laneRest: laneRest, start: time.Now().Add(-1)}
	p.base, p.cancel = context.WithCancel(context.Background())
	p.tasks.New = func() any {
		return &task[Req, Resp]{pool: p, future: &Future[Resp]{}, wake: make(chan struct{}, 1)}
	}
	p.waiters.New = func() any { return &waiter{wake: make(chan struct{}, 1)} }
	p.lanes = make([]lane[Req, Resp], stripe.Count())
	return p, nil
}

// Do runs fn with the request on a worker and returns what it returned. While all workers are busy the request is queued.
//
// When ctx ends first, Do returns context.Cause(ctx) at once. A request that still waits is then taken out of the queue and not
// executed; one that runs has its context cancelled, and its worker is free when fn returns. Other errors: ErrClosed, ErrQueueFull and
// ErrEvicted when no work began; a *PanicError or ErrGoexit when fn did not return.
//
// A caller whose ctx cannot end (its Done returns nil) cannot leave, so nothing is gained by another goroutine: while there is plenty of room
// its own one calls fn. A panic is a *PanicError then too; but a runtime.Goexit in fn ends the goroutine that called Do.
//
// # From inside of fn
//
// A Do with the context that fn was given, or one derived from it, is part of the request that runs: fn is called on the goroutine that
// called Do, in the place that the request has already, without the queue. So it cannot deadlock, at any Size and any
// depth. A request has one place: if its function calls Do from several goroutines at once, these calls take turns. (For parts
// that may run side by side use Go and [Future.Wait].) Such a Do returns when fn does, even if ctx ends before.
// A runtime.Goexit in fn ends the goroutine that called Do.
//
// A Do from inside of fn with a context that does not come from it is like one from outside: it waits for another worker, and when all
// workers wait so, they wait until their contexts end. So use the context of the innermost call: a Do inside of an inner call with the context of
// the outer one waits for the place in which it runs itself, until its context ends.
//
// Once fn has returned its context is like any other. But do not keep it for calls of the same pool: that of a request that came with
// context.Background, and any while fn returns, may be taken for one of the request that has its place then. A call from inside that fn leaves behind, in
// a goroutine, keeps the place: the outcome of the request comes, but no other gets the place before that call has returned.
func (p *Pool[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	for f := p.frameOf(ctx); f != nil; f = p.frameOf(ctx) { // the next one out if that is over
		if resp, inside, err := p.doInside(ctx, f, req); inside {
			return resp, err
		}
	}
	var s *scope
	if !plain(ctx) {
		s = &scope{Context: ctx}
	}
	ends := ctx.Done() != nil
	if !ends {
		if p.looking.Load() > 0 { // callers that go from one Do to the next would keep the workers from their processors for a long time
			runtime.Gosched()
		}
		if r := p.board(s, nil); r != nil {
			return r.doHere(req)
		}
	}
	t := p.tasks.Get().(*task[Req, Resp])
	t.req = req
	if ends {
		if r := p.board(s, t); r != nil {
			return r.doApart(ctx, t)
		}
	}
	if s != nil {
		t.class, t.scope = priorityOf(ctx), s
	}
	p.mu.Lock()
	evicted, err := p.admit(t, false)
	p.mu.Unlock()
	if err != nil {
		p.recycle(t)
		return none, err
	}
	evicted.give()
	if t.scope == nil {
		<-t.wake
	} else {
		select {
		case <-t.wake:
		case <-ctx.Done():
			p.mu.Lock()
			n, left := p.leave(t, nil, ctx.Err())
			p.mu.Unlock()
			if left {
				n.scope.cancel(ctx.Err())
				return none, context.Cause(ctx)
			}
			<-t.wake
		}
	}
	return t.take()
}

// take returns the outcome of a Do, and the task to its pool.
func (t *task[Req, Resp]) take() (Resp, error) {
	resp, err := t.future.resp, t.future.err
	t.pool.recycle(t)
	return resp, err
}

// recycle takes back a task of Do that nobody else refers to.
func (p *Pool[Req, Resp]) recycle(t *task[Req, Resp]) {
	var (
		req  Req
		resp Resp
	)
	t.state, t.class = stateNew, 0
	t.req, t.future.resp, t.future.err, t.scope = req, resp, nil, nil
	p.tasks.Put(t)
}

// Go is like Do but does not wait for the outcome. It waits only for room in the queue, if Config.RejectWhenFull is not set, and at most
// until ctx ends. ctx counts as for Do until the outcome is there: when it ends, the request does, with context.Cause(ctx). A request
// that is rejected is a Future that has its outcome already.
//
// From inside of fn (see Do) the request goes to the queue, for any worker to take it. When there is no room, Go does not wait for it:
// it runs the request itself, in the place that the calling request has already. With RejectWhenFull that is ErrQueueFull as ever.
func (p *Pool[Req, Resp]) Go(ctx context.Context, req Req) *Future[Resp] {
	f := &Future[Resp]{}
	if ctx.Err() != nil {
		return f.fail(context.Cause(ctx))
	}
	var (
		class int
		own   *scope
		stop  func() bool
		from  *frame // the call of fn from which this one comes
	)
	if !plain(ctx) {
		from = p.frameOf(ctx)
		class, own = priorityOf(ctx), &scope{Context: ctx}
		if ctx.Done() != nil {
			stop = context.AfterFunc(ctx, func() { p.abandon(f, context.Cause(ctx), ctx.Err()) })
		}
	}
	p.mu.Lock()
	if f.over.Load() { // ctx has just ended
		p.mu.Unlock()
		return f
	}
	t := p.borrow(f)
	t.req, t.class = req, class
	if own != nil {
		t.scope, t.stop = own, stop
	}
	evicted, err := p.admit(t, from != nil && from.active.Load())
	if err != nil {
		f.fail(err)
		p.release(t)
		p.mu.Unlock()
		if stop != nil {
			stop()
		}
		return f
	}
	var room chan struct{}
	if t.state == stateBlocked {
		room = make(chan struct{}, 1)
		t.wake = room
	}
	p.mu.Unlock()
	evicted.give()
	if room != nil {
		p.enter(ctx, t, f, room, from)
	}
	return f
}

// fail makes a Future of a request that is rejected.
func (f *Future[Resp]) fail(err error) *Future[Resp] {
	f.err, f.rejected = err, true
	f.over.Store(true)
	return f
}

// admit lets the task in: to the queue, or to wait for room in it. evicted is for the request that lost its place for it.
// inside says whether the request comes from inside of another one, which Shutdown lets finish. Called under mu.
func (p *Pool[Req, Resp]) admit(t *task[Req, Resp], inside bool) (evicted notice, err error) {
	if p.closed || p.draining && !inside {
		return evicted, ErrClosed
	}
	switch last := p.queue.last(); {
	case p.fits():
		p.enqueue(t)
	case !p.cfg.RejectWhenFull:
		t.state = stateBlocked
		p.room.push(t)
	case last != nil && last.class < t.class:
		evicted = p.drop(&p.queue, last, ErrEvicted)
		p.stats.Drops.Evicted++
		p.enqueue(t)
	default:
		p.stats.Drops.Rejected++
		return evicted, ErrQueueFull
	}
	p.seq++
	t.seq = p.seq
	t.arrived = 0
	if p.seq%sampleEvery == 1 {
		t.arrived = p.now()
	}
	if p.seq >= p.laneFrom && !t.isGo() {
		p.openLanes()
	}
	return evicted, nil
}

// fits reports whether a request may be queued. Those in the queue that a free worker is about to take do not count, and nobody is in the
// waiting room then: see refill. When a request has to wait for a place the lanes are closed: so while they are open, each one in the queue has
// a place outside of them.
func (p *Pool[Req, Resp]) fits() bool {
	if p.queue.n >= p.size-p.busy-p.lent {
		p.closeLanes()
	}
	return p.queue.n-max(0, p.size-p.busy-p.lent) < p.cfg.MaxQueue
}

func (p *Pool[Req, Resp]) enqueue(t *task[Req, Resp]) {
	t.state = stateQueued
	p.queue.push(t)
	p.wake()
}

// refill must follow whatever makes room in the queue.
func (p *Pool[Req, Resp]) refill() {
	for p.room.n > 0 && p.fits() {
		t := p.room.first()
		p.room.remove(t)
		p.enqueue(t)
		t.entered()
	}
}

// drop takes a task that waits out of q, with an error.
func (p *Pool[Req, Resp]) drop(q *waiting[Req, Resp], t *task[Req, Resp], err error) notice {
	var none Resp
	q.remove(t)
	return p.conclude(t, none, err)
}

// abandon ends the request of a Future, unless its outcome is there.
func (p *Pool[Req, Resp]) abandon(f *Future[Resp], cause, ctxErr error) {
	p.mu.Lock()
	var n notice
	switch {
	case f.over.Load():
	case f.task == nil: // Go has not let it in yet
		f.fail(cause)
	default: // it has no outcome, so the task is still its own
		n, _ = p.leave(f.task.(*task[Req, Resp]), cause, ctxErr)
	}
	p.mu.Unlock()
	if n.scope != nil {
		n.scope.cancel(ctxErr)
		n.scope = nil // fn has not returned
	}
	n.give()
}

// leave is what a caller does who gives up; cause is the outcome. It returns false if the request has its outcome already. The caller must
// cancel the scope of the notice. Called under mu.
func (p *Pool[Req, Resp]) leave(t *task[Req, Resp], cause, ctxErr error) (n notice, left bool) {
	switch t.state {
	case stateBlocked:
		n = p.drop(&p.room, t, cause)
		p.stats.Drops.left(expired(ctxErr))
	case stateQueued:
		n = p.drop(&p.queue, t, cause)
		p.stats.Drops.left(expired(ctxErr))
		p.refill()
	case stateRunning: // the worker gives the task back
		n = notice{scope: t.scope, stop: t.stop}
		if t.isGo() {
			var none Resp
			n.waiters = t.future.finish(none, cause)
		}
		t.state = stateLeft
		p.stats.Abandoned++
		if t.inside {
			p.stats.Inside--
		}
	default:
		return n, false
	}
	return n, true
}
