package session

import (
	"context"
	"runtime"
)

// thread is the goroutine of a session with Config.LockThread. The thread ends with it, and whatever a library keeps in it.
func (p *Pool[S, Req, Resp]) thread(sl *slot[S, Req, Resp]) {
	runtime.LockOSThread() // and never unlocked
	jobs := make(chan *item[S, Req, Resp], 1)
	sl.jobs = jobs // nobody looks at it before the session is in service
	if !p.openSlot(sl) {
		return
	}
	served := false
	defer func() {
		if !served {
			// A job ended this goroutine by runtime.Goexit, and its session was given up. It is closed without its thread.
			go p.closeSlot(sl)
		}
	}()
	for it := range jobs {
		if it == nil {
			p.runCheck(sl)
		} else {
			p.serve(sl, it)
		}
	}
	served = true
	p.closeSlot(sl)
}

// serve calls fn for a request of another goroutine.
func (p *Pool[S, Req, Resp]) serve(sl *slot[S, Req, Resp], it *item[S, Req, Resp]) {
	var (
		resp     Resp
		err      error
		end      ending
		returned bool
	)
	defer func() {
		if !returned {
			err = failure(recover())
			end = ending{true, ReasonPanic, err}
		}
		it.call.end()
		cost := it.cost // before the item is its caller's again
		p.mu.Lock()
		defer p.mu.Unlock()
		if it.state == stateLeft {
			p.stats.Abandoned++
		} else {
			it.state, it.resp, it.err = stateDone, resp, err
			if err != nil {
				p.stats.Failed++
			} else {
				p.stats.Answered++
			}
			it.wake <- struct{}{}
		}
		p.stats.Running--
		p.ended(sl, cost, end)
	}()
	resp, err = p.fn(it.call, sl.session, it.req)
	end = p.judge(err)
	returned = true
}

// delegate has the session's goroutine answer the request.
func (p *Pool[S, Req, Resp]) delegate(ctx context.Context, call *callContext, it *item[S, Req, Resp], req Req) (Resp, error) {
	it.call, it.req = call, req
	it.slot.jobs <- it // there is room: a session has one job at a time
	select {
	case <-it.wake:
	case <-ctx.Done():
		p.mu.Lock()
		left := it.state == stateGranted
		if left {
			it.state = stateLeft // the item stays with the session's goroutine
		}
		p.mu.Unlock()
		if left {
			var none Resp
			return none, context.Cause(ctx)
		}
		<-it.wake
	}
	resp, err := it.resp, it.err
	p.recycle(it)
	return resp, err
}
