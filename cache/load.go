package cache

import (
	"context"
	"time"
)

// outcome is what a load brought for one flight, and what follows from it.
type outcome[Req, V any] struct {
	value  V
	err    error
	entry  entry[Req, V]
	store  bool // entry is to be stored
	answer bool // err is an answer, see WithNegative
}

// judgeLoad says what follows from the result of a load. It calls callbacks, so no lock may be held.
func (c *core[K, Req, V]) judgeLoad(f *flight[K, Req, V], value V, err error, took time.Duration) outcome[Req, V] {
	out := outcome[Req, V]{err: err}
	switch {
	case err == nil:
		out.value = value
		out.entry, out.store = c.newEntry(f.key, f.req, f.ns, value, took, true)
	case c.negative != nil && c.negative(err):
		out.entry, out.store, out.answer = c.newNegative(f.req, f.ns, err, took), true, true
	}
	return out
}

// runsInline reports whether a caller is to run the load that it begins. One whose context may end must be able to return before the load does. It asks the
// context, which may be anybody's, so no lock may be held.
func (c *core[K, Req, V]) runsInline(ctx context.Context, begin func(*flight[K, Req, V])) bool {
	return c.cfg.LoadInline && begin == nil && ctx.Done() == nil
}

// launch has a flight run.
func (c *core[K, Req, V]) launch(f *flight[K, Req, V], begin func(*flight[K, Req, V])) {
	switch {
	case begin != nil:
		begin(f)
	case f.inline:
		c.run(f)
	default:
		c.start(f)
	}
}

// start runs the load of a flight on a goroutine of its own.
func (c *core[K, Req, V]) start(f *flight[K, Req, V]) {
	if c.bulk != nil {
		c.bulk.add(f)
		return
	}
	go c.runAlone(f)
}

// runAlone is the goroutine of a load. Its stack is grown while there is little on it to move.
func (c *core[K, Req, V]) runAlone(f *flight[K, Req, V]) {
	growStack(0)
	c.run(f)
}

// run runs the load of a flight.
func (c *core[K, Req, V]) run(f *flight[K, Req, V]) {
	began := c.engine.now()
	returned := false
	defer func() {
		if returned {
			return
		}
		out := outcome[Req, V]{err: ErrGoexit}
		if v := recover(); v != nil {
			out.err = newPanicError(v)
		}
		c.finish(f, &out, c.since(began))
	}()
	if cause, ended := f.loading.hasEnded(); ended { // nobody needs it any more
		returned = true
		c.drop(f, cause)
		return
	}
	value, err := c.call(f)
	took := c.since(began)
	out := c.judgeLoad(f, value, err, took)
	returned = true
	c.finish(f, &out, took)
}

// call calls the load function.
func (c *core[K, Req, V]) call(f *flight[K, Req, V]) (V, error) {
	timeout := c.timeout(f.refresh)
	if timeout == 0 {
		return c.load(&f.loading, f.req)
	}
	ctx, stop := context.WithTimeout(&f.loading, timeout)
	defer stop()
	return c.load(ctx, f.req)
}

func (c *core[K, Req, V]) since(began int64) time.Duration {
	return time.Duration(c.engine.now() - began)
}

// finish ends a load of which the outcome is known.
func (c *core[K, Req, V]) finish(f *flight[K, Req, V], out *outcome[Req, V], took time.Duration) {
	f.loading.end(nil)
	f.loading.over.Store(true)
	c.counters.calls.Add(1)
	c.counters.loadTime.Add(int64(took))
	c.settle(f, out)
	if c.cfg.OnLoad == nil {
		c.life.end(f)
		return
	}
	defer c.life.end(f) // after the hook: Close waits for that too
	event := LoadEvent{Key: f.key, Keys: 1, Refresh: f.refresh, Took: took}
	event.count(out.err, out.answer)
	c.cfg.OnLoad(event)
}

// drop ends a flight that was cancelled before its load began.
func (c *core[K, Req, V]) drop(f *flight[K, Req, V], cause error) {
	c.settle(f, &outcome[Req, V]{err: cause})
	c.life.end(f)
}

func (c *core[K, Req, V]) timeout(refresh bool) time.Duration {
	if refresh {
		return c.cfg.RefreshTimeout
	}
	return c.cfg.LoadTimeout
}

func (e *LoadEvent) count(err error, answer bool) {
	switch {
	case err == nil:
		return
	case answer:
		e.Negative++
	default:
		e.Failed++
	}
	if e.Err == nil {
		e.Err = err
	}
}

// settle stores what a load brought, if it still may, and gives the waiters their answer.
func (c *core[K, Req, V]) settle(f *flight[K, Req, V], out *outcome[Req, V]) {
	failed := out.err != nil && !out.answer
	c.counters.loads.Add(1)
	if failed {
		c.counters.loadErrors.Add(1)
	}
	if f.refresh {
		c.counters.refreshing.Add(-1)
		if failed {
			c.counters.refreshErrors.Add(1)
		}
	}
	s := f.shard
	s.mu.Lock()
	value, err := out.value, out.err
	tabled := s.flights[f.key] == f
	if tabled {
		delete(s.flights, f.key)
	}
	if tabled && !f.ns.dead.Load() {
		switch {
		case out.store:
			c.engine.set(f.key, out.entry)
		case !failed:
			c.engine.remove(f.key) // of two values only the newer may be served
			c.counters.unstored.Add(1)
		case f.old != nil:
			now := c.engine.now()
			if now < later(f.old.fresh, c.window) {
				c.postpone(f, now)
			}
			if c.rescue(f, now) {
				value, err = f.old.value, nil
			}
		}
	}
	f.resolve(value, err)
	s.mu.Unlock()
	c.sweepExpired()
}

// rescue reports whether those who wait for a flight that fails are given the old value, and counts them. The flight must be
// in the table, its namespace alive, and the shard locked.
func (c *core[K, Req, V]) rescue(f *flight[K, Req, V], now int64) bool {
	if f.old == nil || now >= later(f.old.fresh, c.sie) {
		return false
	}
	c.counters.rescued.Add(uint64(f.waiters))
	return true
}

// postpone notes that the old value is not to be refreshed for a while, unless it has been evicted meanwhile. The shard must be
// locked.
func (c *core[K, Req, V]) postpone(f *flight[K, Req, V], now int64) {
	e, ok := c.engine.peek(f.key)
	if !ok || !e.same(f.old) {
		return
	}
	about := e.about.ns.about()
	about.req, about.retryAt = e.about.req, later(now, int64(c.cfg.RetryAfter))
	e.about = about
	c.engine.set(f.key, e)
}

// refresh begins to load key anew, for nobody who would wait, unless that is being done already or too many others are. e is its
// entry.
func (c *core[K, Req, V]) refresh(ctx context.Context, key K, req Req, e *entry[Req, V]) {
	within := c.loadOf(ctx)
	if c.counters.refreshing.Add(1) > int64(c.cfg.MaxRefreshes) {
		c.counters.refreshing.Add(-1)
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	now, ok := c.engine.peek(key)
	if s.flights[key] != nil || !ok || !now.same(e) || c.bulk != nil && within != nil {
		s.mu.Unlock()
		c.counters.refreshing.Add(-1)
		return
	}
	f := c.newFlight(ctx, key, req, e.about.ns, within, false)
	f.refresh, f.waiters = true, 0
	old := *e
	f.old = &old
	if !c.life.begin(f) {
		s.mu.Unlock()
		c.counters.refreshing.Add(-1)
		return
	}
	s.flights[key] = f
	s.mu.Unlock()
	c.counters.refreshes.Add(1)
	c.start(f)
}
