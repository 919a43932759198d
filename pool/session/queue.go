package session

import (
	"math"
	"time"
)

// The queue has a part for any session (general) and one for each session (slot.waiting), for the requests that wait for the
// session which has their key, or which makes room for their cost. A session takes from both what came first. So the order of
// arrival is kept but for affinity, and nobody is overtaken for ever: into a session for which somebody waits, nobody else gets.

// admit lets a request in: into a session, the queue, or to wait for room in it. Otherwise it says why not.
func (p *Pool[S, Req, Resp]) admit(it *item[S, Req, Resp], now time.Duration) error {
	switch {
	case p.draining:
		return ErrClosed
	case p.hopeless(now):
		p.stats.Drops.Refused++
		return p.openError(now)
	}
	it.arrived = now
	it.seq = p.seq
	p.seq++
	if p.room.n > 0 || !p.enter(it, now) {
		if p.cfg.RejectWhenFull {
			p.stats.Drops.Rejected++
			return ErrQueueFull
		}
		it.state, it.waited = stateBlocked, true
		p.room.push(it)
		p.stats.Blocked++
	}
	p.stats.Accepted++
	return nil
}

// refill moves requests from the waiting room into the queue, as far as it has room.
func (p *Pool[S, Req, Resp]) refill(now time.Duration) {
	for it := p.room.head; it != nil; it = p.room.head {
		p.room.remove(it)
		if !p.enter(it, now) {
			p.room.insert(nil, it)
			return
		}
		p.stats.Blocked--
	}
}

// enter gives the request a session, or puts it into the queue. It returns false if the queue is full.
func (p *Pool[S, Req, Resp]) enter(it *item[S, Req, Resp], now time.Duration) bool {
	full := p.stats.Queued >= p.cfg.MaxQueue
	home := p.home(it)
	if home != nil && home.waiting.n == 0 && p.fits(home, it.cost) {
		p.grant(it, home, now)
		return true
	}
	var free *slot[S, Req, Resp]
	if p.general.n == 0 {
		free = p.leastLoaded(it.cost)
	}
	if home != nil && !full && home.backlog()+int64(it.cost) <= p.bound(it.cost, free != nil) {
		p.enqueue(it, home)
		return true
	}
	if free != nil {
		p.grant(it, free, now)
		return true
	}
	if !full {
		p.enqueue(it, nil)
	}
	return !full
}

// enqueue has the request wait for sl, or for any if that is nil.
func (p *Pool[S, Req, Resp]) enqueue(it *item[S, Req, Resp], sl *slot[S, Req, Resp]) {
	it.state, it.waited, it.slot, it.list = stateQueued, true, sl, &p.general
	if sl != nil {
		it.list = &sl.waiting
		sl.queued += int64(it.cost)
	}
	it.list.push(it)
	p.stats.Queued++
	p.pending += int64(it.cost)
}

func (p *Pool[S, Req, Resp]) unqueue(it *item[S, Req, Resp]) {
	if it.slot != nil && it.list == &it.slot.waiting {
		it.slot.queued -= int64(it.cost)
	}
	it.list.remove(it)
	it.list = nil
	p.stats.Queued--
	p.pending -= int64(it.cost)
}

// bound is how much one session may have to do by affinity, when extra is added to what all have: the capacity of consistent
// hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018, section 1). Rounding up could make a request wait
// beside a free session that the mean does not forbid it.
func (p *Pool[S, Req, Resp]) bound(extra int, free bool) int64 {
	b := p.cfg.Imbalance * float64(p.pending+int64(extra)) / float64(max(p.stats.Sessions, 1))
	if !free {
		b = math.Ceil(b)
	}
	if b >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(b)
}

// leastLoaded returns the session that has least to do, among those with room for cost for which nobody waits; nil if there is
// none. Among equals it is the one with the fewest keys, and then always the same, so that the others can be spared.
func (p *Pool[S, Req, Resp]) leastLoaded(cost int) *slot[S, Req, Resp] {
	var best *slot[S, Req, Resp]
	for _, sl := range p.slots {
		if sl.waiting.n > 0 || !p.fits(sl, cost) {
			continue
		}
		if best == nil || sl.load < best.load || sl.load == best.load && sl.keys < best.keys {
			best = sl
		}
	}
	return best
}

// grant gives the session to the request.
func (p *Pool[S, Req, Resp]) grant(it *item[S, Req, Resp], sl *slot[S, Req, Resp], now time.Duration) {
	waited := it.state == stateQueued
	if waited {
		p.unqueue(it)
	}
	it.wait = now - it.arrived
	p.observe(it.wait, now)
	p.stats.QueueWait += it.wait
	p.stats.Running++
	p.settleHome(it, sl)
	it.state, it.slot = stateGranted, sl
	p.load(sl, it.cost)
	sl.uses++
	if sl.uses >= sl.maxUses {
		p.retire(sl, ending{reason: ReasonUses}, now)
	}
	if it.waited {
		it.wake <- struct{}{}
	}
}

// pull gives the session to those that wait for it, as far as it has room, in the order of arrival. It reports whether anything has
// changed.
func (p *Pool[S, Req, Resp]) pull(sl *slot[S, Req, Resp], now time.Duration) (changed bool) {
	for sl.state == slotLive && p.stats.Queued > 0 && sl.load < p.cfg.PerSession {
		it := sl.waiting.head
		if g := p.general.head; g != nil && (it == nil || g.seq < it.seq) {
			it = g
		}
		if it == nil {
			most := p.mostLoaded(sl)
			if most == nil {
				return changed
			}
			it = most.waiting.head
		}
		if p.fits(sl, it.cost) {
			p.grant(it, sl, now)
			changed = true
			continue
		}
		if it.list == &p.general {
			// It came first, and needs more room: this session keeps it free for it, the others go on.
			p.general.remove(it)
			it.list, it.slot = &sl.waiting, sl
			sl.waiting.insert(nil, it)
			sl.queued += int64(it.cost)
			changed = true
		}
		return changed
	}
	return changed
}

// pullAll lets all sessions take what they can, until none can: what one takes may have been in the way of another.
func (p *Pool[S, Req, Resp]) pullAll(now time.Duration) {
	for changed := true; changed && p.stats.Queued > 0; {
		changed = false
		for _, sl := range p.slots {
			changed = p.pull(sl, now) || changed
		}
	}
}

// mostLoaded returns the session that has most to do, among those for which somebody waits first whom free has room for, if that is
// more than the bound. A session that nobody waits for takes from it, so that none is idle for longer than Config.Imbalance allows.
func (p *Pool[S, Req, Resp]) mostLoaded(free *slot[S, Req, Resp]) *slot[S, Req, Resp] {
	var most *slot[S, Req, Resp]
	for _, sl := range p.slots {
		if sl.waiting.n > 0 && p.fits(free, sl.waiting.head.cost) && (most == nil || sl.backlog() > most.backlog()) {
			most = sl
		}
	}
	if most == nil || p.key != nil && most.backlog() <= p.bound(0, true) {
		return nil
	}
	return most
}

// oldest is when the request arrived that has been waiting for longest; never if there is none.
func (p *Pool[S, Req, Resp]) oldest() time.Duration {
	oldest := never
	if it := p.general.head; it != nil {
		oldest = it.arrived
	}
	for _, sl := range p.slots {
		if it := sl.waiting.head; it != nil {
			oldest = min(oldest, it.arrived)
		}
	}
	return oldest
}
