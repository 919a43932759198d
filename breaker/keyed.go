package breaker

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
)

// Keyed is a Breaker for each key: a back-end, a model, a tenant. All methods are safe for concurrent use.
//
// A key's breaker is made by its first call. There are at most Config.MaxKeys; for a further key one is evicted that is closed, has no Do
// under way and has not been used lately, as the CLOCK algorithm sees it; keys that came only once go first. An open, half-open or
// forced breaker stays, so that an eviction cannot end its cooling; only one that nobody has asked for MaxOpenFor after its open time, or
// the lease of its last probe, may go as if it were closed. A permit from Allow does not keep its breaker: if that is evicted, its
// result is dropped as late.
//
// When none of the few dozen that a call looks at can be evicted, which is likely in an outage, the calls for new keys go through one
// more breaker, the overflow, which they share: they are guarded together rather than rejected or not guarded at all.
// KeyedStats.Overflow counts them.
//
// Config.MaxOpenShare bounds the share of the breakers that are open or half-open at once, as Envoy does by max_ejection_percent:
// when everything fails, the fault is not that of one back-end, and some of them must go on to take calls. One breaker may always
// open. A breaker that is forced open counts, but is not bounded. One that nobody has asked for so long that it could be evicted gives
// its place to another that is to open, and is closed then: a back-end that is gone does not keep the others from opening. The
// overflow breaker is not part of this.
type Keyed[K comparable, Req, Resp any] struct {
	key      func(Req) K
	next     Func[Req, Resp]
	classify func(Req, Resp, error) Outcome
	members  table[K]
	overflow member[K]
	spilled  atomic.Uint64 // calls through overflow
}

// NewKeyed makes a Keyed around next. key is called once for each Do, on the caller's goroutine; a panic in it goes to
// the caller.
func NewKeyed[K comparable, Req, Resp any](
	key func(Req) K, next Func[Req, Resp], cfg Config, opts ...Option[Req, Resp],
) (*Keyed[K, Req, Resp], error) {
	if key == nil || next == nil {
		return nil, errors.New("breaker: nil key or function")
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.withDefaults(true); err != nil {
		return nil, err
	}
	k := &Keyed[K, Req, Resp]{key: key, next: next, classify: o.classify}
	k.members.init(cfg)
	k.overflow.c = newCore(cfg, nil, nil, nil)
	return k, nil
}

// Do calls next, guarded by the breaker of the request's key. See Breaker.Do. A key that cannot be used is ErrBadKey.
func (k *Keyed[K, Req, Resp]) Do(ctx context.Context, req Req) (resp Resp, err error) {
	if ctx.Err() != nil {
		return resp, context.Cause(ctx)
	}
	m, err := k.member(k.key(req))
	if err != nil {
		return resp, err
	}
	defer m.unpin()
	return do(ctx, m.c, k.next, k.classify, req)
}

// Allow asks the key's breaker for permission. See Breaker.Allow.
func (k *Keyed[K, Req, Resp]) Allow(ctx context.Context, key K) (*Permit, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m, err := k.member(key)
	if err != nil {
		return nil, err
	}
	defer m.unpin()
	return m.c.allow(ctx)
}

// member returns the key's breaker, or the overflow. The caller unpins it.
func (k *Keyed[K, Req, Resp]) member(key K) (*member[K], error) {
	m, err := k.members.pin(key, true, evictLook)
	if err == nil && m == nil {
		k.spilled.Add(1)
		m = &k.overflow
		m.pin()
	}
	return m, err
}

// State returns the state of the key's breaker: StateClosed if there is none. See Breaker.State.
func (k *Keyed[K, Req, Resp]) State(key K) State {
	state := StateClosed
	_ = k.with(key, false, func(c *core) { state = c.current() })
	return state
}

// ForceOpen rejects all calls for the key until ForceClosed or Reset. The breaker is made if there is none; the error is
// ErrTooManyKeys if there is no room for it, or ErrBadKey.
func (k *Keyed[K, Req, Resp]) ForceOpen(key K) error {
	return k.with(key, true, func(c *core) { c.force(StateForcedOpen, ReasonForced) })
}

// ForceClosed lets all calls for the key through until ForceOpen or Reset. See ForceOpen for the errors.
func (k *Keyed[K, Req, Resp]) ForceClosed(key K) error {
	return k.with(key, true, func(c *core) { c.force(StateForcedClosed, ReasonForced) })
}

// Reset makes the key's breaker as new, if there is one. See Breaker.Reset.
func (k *Keyed[K, Req, Resp]) Reset(key K) {
	_ = k.with(key, false, func(c *core) { c.force(StateClosed, ReasonReset) })
}

// Remove makes the Keyed forget the key and its breaker, whatever its state is: for a back-end that is gone for good. A later call
// for the key makes a new breaker. Results of calls that are under way are dropped as late.
func (k *Keyed[K, Req, Resp]) Remove(key K) {
	if _, err := k.members.lookup(key); err != nil {
		return
	}
	if c := k.members.remove(key); c != nil {
		c.mu.Lock()
		c.unlock() // delivers that it is not open any more
	}
}

// StatsOf returns the counters and gauges of the key's breaker; false if there is none.
func (k *Keyed[K, Req, Resp]) StatsOf(key K) (s Stats, ok bool) {
	_ = k.with(key, false, func(c *core) { s, ok = c.snapshot(), true })
	return s, ok
}

// with calls do for the key's breaker, if there is one or it shall be made.
func (k *Keyed[K, Req, Resp]) with(key K, create bool, do func(*core)) error {
	m, err := k.members.pin(key, create, k.members.cfg.MaxKeys)
	if err != nil {
		return err
	}
	if m == nil {
		return ErrTooManyKeys
	}
	defer m.unpin()
	do(m.c)
	return nil
}

// All returns the keys that have a breaker, in no order, with its counters and gauges. The loop may call every method.
func (k *Keyed[K, Req, Resp]) All() iter.Seq2[K, Stats] {
	return func(yield func(K, Stats) bool) {
		members, _, _ := k.members.list()
		for _, m := range members {
			if !yield(m.key, m.c.snapshot()) {
				return
			}
		}
	}
}

// KeyedStats are the counters and gauges of a Keyed. Its Counters are the sums over all breakers, the evicted ones and the overflow
// included.
type KeyedStats struct {
	Counters
	Keys     int    // breakers
	Open     int    // of these: open, half-open or forced open
	Evicted  uint64 // breakers that had to make room
	Overflow uint64 // calls that went through the overflow breaker, rejected ones included
}

// Config returns the configuration, with the defaults filled in.
func (k *Keyed[K, Req, Resp]) Config() Config { return k.members.cfg }

// Stats returns the counters and gauges over all keys.
func (k *Keyed[K, Req, Resp]) Stats() KeyedStats {
	members, evicted, past := k.members.list()
	s := KeyedStats{Counters: past, Keys: len(members), Open: k.members.quota.taken(), Evicted: evicted, Overflow: k.spilled.Load()}
	for _, m := range members {
		s.add(m.c.snapshot().Counters)
	}
	s.Late, s.Neutral = k.members.strays.late.Load(), k.members.strays.neutral.Load()
	s.add(k.overflow.c.snapshot().Counters)
	return s
}
