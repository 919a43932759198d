package session

import "time"

// checkIfDue starts the check of a session that is due for one and has room.
func (p *Pool[S, Req, Resp]) checkIfDue(sl *slot[S, Req, Resp], now time.Duration) {
	if p.check == nil || p.draining || now-sl.checked < p.cfg.CheckEvery || !p.fits(sl, 1) {
		return
	}
	sl.checked = now // so that it is not started twice
	p.stats.Checks++
	p.load(sl, 1)
	if sl.jobs != nil {
		sl.jobs <- nil // there is room: a session with a thread has one job at a time
	} else {
		go p.runCheck(sl)
	}
}

// runCheck checks the session, and gives it up if it fails.
func (p *Pool[S, Req, Resp]) runCheck(sl *slot[S, Req, Resp]) {
	var (
		err      error
		returned bool
		ctx      = &ownContext{Context: p.unasked, mark: mark{owner: p, at: sl.place}}
	)
	defer func() {
		if !returned {
			err = failure(recover())
		}
		ctx.over.Store(true)
		p.mu.Lock()
		defer p.mu.Unlock()
		sl.checked = p.now()
		p.ended(sl, 1, ending{err != nil, ReasonCheck, err})
		p.rearm(p.now())
	}()
	err = p.check(ctx, sl.session)
	returned = true
}
