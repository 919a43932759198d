package memstore

import (
	"sync"
	"sync/atomic"

	"github.com/scalable-ai/patterns/featurestore"
)

// stride is how many slots each write looks at for rows whose TTL has passed. Four see the whole table once in so many writes as it has
// rows, or fewer.
const stride = 4

// shard is a part of the rows, of all views.
type shard struct {
	table atomic.Pointer[table]

	_ [56]byte // what writers change, away from what readers need

	mu   sync.Mutex // held to write
	live int        // entries in the table
	full int        // slots that are not nil: the entries, and those marked gone
	hand int        // the slot that the sweep looks at next

	_    [32]byte
	read counters
	_    [48]byte
}

// put stores e if it is newer than what is there, and drops some rows that it no longer needs.
func (s *shard) put(st *Store, e *entry, now int64, out *[]EvictEvent) featurestore.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	slot, old := t.find(e.view, &e.key, e.hash)
	if old != nil && old.record.EventNanos() >= e.record.EventNanos() {
		return featurestore.Stale
	}
	if old == nil && 2*(s.full+1) > len(t.slots) {
		t = s.rebuild(st, now, out)
		slot, _ = t.find(e.view, &e.key, e.hash)
	}
	if old != nil {
		st.bytes.Add(e.bytes() - old.bytes())
	} else {
		if t.slots[slot].Load() == nil {
			s.full++
		}
		s.live++
		st.rows.Add(1)
		st.bytes.Add(e.bytes())
	}
	t.slots[slot].Store(e)
	if st.expiring.Load() {
		for range stride {
			s.advance(st, t, e, now, false, out)
		}
	}
	return featurestore.Written
}

// remove takes a row out.
func (s *shard) remove(st *Store, v *view, key featurestore.Key, hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	if slot, e := t.find(v, &key, hash); e != nil {
		s.drop(st, t, slot, e)
	}
}

func (s *shard) drop(st *Store, t *table, slot int, e *entry) {
	s.full -= t.clear(slot)
	s.live--
	st.rows.Add(-1)
	st.bytes.Add(-e.bytes())
}

// advance moves the hand by one slot. If it passes a row whose TTL has passed it drops it; with evict also one that has not been used since the last
// time (the algorithm CLOCK). It spares keep. It reports whether a row was dropped.
func (s *shard) advance(st *Store, t *table, keep *entry, now int64, evict bool, out *[]EvictEvent) bool {
	slot := s.hand & (len(t.slots) - 1)
	s.hand = slot + 1
	e := t.slots[slot].Load()
	if e == nil || e == gone || e == keep {
		return false
	}
	expired := e.view.expired(e, now)
	if !expired && (!evict || e.used.Swap(false)) {
		return false
	}
	s.drop(st, t, slot, e)
	st.evicted(e, expired, out)
	return true
}

// rebuild makes a table without the marks and without the rows whose TTL has passed, of such a size that there is room for some time.
func (s *shard) rebuild(st *Store, now int64, out *[]EvictEvent) *table {
	old := s.table.Load()
	live := make([]*entry, 0, s.live)
	for i := range old.slots {
		e := old.slots[i].Load()
		switch {
		case e == nil || e == gone:
		case e.view.expired(e, now):
			st.rows.Add(-1)
			st.bytes.Add(-e.bytes())
			st.evicted(e, true, out)
		default:
			live = append(live, e)
		}
	}
	bits := uint8(minBits)
	for 8*(len(live)+1) > 3<<bits {
		bits++
	}
	t := newTable(bits)
	for _, e := range live {
		slot, _ := t.find(e.view, &e.key, e.hash)
		t.slots[slot].Store(e)
	}
	s.hand = int(uint64(s.hand) * uint64(len(t.slots)) / uint64(len(old.slots)))
	s.live, s.full = len(live), len(live)
	s.table.Store(t)
	return t
}

// sweep drops all rows whose TTL has passed.
func (s *shard) sweep(st *Store, now int64, out *[]EvictEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	for range t.slots {
		s.advance(st, t, nil, now, false, out)
	}
}

// evict drops rows until the store is within its bounds, or until only keep is left here. The hand passes each slot twice at most: the second time
// no row counts as used, but for those that are read in between.
func (s *shard) evict(st *Store, keep *entry, now int64, out *[]EvictEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	for range 2 * len(t.slots) {
		if !st.over() {
			return
		}
		s.advance(st, t, keep, now, true, out)
	}
}
