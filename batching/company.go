package batching

import (
	"math"
	"time"
)

// This file is about waiting for company while a slot is free, and about the timer that ends it.

// waits reports whether requests may wait for company though a slot is free.
func (c *core[K, Req, Resp]) waits() bool {
	// With many keys the queue can be full though no lane is: it must not turn callers away while a slot is free.
	if c.draining || c.room.n > 0 || !c.fits(1, 1) {
		return false
	}
	if c.deadlines() {
		return c.stats.InFlight > 0 && c.latency.known()
	}
	return c.cfg.MaxWait > 0
}

// due is when something has to be done for the lane, to which the request has just been added.
func (c *core[K, Req, Resp]) due(l *lane[K, Req, Resp], added *item[K, Req, Resp]) time.Duration {
	switch {
	case !c.deadlines() && l.q.n == 1:
		return c.waited(added)
	case !c.deadlines():
		return min(l.due, c.waited(added))
	case c.free() && c.waits():
		hold, _ := c.hold(l, added.arrived)
		return min(hold, c.loses(l))
	default:
		return c.loses(l)
	}
}

// waited is when the request has waited for company long enough. Of the time that its deadline leaves it spends at
// most one half with waiting, so that a long MaxWait does not let it expire before an idle model.
func (c *core[K, Req, Resp]) waited(it *item[K, Req, Resp]) time.Duration {
	wait := c.cfg.MaxWait
	if it.deadline != noDeadline {
		wait = min(wait, (it.deadline-it.arrived)/2)
	}
	return after(it.arrived, wait)
}

// after is t + d, or noDeadline if that is too much.
func after(t, d time.Duration) time.Duration {
	if d > noDeadline-t {
		return noDeadline
	}
	return t + d
}

// arm sets the timer for the lane that is due first. It may be set too early already, by a request that is gone: it then
// finds nothing due and is set again. That is cheaper than to set it at each change.
func (c *core[K, Req, Resp]) arm() {
	if len(c.backlog.byDue) == 0 || !c.free() && !c.deadlines() {
		return
	}
	due := max(c.backlog.byDue[0].due, 1)
	if due == noDeadline {
		return
	}
	if c.armedFor != 0 && c.armedFor <= due {
		return
	}
	c.armedFor = due
	if c.timer == nil {
		c.timer = time.AfterFunc(due-c.now(), c.onTimer)
	} else {
		c.timer.Reset(due - c.now())
	}
}

// onTimer dispatches the lanes that are due, while there are free slots. When there are none the requests go with the next slot that
// becomes free, but for those that are lost by then.
func (c *core[K, Req, Resp]) onTimer() {
	c.mu.Lock()
	defer c.unlock()
	c.armedFor = 0
	now := c.now()
	for (c.free() || c.deadlines()) && len(c.backlog.byDue) > 0 {
		l := c.backlog.byDue[0]
		if l.due > now {
			break
		}
		if c.deadlines() {
			if c.dropLost(l, now); l.q.n == 0 {
				continue
			}
		}
		due, reason := c.dueNow(l, now)
		if due > now || !c.free() {
			c.backlog.setDue(l, max(due, now+1))
			continue
		}
		c.dispatch(l, reason)
	}
	c.kick()
	c.checkIdle()
}

// dueNow is when something has to be done for the lane, found anew: its bound may be that of a request that has left. With a slot free
// a lane is never full, so the search is short.
func (c *core[K, Req, Resp]) dueNow(l *lane[K, Req, Resp], now time.Duration) (time.Duration, Reason) {
	if c.free() && c.full(l) { // the limit has been lowered
		return now, ReasonSize
	}
	if c.deadlines() {
		// To be in time for each single loss would take a timer for each request.
		due := max(c.loses(l), now+min(max(c.cfg.Policy.target/64, 1), 10*time.Millisecond))
		if c.free() {
			if hold, reason := c.hold(l, now); hold < due {
				return hold, reason
			}
		}
		return due, ReasonWait
	}
	due, reason := time.Duration(math.MaxInt64), ReasonWait
	for i := range l.q.list {
		for it := l.q.list[i].q.head; it != nil; it = it.next {
			if d := c.waited(it); d < due {
				due, reason = d, ReasonWait
				if d < after(it.arrived, c.cfg.MaxWait) {
					reason = ReasonDeadline
				}
			}
		}
	}
	return due, reason
}
