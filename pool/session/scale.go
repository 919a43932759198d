package session

import "time"

// The pool grows by the rule with which CoDel begins to drop (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012;
// RFC 8289, section 4): a queue that a burst has filled empties by itself, a queue in which every request waits longer than
// the target for a whole interval stands, and only more capacity removes it. Its length says neither. Unlike CoDel, which must not
// drop the last packet, it does not matter whether the queue is empty for a moment while all sessions are busy.

// observe takes note of how long a request waited that has just got its session.
func (p *Pool[S, Req, Resp]) observe(wait, now time.Duration) {
	if wait <= p.cfg.TargetDelay {
		p.above = never
		return
	}
	if p.above == never {
		p.above = now - wait + p.cfg.TargetDelay
	}
	if p.mayGrow() && after(p.above, p.cfg.Interval) <= now {
		p.grow(now)
	}
}

// mayGrow reports whether there can be a session more. While one is being opened or replaced there is less capacity than was
// decided on, and the delay says nothing about what was.
func (p *Pool[S, Req, Resp]) mayGrow() bool {
	s := &p.stats
	return s.Target < p.cfg.Max && s.Sessions >= s.Target && s.Opening == 0 && !p.draining
}

// growDue is when the pool has to grow for those that wait now, if nothing changes; never if it cannot.
func (p *Pool[S, Req, Resp]) growDue() time.Duration {
	if p.stats.Queued == 0 || !p.mayGrow() {
		return never
	}
	late := after(p.oldest(), p.cfg.TargetDelay)
	return max(after(min(p.above, late), p.cfg.Interval), late, p.growFrom, p.retryAt())
}

// grow wants one session more, unless the last one is too new or could not be opened.
func (p *Pool[S, Req, Resp]) grow(now time.Duration) {
	if now < p.growFrom || now < p.retryAt() {
		return
	}
	p.stats.Target++
	p.stats.Grown++
	p.growing = true
	p.above = never
}

// watchSpare takes note of whether a whole session could be spared.
func (p *Pool[S, Req, Resp]) watchSpare(now time.Duration) {
	s := &p.stats
	switch {
	case p.draining || s.Sessions <= p.cfg.Min || s.Opening > 0 || s.Queued > 0 || p.free < int64(p.cfg.PerSession):
		p.spare = never
	case p.spare == never:
		p.spare = now
		p.arm(after(now, p.cfg.IdleTimeout), now)
	}
}

// shrink gives up a session if one could have been spared for long enough: the one with least to do, and the fewest keys.
func (p *Pool[S, Req, Resp]) shrink(now time.Duration) {
	if p.spare == never || now-p.spare < p.cfg.IdleTimeout {
		return
	}
	var best *slot[S, Req, Resp]
	for _, sl := range p.slots {
		if sl.state != slotLive {
			continue
		}
		if best == nil || sl.load < best.load || sl.load == best.load && sl.keys <= best.keys {
			best = sl
		}
	}
	p.stats.Shrunk++
	p.stats.Target = max(p.cfg.Min, p.stats.Sessions-1)
	p.retire(best, ending{reason: ReasonIdle}, now)
	p.freed(best, now)
	p.spare = never // the next one has to wait as long
}

// settle must follow whatever changes the queue or the sessions: it hands out sessions, fails those for whom there is no hope, opens what
// is wanted, and sets the timer.
func (p *Pool[S, Req, Resp]) settle(now time.Duration) {
	if p.key != nil || p.cost != nil {
		// Other sessions than the one that has room may have something to take: what stood in the way is gone, or there is less to do, and
		// with it the bound on what one may have. Where all requests are alike nobody waits beside a session with room.
		p.pullAll(now)
	}
	p.refill(now)
	if p.draining {
		p.dismiss(now)
	}
	p.shed(now)
	p.staff(now)
	p.arm(p.growDue(), now)
	p.watchSpare(now)
	if p.stats.Sessions+p.stats.Opening < p.stats.Target {
		p.arm(p.retryDue(now), now)
	}
	p.checkIdle()
}

// arm sets the timer if it is not set for something sooner. It may be set too early, by something that is not due any more: it then finds
// nothing to do and is set again. That is cheaper than to set it at each change.
func (p *Pool[S, Req, Resp]) arm(due, now time.Duration) {
	if due >= p.armedFor {
		return
	}
	due = max(due, now)
	p.armedFor = due
	if p.timer == nil {
		p.timer = time.AfterFunc(due-now, p.tick)
	} else {
		p.timer.Reset(due - now)
	}
}

// rearm sets the timer for what the sessions need.
func (p *Pool[S, Req, Resp]) rearm(now time.Duration) {
	if p.draining {
		return
	}
	for _, sl := range p.slots {
		if sl.state != slotLive {
			continue
		}
		if sl.expires != never {
			p.arm(sl.expires, now)
		}
		// A session that is full when its check is due is checked when it has room again.
		if due := after(sl.checked, p.cfg.CheckEvery); p.check != nil && (due > now || sl.load < p.cfg.PerSession) {
			p.arm(due, now)
		}
	}
	if p.spare != never {
		p.arm(after(p.spare, p.cfg.IdleTimeout), now)
	}
}

// tick does what is due.
func (p *Pool[S, Req, Resp]) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.armedFor = never
	if !p.draining {
		for _, sl := range p.slots {
			if sl.state == slotLive && now >= sl.expires {
				p.retire(sl, ending{reason: ReasonAge}, now)
				p.freed(sl, now)
			} else if sl.state == slotLive {
				p.checkIfDue(sl, now)
			}
		}
		if p.growDue() <= now {
			p.grow(now)
		}
		p.watchSpare(now)
		p.shrink(now)
	}
	p.settle(now)
	p.rearm(now)
}
