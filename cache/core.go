package cache

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"reflect"
)

// core is what Cache and Keyed have in common. Requests are found by a key; for Cache the two are the same.
//
// It is a part of them, not behind a pointer, and so is the engine in it; and what a hit reads comes first, on one cache line that nobody writes
// to. Every pointer to follow on the way to the entry would be a few per cent of what a hit costs.
type core[K comparable, Req, V any] struct {
	engine    engine[K, Req, V]
	ahead     int64 // how long before its end a lifetime is too old not to look closer; in nanoseconds, see Config
	checkHash bool  // a key may be of a type that cannot be hashed

	callbacks[K, Req, V]
	cfg        Config
	namespaces *namespaces[K, Req]
	seed       maphash.Seed
	bulk       *gatherer[K, Req, V] // nil without a bulk loader
	random     func() float64

	// In nanoseconds: from the end of an entry's lifetime, see Config.
	swr, sie int64
	window   int64 // the longer of the two: how long a value is kept

	shards   [shardCount]shard[K, Req, V]
	life     lifecycle[K, Req, V]
	counters counters
}

func (c *core[K, Req, V]) init(cb callbacks[K, Req, V], cfg Config, opts []Option) error {
	o, err := newOptions(opts)
	if err != nil {
		return err
	}
	if err := cb.take(o); err != nil {
		return err
	}
	namespaceOf, err := callback[func(K) Namespace]("WithNamespace", o.namespace)
	if err != nil {
		return err
	}
	if cfg, err = cfg.withDefaults(o, cb.loadAll != nil); err != nil {
		return err
	}
	c.callbacks = cb
	c.cfg = cfg
	c.namespaces = newNamespaces[K, Req](namespaceOf)
	c.seed = maphash.MakeSeed()
	c.checkHash = mayNotHash(reflect.TypeFor[K]())
	c.random = rand.Float64
	c.ahead = int64(cfg.RefreshAhead)
	c.swr, c.sie = int64(cfg.StaleWhileRevalidate), int64(cfg.StaleIfError)
	c.window = max(c.swr, c.sie)
	timed := cfg.TTL > 0 || cfg.NegativeTTL > 0 || cb.ttl != nil
	if c.engine, err = newEngine[K, Req, V](cfg.Size, cfg.MaxWeight, timed); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	for i := range c.shards {
		c.shards[i].flights = make(map[K]*flight[K, Req, V])
	}
	c.life.nextSweep.Store(int64(minSweepPause))
	if cb.loadAll != nil {
		c.bulk = &gatherer[K, Req, V]{c: c}
	}
	return nil
}

