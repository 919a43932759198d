package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Func is the one shape by which patterns compose: what every Do has.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// Pool answers requests with sessions of type S. All methods are safe for concurrent use.
//
// A session goes from a caller's hands into the next's without a goroutine of the pool in between: Do waits for a session, calls
// fn itself and gives the session on to whom it suits best among those that wait. Goroutines exist only while sessions are being opened,
// checked or closed, and with Config.LockThread.
type Pool[S, Req, Resp any] struct {
	open    func(context.Context) (S, error)
	close   func(S)
	fn      func(context.Context, S, Req) (Resp, error)
	warmUp  func(context.Context, S) error
	check   func(context.Context, S) error
	key     func(Req) (uint64, error)
	cost    func(Req) int
	broken  func(error) bool
	cfg     Config
	start   time.Time // the zero of all times inside
	items   sync.Pool // of *item
	closing context.Context
	stop    context.CancelFunc // ends closing: Close was called
	unasked context.Context
	abandon context.CancelFunc // ends unasked: nobody needs the sessions that are being opened or checked

	mu       sync.Mutex
	slots    []*slot[S, Req, Resp] // as many as have been needed
	devices  []device
	general  fifo[S, Req, Resp] // waits for any session
	room     fifo[S, Req, Resp] // waits for room in the queue
	seq      uint64
	pending  int64 // cost of all that is queued and runs, checks included
	free     int64 // units of capacity of the sessions in service
	homes    homes[S, Req, Resp]
	above    time.Duration // since when the delay has been above the target; never if it is not
	growing  bool          // a session that is being opened is one more
	growFrom time.Duration // not to grow before
	spare    time.Duration // since when a whole session could be spared; never if it could not
	lastErr  error         // of the last attempt to open a session that failed
	ready    []chan error  // Ready waits
	timer    *time.Timer
	armedFor time.Duration // when timer fires; never if it is not armed
	draining bool          // Shutdown or Close was called
	idle     chan struct{} // closed when nothing is left; made by who waits for it
	stats    Stats
}

// device counts what is on a device. Each has a back-off of its own, so that a dead one does not keep the others from opening.
type device struct {
	sessions, opening int
	failures          int           // in a row
	retryAt           time.Duration // not to open before
}

