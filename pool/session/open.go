package session

import (
	"context"
	"time"
)

// staff opens the sessions that are wanted, as far as the slots, the devices and the back-off allow.
func (p *Pool[S, Req, Resp]) staff(now time.Duration) {
	s := &p.stats
	if p.draining {
		if s.Queued+s.Blocked == 0 {
			return
		}
		s.Target = 1 // what is there answers the rest
	} else if s.Queued+s.Blocked > 0 || len(p.ready) > 0 {
		s.Target = max(s.Target, 1)
	}
	for s.Sessions+s.Opening < s.Target {
		sl := p.emptySlot(now)
		if sl == nil {
			return // a session that leaves makes room, one that is being opened is ready first, or a pause is over
		}
		sl.state = slotOpening
		p.devices[sl.device].sessions++
		p.devices[sl.device].opening++
		s.Opening++
		if p.cfg.LockThread {
			go p.thread(sl)
		} else {
			go p.openSlot(sl)
		}
	}
}

// emptySlot finds a slot for a new session, among the devices that may open one now: on one whose last opening did not fail,
// and of these on that with the fewest sessions.
func (p *Pool[S, Req, Resp]) emptySlot(now time.Duration) *slot[S, Req, Resp] {
	best := -1
	for i := range min(p.cfg.Max, len(p.slots)+p.cfg.Devices) {
		d := &p.devices[i%p.cfg.Devices]
		if i < len(p.slots) && p.slots[i].state != slotEmpty || d.opening >= p.cfg.MaxOpening || now < d.retryAt {
			continue
		}
		if best >= 0 {
			b := &p.devices[best%p.cfg.Devices]
			healthy, other := d.failures == 0, b.failures == 0
			if other && !healthy || healthy == other && d.sessions >= b.sessions {
				continue
			}
		}
		best = i
	}
	if best < 0 {
		return nil
	}
	for i := len(p.slots); i <= best; i++ {
		p.slots = append(p.slots, &slot[S, Req, Resp]{place: place{i, i % p.cfg.Devices}})
	}
	return p.slots[best]
}

// openSlot opens a session for the slot and brings it into service. It returns whether there is a session to be closed some day.
func (p *Pool[S, Req, Resp]) openSlot(sl *slot[S, Req, Resp]) (ok bool) {
	var (
		s        S
		err      error
		exists   bool
		returned bool
		began    = p.now()
		took     time.Duration
		ctx      = &ownContext{Context: p.unasked, mark: mark{owner: p, at: sl.place}}
	)
	// Deferred one by one, because each of open, the warm-up, OnOpen and close may call runtime.Goexit.
	defer func() {
		ctx.over.Store(true)
		ok = p.opened(sl, s, err, took)
	}()
	defer func() {
		if err != nil && exists {
			var ignored error // counted in Stats
			p.discard(s, &ignored)
		}
	}()
	defer func() {
		took = p.now() - began
		if !returned {
			err = failure(recover())
		}
		if p.cfg.OnOpen == nil {
			return
		}
		told := false
		defer func() {
			if !told && err == nil {
				err = ErrGoexit
			}
		}()
		p.cfg.OnOpen(OpenEvent{Slot: sl.slot, Device: sl.device, Took: took, Err: err})
		told = true
	}()
	if s, err = p.open(ctx); err == nil {
		exists = true
		if p.warmUp != nil {
			err = p.warmUp(ctx, s)
		}
	}
	returned = true
	return ok
}