// mayNotHash reports whether values of type t may be impossible to hash, though the compiler takes t for comparable.
func mayNotHash(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Array:
		return mayNotHash(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if mayNotHash(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// hashable reports whether a map would take key. It is kept apart because key is put on the heap for it.
//
//go:noinline
func hashable[K comparable](key K) bool { return reflect.ValueOf(&key).Elem().Comparable() }

// checkKey finds the keys that a map would panic at (an interface that holds a slice) or lose (a NaN).
func (c *core[K, Req, V]) checkKey(key K) error {
	if c.checkHash && !hashable(key) {
		return fmt.Errorf("%w: %T cannot be compared", ErrBadKey, key)
	}
	if key != key { // a NaN
		return fmt.Errorf("%w: %v is not equal to itself", ErrBadKey, key)
	}
	return nil
}

// do is Do. The first lines are all that a hit takes.
func (c *core[K, Req, V]) do(ctx context.Context, key K, req Req) (V, error) {
	if c.checkHash {
		if err := c.checkKey(key); err != nil {
			var none V
			return none, err
		}
	}
	e, now, ok := c.engine.get(key)
	if ok && now < e.fresh-c.ahead && !e.about.look.Load() {
		c.counters.mine().hit(e.cost.took())
		return e.value, nil
	}
	return c.doSlowly(ctx, key, req, e, now, ok)
}

// doSlowly is the rest of do. It is kept apart because what it needs room for would cost hits too.
func (c *core[K, Req, V]) doSlowly(ctx context.Context, key K, req Req, e entry[Req, V], now int64, found bool) (V, error) {
	f, value, err := c.answer(ctx, key, req, nil, e, now, found)
	if f == nil {
		return value, err
	}
	return c.wait(ctx, f)
}

// get is Get.
func (c *core[K, Req, V]) get(key K, req Req) (value V, ok bool) {
	if c.checkHash && c.checkKey(key) != nil {
		return value, false
	}
	e, now, ok := c.engine.get(key)
	if ok && now < e.fresh-c.ahead && !e.about.look.Load() {
		return e.value, true
	}
	if !ok {
		return value, false
	}
	switch c.judge(&e, now, req) {
	case hit, refreshHit, stale, refreshStale:
		return e.value, true
	case miss:
		if c.rescues(&e, now, req) && c.life.isClosed() {
			return e.value, true
		}
	}
	return value, false
}

// answer returns the answer to a request whose key was found (if found) to have the entry e at the time now. If there is no answer yet it returns
// the flight that will bring one, which the caller must wait for or leave. A flight that it began is passed to begin, which has it run; if
// begin is nil it is run here.
func (c *core[K, Req, V]) answer(
	ctx context.Context, key K, req Req, begin func(*flight[K, Req, V]), e entry[Req, V], now int64, found bool,
) (f *flight[K, Req, V], value V, err error) {
	if key != key { // it cannot have been found
		return nil, value, c.checkKey(key)
	}
	for ; ; e, now, found = c.engine.get(key) {
		rescue := false
		if found {
			v := c.judge(&e, now, req)
			if v.answers() {
				c.counters.answered(v, e.cost.took())
				if v == refreshHit || v == refreshStale {
					c.refresh(ctx, key, req, &e)
				}
				if v == negativeHit {
					return nil, value, e.about.err
				}
				return nil, e.value, nil
			}
			if v == collision {
				f, err := c.bypass(ctx, key, req, begin)
				return f, value, err
			}
			rescue = c.rescues(&e, now, req)
		}
		if ctx.Err() != nil {
			return nil, value, context.Cause(ctx)
		}
		f, again, err := c.enter(ctx, key, req, &e, found, rescue, begin)
		switch {
		case rescue && err == ErrClosed: //nolint:errorlint // it comes untouched
			c.counters.answered(stale, e.cost.took())
			return nil, e.value, nil
		case err != nil:
			return nil, value, err
		case again:
			continue
		case c.equal != nil && !c.isFor(f, req):
			c.leave(f)
			f, err = c.bypass(ctx, key, req, begin)
			return f, value, err
		}
		return f, value, nil
	}
}

// isFor reports whether the flight, which the caller has joined, is for an equal request. If the callback of WithEqual does not return, the
// caller is taken off the flight: the load would go on for one who has gone.
func (c *core[K, Req, V]) isFor(f *flight[K, Req, V], req Req) (is bool) {
	returned := false
	defer func() {
		if !returned {
			c.leave(f)
		}
	}()
	is = c.equal(f.req, req)
	returned = true
	return is
}

// rescues reports whether e, of which judge says miss, may be served if the load fails.
func (c *core[K, Req, V]) rescues(e *entry[Req, V], now int64, req Req) bool {
	return c.sie > 0 && !e.negative() && now < later(e.fresh, c.sie) && !e.dead() &&
		(c.equal == nil || c.equal(e.about.req, req))
}

// enter joins the flight of key or begins one, for a caller that has found the engine to hold seen (if found), which is served if the load fails
// (if rescue). If the engine holds something else by now, the caller has to look again.
func (c *core[K, Req, V]) enter(
	ctx context.Context, key K, req Req, seen *entry[Req, V], found, rescue bool, begin func(*flight[K, Req, V]),
) (f *flight[K, Req, V], again bool, err error) {
	ns := c.namespaces.find(key)
	within, inline := c.loadOf(ctx), c.runsInline(ctx, begin)
	s := c.shard(key)
	s.mu.Lock()
	if f := s.flights[key]; f != nil && !f.ns.dead.Load() {
		if within.waitsFor(&f.loading, c.bulk != nil) {
			s.mu.Unlock()
			return nil, false, ErrReentrant
		}
		f.waiters++
		if f.done == nil {
			f.done = make(chan struct{})
		}
		f.wanted.Store(true)
		s.mu.Unlock()
		c.counters.coalesced.Add(1)
		return f, false, nil
	}
	// A load that was over before the lock was taken has stored its value by now, and another must not follow it.
	if now, ok := c.engine.peek(key); ok != found || ok && !now.same(seen) {
		s.mu.Unlock()
		return nil, true, nil
	}
	if c.bulk != nil && within != nil {
		s.mu.Unlock()
		return nil, false, ErrReentrant
	}
	f = c.newFlight(ctx, key, req, ns, within, inline)
	if rescue {
		old := *seen
		f.old = &old
	}
	if !c.life.begin(f) {
		s.mu.Unlock()
		return nil, false, ErrClosed
	}
	s.flights[key] = f
	s.mu.Unlock()
	c.counters.misses.Add(1)
	c.launch(f, begin)
	return f, false, nil
}

// bypass begins a flight that nobody joins and whose value is not stored.
func (c *core[K, Req, V]) bypass(ctx context.Context, key K, req Req, begin func(*flight[K, Req, V])) (*flight[K, Req, V], error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	within := c.loadOf(ctx)
	if c.bulk != nil && within != nil {
		return nil, ErrReentrant
	}
	f := c.newFlight(ctx, key, req, c.namespaces.find(key), within, c.runsInline(ctx, begin))
	if !c.life.begin(f) {
		return nil, ErrClosed
	}
	c.counters.collisions.Add(1)
	c.launch(f, begin)
	return f, nil
}

// set is Set. Those who wait for a load of key get the value at once, and the load is cancelled: it has nothing to add.
func (c *core[K, Req, V]) set(key K, req Req, value V) error {
	if err := c.checkKey(key); err != nil {
		return err
	}
	e, store := c.newEntry(key, req, c.namespaces.find(key), value, 0, false)
	s := c.shard(key)
	s.mu.Lock()
	f := s.flights[key]
	delete(s.flights, key)
	// With WithEqual the flight may be another request's, and its callers wait on.
	superseded := f != nil && c.equal == nil
	if store {
		c.engine.set(key, e)
	} else {
		c.engine.remove(key)
	}
	if superseded {
		f.resolve(value, nil) // after the value is there: who has seen it must find it
	}
	s.mu.Unlock()
	if superseded {
		c.cancel(f, errSuperseded)
	}
	if !store {
		c.counters.unstored.Add(1)
	}
	c.sweepExpired()
	return nil
}

// remove is Delete. Those who wait for a load of key wait on, since they came before; the load's value is not stored, and
// who comes now begins another. If nobody waits for it, it is cancelled.
func (c *core[K, Req, V]) remove(key K) {
	if c.checkKey(key) != nil {
		return // then it is not in the cache
	}
	s := c.shard(key)
	s.mu.Lock()
	f := s.flights[key]
	delete(s.flights, key)
	c.engine.remove(key)
	needless := f != nil && f.waiters == 0 // a refresh, or a load that was to be finished for who comes next
	s.mu.Unlock()
	if needless {
		c.cancel(f, errDeleted)
	}
}
