package breaker

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// member is a key's breaker in a Group.
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
	switch c.state {
	case StateClosed:
		c.endEra()
		return true
	case StateOpen, StateHalfOpen:
		if c.now() < after(c.cooled, c.cfg.MaxOpenFor) {
			return false
		}
		c.round = nil
		c.quota.give()
		c.changed(StateChange{From: c.state, To: StateClosed, Reason: ReasonEvicted})
		c.state = StateClosed
		return true
	}
	return false
}

// table holds the members of a Group. Readers use a copy of the map, without a lock; it is made anew when it has missed as often as
// it has entries, which costs each miss a constant time.
type table[K comparable] struct {
	cfg   Config
	quota quota
	read  atomic.Pointer[map[K]*member[K]]

	mu      sync.Mutex
	all     map[K]*member[K]
	ring    []*member[K]
	hand    int // in ring: where the search for one to evict goes on
	misses  int // of read, since it was made
	evicted uint64
	past    Counters // of those evicted
}

func (t *table[K]) init(cfg Config) {
	t.cfg = cfg
	t.quota.share = cfg.MaxOpenShare
	t.all = make(map[K]*member[K])
	t.read.Store(&map[K]*member[K]{})
}

// pin returns the key's member, pinned. It is nil if there is none and none was made: by order, or for lack of room.
func (t *table[K]) pin(key K, create bool) (*member[K], error) {
	m, err := t.lookup(key)
	if err != nil || m != nil && m.pin() {
		return m, err
	}
	m, evicted := t.pinLocked(key, create)
	if evicted != nil {
		evicted.mu.Lock()
		evicted.unlock() // delivers that it is not open any more
	}
	return m, nil
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

// pinLocked is pin by what is true now. It also returns the breaker that had to go.
func (t *table[K]) pinLocked(key K, create bool) (m *member[K], evicted *core) {
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
			t.quota.members.Add(1)
		} else if evicted = t.replace(m); evicted == nil {
			return nil, nil
		}
		m.c = newCore(t.cfg, key, &t.quota)
		t.all[key] = m
	}
	if t.misses++; t.misses >= len(t.all) {
		clone := maps.Clone(t.all)
		t.read.Store(&clone)
		t.misses = 0
	}
	return m, evicted
}

// replace puts m in the place of a member that may go, and returns the breaker of that; nil if none may. Each member that has been used
// since the hand last came by gets a second chance.
func (t *table[K]) replace(m *member[K]) *core {
	for range min(2*len(t.ring), 2*DefaultMaxKeys) {
		i := t.hand
		t.hand = (i + 1) % len(t.ring)
		if old := t.ring[i]; !old.used.Swap(false) && old.retire() {
			delete(t.all, old.key)
			t.ring[i] = m
			t.evicted++
			t.past.add(old.c.counters())
			return old.c
		}
	}
	return nil
}

// list returns the members, how many were evicted, and the sum of what these had counted.
func (t *table[K]) list() ([]*member[K], uint64, Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.ring), t.evicted, t.past
}

// quota bounds the share of members that are open. All methods are safe for concurrent use; a nil quota bounds nothing.
type quota struct {
	share   float64
	members atomic.Int64
	open    atomic.Int64
}

// take counts one more member as open, if there may be one more or it must be.
func (q *quota) take(must bool) bool {
	if q == nil {
		return true
	}
	for {
		open := q.open.Load()
		// The addend makes up for the rounding of, say, 0.29*100.
		if most := max(1, int64(q.share*float64(q.members.Load())+1e-9)); open >= most && !must {
			return false
		}
		if q.open.CompareAndSwap(open, open+1) {
			return true
		}
	}
}

// give counts one less.
func (q *quota) give() {
	if q != nil {
		q.open.Add(-1)
	}
}
