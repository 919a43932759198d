package cache

import (
	"math"
	"sync/atomic"
	"time"
)

// entry is what the engine keeps of a key. It is small, since a hit costs what the processor has to fetch: the value itself is in it, and the only
// pointer that a hit follows is shared by nearly all entries. It has no more than four fields because the compiler keeps such a struct in registers.
type entry[Req, V any] struct {
	value V
	fresh int64 // until then the value is as good as new; forever if it does not expire
	cost  cost
	about *about[Req]
}

// cost is how long a value took to load, in microseconds, in the upper half, and its weight in the lower.
type cost uint64

func newCost(took time.Duration, weight uint32) cost {
	return cost(min(max(took.Microseconds(), 0), math.MaxUint32))<<32 | cost(weight)
}

func (c cost) took() uint64 { return uint64(c >> 32) }

func (c cost) weight() uint32 { return uint32(c) }

// about is what else there is to know of an entry. Entries that have nothing but a namespace share that namespace's plain one.
type about[Req any] struct {
	look    atomic.Bool // look closer before serving: it is not the plain one, or its namespace is dead
	ns      *namespace[Req]
	err     error // a negative entry: the error that is remembered
	req     Req   // the request, with WithEqual
	retryAt int64 // after a failed load or refresh: not before that is another tried while the old value may still be served
}

func (e *entry[Req, V]) negative() bool { return e.about.err != nil }

func (e *entry[Req, V]) dead() bool { return e.about.ns.dead.Load() }

// same reports whether both are from one write. What expires differs in fresh, what does not expire only ever misses because of
// its namespace, and what is compared by WithEqual is about a request of its own.
func (e *entry[Req, V]) same(other *entry[Req, V]) bool {
	return e.fresh == other.fresh && e.about == other.about
}

// verdict says what an entry is good for at a moment.
type verdict uint8

const (
	miss         verdict = iota // nothing to serve: load
	hit                         // serve the value
	negativeHit                 // serve the error
	stale                       // serve the old value
	refreshHit                  // serve the value, and start a refresh
	refreshStale                // serve the old value, and start a refresh
	collision                   // another request's: load, and do not store
)

// answers reports whether the entry is the answer.
func (v verdict) answers() bool { return v != miss && v != collision }

// judge says what e is good for, for the request. It may call the callback of WithEqual.
func (c *core[K, Req, V]) judge(e *entry[Req, V], now int64, req Req) verdict {
	v := c.age(e, now)
	if v.answers() && c.equal != nil && !c.equal(e.about.req, req) {
		return collision
	}
	return v
}

// age says what e is good for, for the request that it is of.
func (c *core[K, Req, V]) age(e *entry[Req, V], now int64) verdict {
	retrying := now < e.about.retryAt
	switch {
	case e.dead():
		return miss
	case e.negative() && now < e.fresh:
		return negativeHit
	case e.negative():
		return miss
	case now < e.fresh-c.ahead, now < e.fresh && retrying:
		return hit
	case now < e.fresh:
		return refreshHit
	case now < later(e.fresh, c.swr) && !retrying:
		return refreshStale
	case now < later(e.fresh, c.swr), retrying && now < later(e.fresh, c.sie):
		return stale
	}
	return miss
}

// newEntry makes the entry of a value, and reports whether it is to be stored. It calls callbacks, so no lock may be held. took is 0 for a
// value that was not loaded: that one is not subject to WithAdmission.
func (c *core[K, Req, V]) newEntry(key K, req Req, ns *namespace[Req], value V, took time.Duration, loaded bool) (entry[Req, V], bool) {
	e := entry[Req, V]{value: value, fresh: forever, about: &ns.plain}
	ttl := c.cfg.TTL
	if c.ttl != nil {
		if ttl = c.ttl(key, value); ttl <= 0 {
			return e, false
		}
	}
	if ttl > 0 {
		e.fresh = c.deadline(ttl)
	}
	weight := 1
	if c.weight != nil {
		weight = c.weight(key, value)
		if weight < 0 || int64(weight) > min(c.cfg.MaxWeight, math.MaxUint32) {
			return e, false
		}
	}
	e.cost = newCost(took, uint32(max(weight, 1))) // otter never evicts what weighs nothing
	if loaded && c.admission != nil && !c.admission(key, value, Cost{took, weight}) {
		return e, false
	}
	// If the lifetime is so short that all of it is the time to refresh, one refresh would follow the other.
	short := c.ahead > 0 && c.engine.now() >= e.fresh-c.ahead
	if c.equal != nil || short {
		e.about = ns.about()
		if c.equal != nil {
			e.about.req = req
		}
		if short {
			e.about.retryAt = e.fresh
		}
	}
	return e, true
}

func (c *core[K, Req, V]) newNegative(req Req, ns *namespace[Req], err error, took time.Duration) entry[Req, V] {
	e := entry[Req, V]{fresh: c.deadline(c.cfg.NegativeTTL), cost: newCost(took, 1), about: ns.about()}
	e.about.err = err
	if c.equal != nil {
		e.about.req = req
	}
	return e
}

// deadline is the end of a lifetime that begins now, shortened by the jitter.
func (c *core[K, Req, V]) deadline(ttl time.Duration) int64 {
	if c.cfg.Jitter > 0 {
		ttl = max(1, ttl-time.Duration(c.cfg.Jitter*c.random()*float64(ttl)))
	}
	return later(c.engine.now(), int64(ttl))
}