// New makes a pool of sessions that are made by open and ended by closeSession, and in each of which fn answers requests. It begins to
// open Config.Min sessions and does not wait for them (Ready does); with Min 0 it starts nothing. Call Close when it is no longer
// needed.
//
// open is called on a goroutine of the pool, by as many at once as Config.MaxOpening allows for each device. Its context has
// none of a caller's values and no deadline: the session belongs to the pool, and who waits for it may give up without
// stopping it. It ends when the pool is closed. SlotOf tells the slot and the device.
//
// closeSession is called once for each session that open returned without an error, on a goroutine of the pool, when no request is in it.
//
// fn is called on the goroutine of Do's caller, with the caller's context, which is also cancelled by Close, and may not call Do or Acquire of
// the same pool with it. With PerSession above 1 a session is used by several at once. The error that it returns goes to the
// caller as it is. An error that Bad or WithBroken declares one of the session, a panic (which goes on to the caller) or a
// Goexit takes the session out of service: it is closed when its other requests are over, and replaced.
func New[S, Req, Resp any](
	open func(ctx context.Context) (S, error), closeSession func(S), fn func(ctx context.Context, s S, req Req) (Resp, error),
	cfg Config, opts ...Option,
) (*Pool[S, Req, Resp], error) {
	if open == nil || closeSession == nil || fn == nil {
		return nil, errors.New("session: nil open, close or fn")
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	p := &Pool[S, Req, Resp]{open: open, close: closeSession, fn: fn, broken: o.broken, start: time.Now()}
	if p.warmUp, err = typed[func(context.Context, S) error]("WithWarmUp", o.warmUp); err != nil {
		return nil, err
	}
	if p.check, err = typed[func(context.Context, S) error]("WithCheck", o.check); err != nil {
		return nil, err
	}
	if p.key, err = typed[func(Req) (uint64, error)]("WithKey", o.key); err != nil {
		return nil, err
	}
	if p.cost, err = typed[func(Req) int]("WithCost", o.cost); err != nil {
		return nil, err
	}
	if p.cfg, err = cfg.withDefaults(p.key != nil, p.check != nil); err != nil {
		return nil, err
	}
	p.items.New = func() any { return &item[S, Req, Resp]{wake: make(chan struct{}, 1)} }
	p.closing, p.stop = context.WithCancel(context.Background())
	p.unasked, p.abandon = context.WithCancel(context.Background())
	p.devices = make([]device, p.cfg.Devices)
	p.homes.max = p.cfg.MaxKeys
	p.above, p.spare, p.armedFor = never, never, never
	p.stats.Target = p.cfg.Min

	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(p.now())
	return p, nil
}

func (p *Pool[S, Req, Resp]) now() time.Duration { return time.Since(p.start) }

// Do answers req in one of the sessions.
//
// It waits for a session (or fails with ErrQueueFull, see Config.RejectWhenFull) until ctx ends, and then returns context.Cause(ctx);
// a session that is being opened goes on to be. Then it calls fn, and returns when that does: fn has to
// honour ctx. With Config.LockThread Do returns when ctx ends, and what fn returns is thrown away.
//
// The other errors are those of fn, unchanged, with Config.LockThread *PanicError and ErrGoexit, and those that mean that
// no work began: ErrClosed, ErrQueueFull, ErrOpen, ErrTooLarge, ErrReentrant, ErrBadRequest.
func (p *Pool[S, Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	it, err := p.acquire(ctx, req)
	if err != nil {
		var none Resp
		return none, err
	}
	call := p.newCall(ctx, it.slot)
	if p.cfg.LockThread {
		return p.delegate(ctx, call, it, req)
	}
	return p.run(call, it, req)
}

func (p *Pool[S, Req, Resp]) newCall(ctx context.Context, sl *slot[S, Req, Resp]) *callContext {
	return &callContext{Context: ctx, mark: mark{owner: p, at: sl.place}, closing: p.closing}
}

// run calls fn on this goroutine. If fn does not return, the session is given up, and the panic goes on.
func (p *Pool[S, Req, Resp]) run(call *callContext, it *item[S, Req, Resp], req Req) (resp Resp, err error) {
	end := ending{fault: true, reason: ReasonPanic, err: ErrPanic}
	defer func() {
		call.end()
		sl, cost := it.slot, it.cost
		p.recycle(it)
		p.release(sl, cost, end)
	}()
	resp, err = p.fn(call, it.slot.session, req)
	end = p.judge(err)
	return resp, err
}

// ending is how a use of a session went.
type ending struct {
	fault  bool // the session is to be given up
	reason Reason
	err    error // what the request failed with, or the fault
}

// judge tells an error of the request from one of the session.
func (p *Pool[S, Req, Resp]) judge(err error) ending {
	fault := err != nil && (isBad(err) || p.broken != nil && p.broken(err))
	return ending{fault, ReasonBad, err}
}

// measure finds the cost and the key of a request.
func (p *Pool[S, Req, Resp]) measure(it *item[S, Req, Resp], req Req) (err error) {
	it.cost, it.keyed = 1, p.key != nil
	if p.cost != nil {
		it.cost = p.cost(req)
	}
	if it.cost < 1 {
		return fmt.Errorf("%w: cost %d is less than 1", ErrBadRequest, it.cost)
	}
	if it.cost > p.cfg.PerSession {
		return fmt.Errorf("%w: cost %d is more than Config.PerSession %d", ErrTooLarge, it.cost, p.cfg.PerSession)
	}
	if it.keyed {
		it.hash, err = p.key(req)
	}
	return err
}

// acquire waits for a session for req. The item that it returns says which; it holds it.cost of its capacity.
func (p *Pool[S, Req, Resp]) acquire(ctx context.Context, req Req) (*item[S, Req, Resp], error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if ctx.Value(p) != nil {
		return nil, ErrReentrant
	}
	it := p.items.Get().(*item[S, Req, Resp])
	if err := p.measure(it, req); err != nil {
		p.recycle(it)
		return nil, err
	}
	p.mu.Lock()
	now := p.now()
	if err := p.admit(it, now); err != nil {
		p.mu.Unlock()
		p.recycle(it)
		return nil, err
	}
	p.settle(now)
	granted := it.state == stateGranted && !it.waited
	p.mu.Unlock()
	if granted {
		return it, nil
	}
	select {
	case <-it.wake:
	case <-ctx.Done():
		if p.leave(it, ctx.Err()) {
			p.recycle(it)
			return nil, context.Cause(ctx)
		}
		<-it.wake
	}
	if err := it.err; err != nil {
		p.recycle(it)
		return nil, err
	}
	return it, nil
}

// leave takes a request whose context has ended out of the queue, or gives the session back that it has just got. It returns
// false if the request has failed otherwise: the wake-up is then on its way.
func (p *Pool[S, Req, Resp]) leave(it *item[S, Req, Resp], reason error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	switch it.state {
	case stateBlocked:
		p.room.remove(it)
		p.stats.Blocked--
	case stateQueued:
		p.unqueue(it)
	case stateGranted:
		<-it.wake
		p.stats.QueueWait -= it.wait
		p.unload(it.slot, it.cost)
		p.stats.Running--
		p.freed(it.slot, now)
	default:
		return false
	}
	if errors.Is(reason, context.DeadlineExceeded) {
		p.stats.Drops.Expired++
	} else {
		p.stats.Drops.Cancelled++
	}
	p.settle(now)
	return true
}

// Stats returns the counters and gauges.
func (p *Pool[S, Req, Resp]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Config returns the configuration, with the defaults filled in.
func (p *Pool[S, Req, Resp]) Config() Config { return p.cfg }