// opened takes note of an attempt to open a session.
func (p *Pool[S, Req, Resp]) opened(sl *slot[S, Req, Resp], s S, err error, took time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.devices[sl.device].opening--
	p.stats.Opening--
	p.stats.OpenTime += took
	if err != nil {
		p.stats.OpensFailed++
		p.lastErr = err
		d := &p.devices[sl.device]
		d.failures++
		d.retryAt = after(now, p.cfg.backoff(d.failures))
		p.vacate(sl)
		p.growing = false
		// A larger pool was wanted for a delay that shows again if it is still there.
		p.stats.Target = max(p.cfg.Min, p.stats.Sessions+p.stats.Opening)
		p.tellReady(p.openError(now))
		p.settle(now)
		return false
	}
	sl.session = s
	sl.life++
	sl.state = slotLive
	sl.opened, sl.checked, sl.expires = now, now, never
	sl.maxUses = p.cfg.maxUses(sl.slot)
	if p.cfg.MaxAge > 0 {
		sl.expires = after(now, time.Duration(p.cfg.share(int64(p.cfg.MaxAge), sl.slot)))
	}
	p.free += int64(p.cfg.PerSession)
	p.stats.Sessions++
	p.stats.Opened++
	p.above = never
	if p.growing {
		p.growing = false
		p.growFrom = after(now, p.cfg.Cooldown)
	}
	p.pull(sl, now)
	if p.stats.Sessions >= p.enough() {
		p.tellReady(nil)
	}
	p.settle(now)
	p.rearm(now)
	return true
}

// retryAt is when a session may be opened on some device.
func (p *Pool[S, Req, Resp]) retryAt() time.Duration {
	at := never
	for i := range p.devices {
		at = min(at, p.devices[i].retryAt)
	}
	return at
}

// retryDue is when the next pause of a device ends; never if none has one.
func (p *Pool[S, Req, Resp]) retryDue(now time.Duration) time.Duration {
	due := never
	for i := range p.devices {
		if at := p.devices[i].retryAt; at > now {
			due = min(due, at)
		}
	}
	return due
}

// hopeless reports whether nobody can be answered before the next attempt to open a session.
func (p *Pool[S, Req, Resp]) hopeless(now time.Duration) bool {
	return p.stats.Sessions == 0 && p.stats.Opening == 0 && now < p.retryAt()
}

func (p *Pool[S, Req, Resp]) openError(now time.Duration) error {
	e := &OpenError{Err: p.lastErr}
	for i := range p.devices {
		if d := &p.devices[i]; i == 0 || d.retryAt-now < e.Pause {
			e.Pause, e.Failures = max(d.retryAt-now, 0), d.failures
		}
	}
	return e
}

// shed fails those that wait if there is no hope: callers with a deadline of their own have better uses for the time.
func (p *Pool[S, Req, Resp]) shed(now time.Duration) {
	if p.stats.Queued+p.stats.Blocked > 0 && p.hopeless(now) {
		p.stats.Drops.Unopened += uint64(p.stats.Queued + p.stats.Blocked)
		p.failAll(p.openError(now))
	}
}

// failAll fails all that wait.
func (p *Pool[S, Req, Resp]) failAll(err error) {
	fail := func(it *item[S, Req, Resp]) {
		it.state, it.err = stateFailed, err
		it.wake <- struct{}{}
	}
	for it := p.room.head; it != nil; it = p.room.head {
		p.room.remove(it)
		p.stats.Blocked--
		fail(it)
	}
	for _, sl := range p.slots {
		sl.queued = 0
		p.general.merge(&sl.waiting)
	}
	for it := p.general.head; it != nil; it = p.general.head {
		p.unqueue(it)
		fail(it)
	}
}

// enough is the number of sessions that make the pool ready.
func (p *Pool[S, Req, Resp]) enough() int { return max(p.cfg.Min, 1) }

func (p *Pool[S, Req, Resp]) tellReady(err error) {
	for _, ready := range p.ready {
		ready <- err
	}
	p.ready = nil
}

// Ready waits until Config.Min sessions are in service, or one if Min is 0, which it has opened. It returns an *OpenError if an
// attempt to open one fails meanwhile or the pause after the last failure is not over, ErrClosed if the pool is closed, and
// context.Cause(ctx) when ctx ends. Call it before taking traffic.
func (p *Pool[S, Req, Resp]) Ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ready := make(chan error, 1)
	p.mu.Lock()
	now := p.now()
	switch {
	case p.draining:
		ready <- ErrClosed
	case p.stats.Sessions >= p.enough():
		ready <- nil
	case now < p.retryAt():
		ready <- p.openError(now)
	default:
		p.ready = append(p.ready, ready)
		p.settle(now)
	}
	p.mu.Unlock()
	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.ready {
		if r == ready {
			p.ready = append(p.ready[:i], p.ready[i+1:]...)
			return context.Cause(ctx)
		}
	}
	return <-ready
}
