package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// flight is one load of one key, and those who wait for it.
//
// A flight is in the table of its shard as long as its value is to be stored and others may join it. Set, Delete, the flight's own end, and
// its last waiter's leaving take it out, all under the lock of the shard, and every write to the engine happens under that lock together with
// the look at the table that allows it. So between a load and a Set the order is that of the lock: either the load has stored its value
// and the Set replaces it, or the Set has taken the flight out and the load stores nothing. A reader that finds nothing in the engine looks again
// under the lock before it begins a flight. That is what a singleflight in front of a store does not give: its loader
// writes its value after the Set that it has missed.
type flight[K comparable, Req, V any] struct {
	key   K
	req   Req
	ns    *namespace[Req]
	shard *shard[K, Req, V]

	loading loading // the context of the load, but with a bulk loader

	refresh bool
	inline  bool           // the caller that began it runs the load, see Config.LoadInline
	old     *entry[Req, V] // what is served if the load fails; nil if there is nothing

	done chan struct{} // closed when value and err are there; nil if inline and nobody has joined

	previous, next *flight[K, Req, V] // see lifecycle

	// Guarded by the lock of the key's shard.
	waiters  int
	resolved bool // done is closed
	value    V
	err      error

	// Of a flight for the bulk loader, see gatherer.
	state  atomic.Int32
	wanted atomic.Bool // somebody has joined it
	call   *bulkCall   // written before state becomes taken
}

// waitsFor reports whether a call from inside the load l must not wait for the load of: because it is l, or waits for it, or because the call of the
// bulk loader that it comes from may hold the last slot.
func (l *loading) waitsFor(of *loading, bulk bool) bool {
	if bulk {
		return l != nil
	}
	for ; l != nil; l = l.within {
		if l == of {
			return true
		}
	}
	return false
}

// loadOf returns the load of this cache that ctx comes from, or nil.
func (c *core[K, Req, V]) loadOf(ctx context.Context) *loading {
	l, _ := ctx.Value(c).(*loading)
	for l != nil && l.over.Load() {
		l = l.within
	}
	return l
}

var (
	errAbandoned  = errors.New("cache: all who waited for the load have gone")
	errDeleted    = errors.New("cache: the key was deleted while it was being loaded")
	errSuperseded = errors.New("cache: the value was set while it was being loaded")
)

// newFlight makes a flight with one waiter, which runs it if inline. The load's context has the values of the caller's that begins it, but not its end.
func (c *core[K, Req, V]) newFlight(
	ctx context.Context, key K, req Req, ns *namespace[Req], within *loading, inline bool,
) *flight[K, Req, V] {
	f := &flight[K, Req, V]{key: key, req: req, ns: ns, shard: c.shard(key), waiters: 1, inline: inline}
	if !inline {
		f.done = make(chan struct{})
	}
	if c.bulk == nil {
		f.loading.values, f.loading.cache, f.loading.within = ctx, c, within
	}
	return f
}

// cancel ends the load of a flight that nobody needs. No lock may be held.
func (c *core[K, Req, V]) cancel(f *flight[K, Req, V], cause error) {
	if c.bulk != nil {
		c.bulk.drop(f, cause)
	} else {
		f.loading.end(cause)
	}
}

// resolve gives the waiters their answer. The shard must be locked.
func (f *flight[K, Req, V]) resolve(value V, err error) {
	if !f.resolved {
		f.resolved, f.value, f.err = true, value, err
		if f.done != nil {
			close(f.done)
		}
	}
}

// shardCount is a power of two. The shards are locked on misses and writes only.
const shardCount = 64

// shard has the flights of a part of the keys.
type shard[K comparable, Req, V any] struct {
	mu      sync.Mutex
	flights map[K]*flight[K, Req, V]
	_       [64]byte
}

func (c *core[K, Req, V]) shard(key K) *shard[K, Req, V] {
	return &c.shards[maphash.Comparable(c.seed, key)%shardCount]
}

// wait returns the answer of a flight, or gives up when ctx ends first.
func (c *core[K, Req, V]) wait(ctx context.Context, f *flight[K, Req, V]) (V, error) {
	if f.done == nil { // this caller has run it, and nobody has joined
		return f.value, f.err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		if c.leave(f) {
			var none V
			return none, context.Cause(ctx)
		}
	}
	return f.value, f.err
}

// leave takes a waiter off a flight, and cancels the load if that was the last. It returns false if the answer has come.
func (c *core[K, Req, V]) leave(f *flight[K, Req, V]) bool {
	s := f.shard
	s.mu.Lock()
	if f.resolved {
		s.mu.Unlock()
		return false
	}
	f.waiters--
	tabled := s.flights[f.key] == f
	if f.waiters > 0 || tabled && (f.refresh || c.cfg.FinishLoads) {
		s.mu.Unlock()
		return true
	}
	if tabled {
		delete(s.flights, f.key)
	}
	s.mu.Unlock()
	c.counters.abandoned.Add(1)
	c.cancel(f, errAbandoned)
	return true
}
