package route

import (
	"context"
	"errors"
	"sync"
)

// errNotNeeded is the cause of the context of experts that are cancelled.
var errNotNeeded = errors.New("route: expert is not needed any more")

// call is an expert that is asked.
type call[Resp any] struct {
	expert int
	score  float64
	weight float64
	answer Resp
	err    error
	counts bool // its answer came while it was needed
	loser  bool // it was cancelled
}

// run is one Do of a Mixture.
type run[Req, Resp any] struct {
	*Mixture[Req, Resp]
	ranked []int
	calls  []call[Resp]
	parts  []Part[Resp]

	group    sync.WaitGroup
	lock     sync.Mutex
	answered int
	failed   int
	settled  bool // the others are not needed any more
	cancel   context.CancelCauseFunc
}

// put gives the run's memory to the next. It is not called after a panic: the collector takes the run then.
func (r *run[Req, Resp]) put() {
	clear(r.calls)
	clear(r.parts)
	r.ranked, r.calls, r.parts = r.ranked[:0], r.calls[:0], r.parts[:0]
	r.answered, r.failed, r.settled, r.cancel = 0, 0, false, nil
	r.runs.Put(r)
}

// ask asks the chosen experts and returns when all have returned.
func (r *run[Req, Resp]) ask(ctx context.Context, req Req) {
	caller := ctx
	if r.cfg.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, r.cfg.Timeout, ErrTimeout)
		defer stop()
	}
	if len(r.calls) == 1 {
		r.one(caller, ctx, req, &r.calls[0])
		return
	}
	r.several(caller, ctx, req)
}

// several asks all, each on a goroutine of its own.
func (r *run[Req, Resp]) several(caller, ctx context.Context, req Req) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	for i := range r.calls {
		r.group.Go(func() { r.shielded(caller, ctx, req, &r.calls[i]) })
	}
	r.group.Wait()
}

// shielded is one in a goroutine of its own.
func (r *run[Req, Resp]) shielded(caller, ctx context.Context, req Req, c *call[Resp]) {
	ok := false
	defer func() {
		if ok {
			return
		}
		err := ErrGoexit
		if value := recover(); value != nil {
			err = newPanicError(value)
		}
		r.settle(caller, c, err)
	}()
	answer, err := r.expert(ctx, req, c)
	ok = true
	c.answer = answer
	r.settle(caller, c, err)
}

// one asks the only expert, on the caller's goroutine, where a panic goes on.
func (r *run[Req, Resp]) one(caller, ctx context.Context, req Req, c *call[Resp]) {
	returned := false
	defer func() {
		if !returned {
			r.settle(caller, c, ErrPanicked)
		}
	}()
	answer, err := r.expert(ctx, req, c)
	returned = true
	c.answer = answer
	r.settle(caller, c, err)
}

func (r *run[Req, Resp]) expert(ctx context.Context, req Req, c *call[Resp]) (Resp, error) {
	answer, err := r.experts[c.expert].Do(ctx, req)
	if err != nil && context.Cause(ctx) == ErrTimeout { //nolint:errorlint // it is this context's own cause
		err = timeoutError(err)
	}
	return answer, err
}

// settle takes the outcome of a call. When the others cannot change anything any more it cancels them.
func (r *run[Req, Resp]) settle(caller context.Context, c *call[Resp], err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	c.err = err
	switch {
	case err == nil && !r.settled:
		c.counts = true
		r.answered++
	case err != nil && (r.settled || caller.Err() != nil):
		c.loser = true
	case err != nil:
		r.failed++
	}
	if r.answered == r.cfg.Enough || len(r.calls)-r.failed < r.cfg.MinAnswers {
		r.settled = true
		if r.cancel != nil {
			r.cancel(errNotNeeded)
		}
	}
	r.count(c)
}

func (r *run[Req, Resp]) count(c *call[Resp]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.stats.Experts[c.expert]
	s.InFlight--
	switch {
	case c.err == nil:
		s.Answered++
	case c.loser:
		s.Cancelled++
	default:
		s.Failed++
	}
}

// outcome returns the parts, their weights shared out among those that have answered.
func (r *run[Req, Resp]) outcome(ctx context.Context) ([]Part[Resp], error) {
	if ctx.Err() != nil && r.answered < min(r.cfg.Enough, len(r.calls)) {
		return nil, context.Cause(ctx)
	}
	if r.answered < r.cfg.MinAnswers {
		e := &Error{}
		for i := range r.calls {
			if c := &r.calls[i]; c.err != nil && !c.loser {
				e.Attempts = append(e.Attempts, &MemberError{r.experts[c.expert].Name, c.err})
			}
		}
		return nil, e
	}
	softmax(r.calls, func(c *call[Resp]) bool { return c.counts })
	for i := range r.calls {
		if c := &r.calls[i]; c.counts {
			r.parts = append(r.parts, Part[Resp]{r.experts[c.expert].Name, c.weight, c.answer})
		}
	}
	return r.parts, nil
}
