package breaker

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// member is a key's breaker in a Keyed.
type member[K comparable] struct {
	key  K
	c    *core
	busy atomic.Int64 // users that keep it from being evicted; negative once it is
	used atomic.Bool  // since the hand last came by
}

const gone = math.MinInt64 / 2

// pin keeps the member until unpin. It fails if the member is evicted, or is just being looked at for that.
func (m *member[K]) pin() bool {
	if m.busy.Add(1) <= 0 {
		m.busy.Add(-1)
		return false
	}
	if !m.used.Load() { // a write each time would take the cache line from the other readers
		m.used.Store(true)
	}
	return true
}

func (m *member[K]) unpin() { m.busy.Add(-1) }

// retire takes the member out of use, if nobody uses it and its breaker may go. Who pins it either comes before, and is seen here, or
// finds it gone and asks again under table.mu, which the caller holds.
func (m *member[K]) retire() bool {
	if !m.busy.CompareAndSwap(0, gone) {
		return false
	}
	if !m.c.retire() {
		m.busy.Add(-gone)
		return false
	}
	return true
}

// retire takes the breaker out of use: results that are still to come are late. It returns false if the breaker has to stay. An event
// is left for unlock to deliver.
func (c *core) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.delivering || len(c.events) > 0 {
		return false // the key's next breaker would deliver at the same time
	}
	switch c.state {
	case StateClosed:
		c.endEra()
		return true
	case StateOpen, StateHalfOpen:
		if !c.stale(c.now()) {
			return false
		}
		c.round = nil
		c.quota.give(c)
		c.changed(StateEvent{From: c.state, To: StateClosed, Reason: ReasonEvicted})
		c.state = StateClosed
		return true
	}
	return false
}

// remove is retire for a breaker that goes whatever its state is, and even if somebody is about to use it, who then finds it closed
// and is late. It returns what the breaker had counted.
func (c *core) remove() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() != nil {
		c.endEra()
	}
	c.refuse.Store(nil)
	c.round = nil
	c.machine.reset()
	c.quota.give(c)
	if c.state != StateClosed {
		c.changed(StateEvent{From: c.state, To: StateClosed, Reason: ReasonEvicted})
	}
	c.state = StateClosed
	c.removed = true
	return c.counters()
}

// overEra is that of calls that begin after their breaker has been removed: sealed from the beginning.
var overEra = &era{calls: counter{make([]count, 1)}, window: new(countWindow)}

func init() { overEra.calls.seal() }

// evictLook is the number of members that a call for a new key looks at to find one that can go: when none can, which is in an outage,
// each call for a new key looks in vain.
const evictLook = 32

// strays are the counters that can go on after a breaker has been evicted, summed over all breakers of a Keyed.
type strays struct{ late, neutral atomic.Uint64 }

// table holds the members of a Keyed. Readers use a copy of the map, without a lock; it is made anew when it has missed as often as
// it has entries, which costs each miss a constant time.
type table[K comparable] struct {
	cfg   Config
	quota *quota
	read  atomic.Pointer[map[K]*member[K]]

	mu      sync.Mutex
	all     map[K]*member[K]
	ring    []*member[K]
	hand    int // in ring: where the search for one to evict goes on
	misses  int // of read, since it was made
	evicted uint64
	past    Counters // of those evicted
	strays  strays
}

func (t *table[K]) init(cfg Config) {
	t.cfg = cfg
	t.quota = newQuota(cfg.MaxOpenShare)
	t.all = make(map[K]*member[K])
	t.read.Store(&map[K]*member[K]{})
}

// pin returns the key's member, pinned. It is nil if there is none and none was made: by order, or for lack of room, after a look
// at so many others.
func (t *table[K]) pin(key K, create bool, most int) (*member[K], error) {
	m, err := t.lookup(key)
	if err != nil || m != nil && m.pin() {
		return m, err
	}
	m, evicted := t.pinLocked(key, create, most)
	if evicted != nil {
		delivered := false
		defer func() {
			if !delivered { // a hook has panicked
				m.unpin()
			}
		}()
		evicted.mu.Lock()
		evicted.unlock() // delivers that it is not open any more
		delivered = true
	}
	return m, nil
}

// remove takes the key's member out, whoever uses it. It returns its breaker, for unlock to be called; nil if there is none.
func (t *table[K]) remove(key K) *core {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.all[key]
	if m == nil {
		return nil
	}
	m.busy.Add(gone)
	delete(t.all, key)
	last := len(t.ring) - 1
	t.ring[slices.Index(t.ring, m)] = t.ring[last]
	t.ring[last] = nil
	t.ring = t.ring[:last]
	t.hand %= max(1, last)
	t.quota.grow(-1)
	t.past.add(m.c.remove())
	return m.c
}

// lookup looks the key up in what may be out of date.
func (t *table[K]) lookup(key K) (m *member[K], err error) {
	defer func() {
		if v := recover(); v != nil { // an interface that holds, say, a slice
			err = fmt.Errorf("%w: %v", ErrBadKey, v)
		}
	}()
	if key != key { // a NaN
		return nil, fmt.Errorf("%w: %v is not equal to itself", ErrBadKey, key)
	}
	return (*t.read.Load())[key], nil
}

// pinLocked is pin by what is true now. It looks at so many members for one to evict. It also returns the breaker that had to go.
func (t *table[K]) pinLocked(key K, create bool, most int) (m *member[K], evicted *core) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m = t.all[key]; m != nil {
		m.pin()
	} else {
		if !create {
			return nil, nil
		}
		m = &member[K]{key: key}
		m.busy.Add(1) // not pin: a key that comes only once is the first to go
		if len(t.ring) < t.cfg.MaxKeys {
			t.ring = append(t.ring, m)
			t.quota.grow(1)
		} else if evicted = t.replace(m, most); evicted == nil {
			return nil, nil
		}
		m.c = newCore(t.cfg, key, t.quota, &t.strays)
		t.all[key] = m
	}
	if t.misses++; t.misses >= len(t.all) {
		clone := maps.Clone(t.all)
		t.read.Store(&clone)
		t.misses = 0
	}
	return m, evicted
}

// replace puts m in the place of a member that may go, and returns the breaker of that; nil if none may of those that it looks at,
// at most so many and each twice. One that has been used since the hand last came by gets a second chance, if another can
// go instead.
func (t *table[K]) replace(m *member[K], most int) *core {
	most = min(most, len(t.ring))
	first := t.hand
	for range 2 * most {
		i := t.hand
		t.hand = (i + 1) % len(t.ring)
		if !t.ring[i].used.Swap(false) && t.ring[i].retire() {
			return t.evict(i, m)
		}
		if t.hand == (first+most)%len(t.ring) {
			t.hand = first
		}
	}
	t.hand = (first + most) % len(t.ring) // the next search looks at others
	return nil
}

// evict puts m in the place of the i-th, which has been retired.
func (t *table[K]) evict(i int, m *member[K]) *core {
	old := t.ring[i]
	t.ring[i] = m
	delete(t.all, old.key)
	t.evicted++
	t.past.add(old.c.counters())
	return old.c
}

// list returns the members, how many were evicted, and the sum of what these had counted.
func (t *table[K]) list() ([]*member[K], uint64, Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.ring), t.evicted, t.past
}
