package session

import "time"

// The life of a session. All changes are made under Pool.mu.
const (
	slotEmpty    uint8 = iota
	slotOpening        // open or the warm-up runs
	slotLive           // in service
	slotDraining       // given up, but requests are in it
	slotClosing        // close runs
)

// slot is the place of a session. It has one at a time.
type slot[S, Req, Resp any] struct {
	place
	state   uint8
	session S
	jobs    chan *item[S, Req, Resp] // to its goroutine; nil without LockThread

	load    int                // cost of what runs in it
	queued  int64              // cost of what waits for it
	waiting fifo[S, Req, Resp] // waits for this session
	keys    int                // keys whose home it is
	life    uint64             // counts the sessions that the slot has had

	opened  time.Duration
	expires time.Duration // by MaxAge
	checked time.Duration // when it was last checked, or opened
	uses    int64
	maxUses int64
	proven  bool // has worked
	given   ending
	left    time.Duration // when it was given up
}

// backlog is the cost of what runs in the session and waits for it.
func (sl *slot[S, Req, Resp]) backlog() int64 { return int64(sl.load) + sl.queued }

// fits reports whether the session has room for that cost now.
func (p *Pool[S, Req, Resp]) fits(sl *slot[S, Req, Resp], cost int) bool {
	return sl.state == slotLive && cost <= p.cfg.PerSession-sl.load
}

// load puts cost into a live session.
func (p *Pool[S, Req, Resp]) load(sl *slot[S, Req, Resp], cost int) {
	sl.load += cost
	p.free -= int64(cost)
	p.pending += int64(cost)
	p.stats.Load += cost
}

// unload takes it out again.
func (p *Pool[S, Req, Resp]) unload(sl *slot[S, Req, Resp], cost int) {
	sl.load -= cost
	p.pending -= int64(cost)
	p.stats.Load -= cost
	if sl.state == slotLive {
		p.free += int64(cost)
	}
}

// release gives back what a request had of a session.
func (p *Pool[S, Req, Resp]) release(sl *slot[S, Req, Resp], cost int, end ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end.err != nil {
		p.stats.Failed++
	} else {
		p.stats.Answered++
	}
	p.stats.Running--
	p.ended(sl, cost, end)
}

// ended draws the consequences for the session when a request or a check in it is over. It ends with settle.
func (p *Pool[S, Req, Resp]) ended(sl *slot[S, Req, Resp], cost int, end ending) {
	now := p.now()
	p.unload(sl, cost)
	if end.fault {
		p.retire(sl, end, now)
	} else if !sl.proven {
		sl.proven = true
		p.devices[sl.device].failures = 0
	}
	p.freed(sl, now)
	p.settle(now)
}

// freed does what is next for a session that has room again.
func (p *Pool[S, Req, Resp]) freed(sl *slot[S, Req, Resp], now time.Duration) {
	switch sl.state {
	case slotDraining:
		if sl.load == 0 {
			p.startClose(sl)
		}
	case slotLive:
		p.checkIfDue(sl, now)
		p.pull(sl, now)
	}
}

// retire takes a session out of service. Who waits for it, waits for any from now on. The caller sees to it that freed or
// startClose follows, and settle. It does nothing if the session has been taken out already.
func (p *Pool[S, Req, Resp]) retire(sl *slot[S, Req, Resp], end ending, now time.Duration) {
	if sl.state != slotLive {
		return
	}
	sl.state = slotDraining
	sl.given, sl.left = end, now
	sl.keys = 0
	p.free -= int64(p.cfg.PerSession - sl.load)
	p.stats.Sessions--
	p.stats.Leaving++
	p.stats.Closes.add(end.reason)
	if end.fault && !sl.proven {
		// A session that never worked is no better than one that could not be opened. But the first may have met a bad request.
		p.lastErr = end.err
		d := &p.devices[sl.device]
		d.failures++
		if d.failures > 1 {
			d.retryAt = after(now, p.cfg.backoff(d.failures-1))
		}
	}
	if sl.waiting.n > 0 {
		sl.queued = 0
		p.general.merge(&sl.waiting)
		p.pullAll(now)
	}
}

// startClose has a session closed that has nothing running.
func (p *Pool[S, Req, Resp]) startClose(sl *slot[S, Req, Resp]) {
	sl.state = slotClosing
	if sl.jobs != nil {
		close(sl.jobs) // its goroutine closes it
	} else {
		go p.closeSlot(sl)
	}
}

// closeSlot closes the session and frees the slot, whatever close does.
func (p *Pool[S, Req, Resp]) closeSlot(sl *slot[S, Req, Resp]) {
	defer p.closed(sl)
	event := CloseEvent{
		Slot: sl.slot, Device: sl.device, Reason: sl.given.reason, Err: sl.given.err, Uses: sl.uses, Age: sl.left - sl.opened,
	}
	defer func() {
		if p.cfg.OnClose != nil {
			p.cfg.OnClose(event)
		}
	}()
	p.discard(sl.session, &event.CloseErr)
}

// discard calls close, and survives it. After a Goexit only the deferred functions of the caller go on, so it does not return
// the error but stores it.
func (p *Pool[S, Req, Resp]) discard(s S, err *error) {
	returned := false
	defer func() {
		if !returned {
			*err = failure(recover())
			p.mu.Lock()
			p.stats.ClosePanics++
			p.mu.Unlock()
		}
	}()
	p.close(s)
	returned = true
}

func (p *Pool[S, Req, Resp]) closed(sl *slot[S, Req, Resp]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Leaving--
	p.vacate(sl)
	p.settle(p.now())
}

// vacate makes the slot ready for another session.
func (p *Pool[S, Req, Resp]) vacate(sl *slot[S, Req, Resp]) {
	p.devices[sl.device].sessions--
	*sl = slot[S, Req, Resp]{place: sl.place, life: sl.life}
}
