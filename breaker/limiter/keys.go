package limiter

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// recheck is the longest until a key that could not be evicted is looked at again: a refund may have filled it sooner than it thought.
const recheck = time.Minute

// table holds the cores of the keys: MaxKeys at most, but for those that come back after their eviction, because one of their permits
// was settled into debt, and find none that can go. All is guarded by one mutex: the keys' own is the same.
type table[K comparable] struct {
	shared
	given   KeyedConfig // as the caller gave it
	each    *Config     // with the defaults filled in
	maxKeys int
	entries map[K]*entry[K]
	byDue   dueHeap[K]
	evicted uint64
}

// entry is one key.
type entry[K comparable] struct {
	core
	key   K
	table *table[K]
	due   time.Duration // when to look next whether it can be evicted
}

func (e *entry[K]) name() any { return e.key }

func (e *entry[K]) current(now time.Duration, revive bool) *core {
	if current, ok := e.table.entries[e.key]; ok {
		return &current.core
	}
	if revive {
		e.table.makeRoom(now) // if it cannot, e comes back all the same: its debt must not be lost
		e.gone = false
		e.configure(e.table.each) // which may have changed meanwhile
		e.table.insert(e)
	}
	return &e.core
}

func (t *table[K]) insert(e *entry[K]) {
	t.entries[e.key] = e
	heap.Push(&t.byDue, e)
}

// entry is the one of the key, which it makes if need be and if there is room. Called under mu.
func (t *table[K]) entry(key K, now time.Duration) (*entry[K], error) {
	if e := t.entries[key]; e != nil {
		return e, nil
	}
	if wait := t.makeRoom(now); wait > 0 {
		return nil, &LimitedError{Reason: ReasonTooManyKeys, Cause: CauseKeys, Wait: wait}
	}
	e := &entry[K]{key: key, table: t, due: now}
	e.home = e
	e.init(&t.shared, t.each)
	t.insert(e)
	return e, nil
}

// makeRoom evicts keys until there is room for a new one, and returns 0; or how long it takes until one can be evicted.
//
// A key's due time is when it would be full if nobody used it from when that was reckoned. So only keys that are due need to be
// looked at, and those of them that turn out to have been used since are put off. Each look at a key is
// paid for by its eviction, or by a use of it.
func (t *table[K]) makeRoom(now time.Duration) time.Duration {
	for len(t.entries) >= t.maxKeys {
		e := t.byDue[0]
		if e.due > now {
			return e.due - now
		}
		if in := e.fullIn(e.tick(now)); in > 0 {
			e.due = now + min(in, recheck)
			heap.Fix(&t.byDue, 0)
			continue
		}
		heap.Pop(&t.byDue)
		delete(t.entries, e.key)
		e.gone = true
		t.evicted++
	}
	return 0
}

// acquire is core.acquire on the core of the key.
func (t *table[K]) acquire(ctx context.Context, key K, cost int, try bool) (receipt, error) {
	now := time.Since(t.start)
	t.mu.Lock()
	e, err := t.entry(key, now)
	if err != nil {
		t.stats.Rejected.TooManyKeys++
		report := t.each.OnReject
		t.mu.Unlock()
		if report != nil {
			report(RejectEvent{Key: key, Cost: cost, Err: err})
		}
		return receipt{}, err
	}
	w, err := e.admit(ctx, cost, try, now)
	r := receipt{&e.core, t.epochs}
	t.mu.Unlock()
	if w != nil || err != nil {
		r.from, err = e.finish(ctx, cost, w, err)
	}
	return r, err
}

// change does something to the core of the key, outside the lock: if the key is evicted in between, it finds its way to what stands for
// the key then.
func (t *table[K]) change(key K, do func(*core)) error {
	if err := checkKey(key); err != nil {
		return err
	}
	now := time.Since(t.start)
	t.mu.Lock()
	e, err := t.entry(key, now)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	do(&e.core)
	return nil
}

func (t *table[K]) resume(key K) {
	if checkKey(key) != nil {
		return
	}
	t.mu.Lock()
	e := t.entries[key]
	t.mu.Unlock()
	if e != nil { // otherwise it is not paused
		e.resume()
	}
}

func (t *table[K]) level(key K) Level {
	if checkKey(key) != nil {
		return Level{}
	}
	now := time.Since(t.start)
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[key]; e != nil {
		return e.levelAt(e.tick(now))
	}
	var full core // what a new key would be
	full.init(&t.shared, t.each)
	return full.levelAt(now)
}

func (t *table[K]) keys() []K {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.entries))
}

func (t *table[K]) reconfigure(given KeyedConfig, cfg *KeyedConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renew(t.each, &cfg.Each)
	t.given, t.each, t.maxKeys = given, &cfg.Each, cfg.MaxKeys
	for _, e := range t.entries {
		e.configure(t.each)
		e.arm(e.advance(e.now))
	}
}

// checkKey finds the keys that a map would lose (NaN) or panic at (an interface that holds a slice).
func checkKey[K comparable](key K) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: key: %v", ErrBadRequest, v)
		}
	}()
	if key != key { // a NaN
		return fmt.Errorf("%w: key %v is not equal to itself", ErrBadRequest, key)
	}
	return nil
}

// dueHeap has the key that is due first at the front.
type dueHeap[K comparable] []*entry[K]

func (h dueHeap[K]) Len() int           { return len(h) }
func (h dueHeap[K]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap[K]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap[K]) Push(x any)        { *h = append(*h, x.(*entry[K])) }

func (h *dueHeap[K]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
