package cache

import "time"

// What has expired is swept when something is written, at most once in minSweepPause, and so seldom that sweeping takes no more than a hundredth of
// one processor's time.
const (
	minSweepPause   = time.Second
	pausesPerEffort = 100
)

// sweepExpired sweeps if it is time to.
func (c *core[K, Req, V]) sweepExpired() {
	if !c.engine.timed {
		return
	}
	next, now := c.life.nextSweep.Load(), c.engine.now()
	if now >= next && c.life.nextSweep.CompareAndSwap(next, later(now, int64(minSweepPause))) {
		c.sweep()
	}
}

// sweep removes the entries that will never be served again, in the background: those of dead namespaces and those whose time is over. No lookup returns them
// anyway, but what was asked for often would keep its place for long.
func (c *core[K, Req, V]) sweep() {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.sweeping {
		l.again = true
		return
	}
	l.sweeping = true
	go func() {
		for more := true; more; {
			began := c.engine.now()
			for key, e := range c.engine.all() {
				if c.gone(&e, began) {
					c.removeGone(key, began)
				}
			}
			now := c.engine.now()
			l.nextSweep.Store(later(now, max(int64(minSweepPause), pausesPerEffort*(now-began))))
			l.mu.Lock()
			if more = l.again && !l.closed; !more {
				l.sweeping = false
				l.checkIdle()
			}
			l.again = false
			l.mu.Unlock()
		}
	}()
}

// gone reports whether e will never be served again.
func (c *core[K, Req, V]) gone(e *entry[Req, V], now int64) bool {
	window := c.window
	if e.negative() {
		window = 0
	}
	return e.dead() || now >= later(e.fresh, window)
}

func (c *core[K, Req, V]) removeGone(key K, now int64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := c.engine.peek(key); ok && c.gone(&e, now) {
		c.engine.remove(key)
	}
}
