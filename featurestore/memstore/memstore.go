package memstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scalable-ai/patterns/featurestore"
)

var _ featurestore.Store = (*Store)(nil)

// Store keeps rows in memory. Use New to make one. It is safe for concurrent use, and owns no goroutine.
type Store struct {
	cfg    Config
	shards []shard
	mask   uint64

	views    atomic.Pointer[map[viewID]*view] // copied when a view is added
	adding   sync.Mutex
	expiring atomic.Bool // a view has a TTL

	_ [64]byte // what writers change, away from what readers need

	rows, bytes atomic.Int64
	wrote       writeCounters
}

type viewID struct{ project, name string }

// view is what the rows of a view have in common.
type view struct {
	salt   uint64 // sends equal keys of different views to different slots
	schema atomic.Pointer[featurestore.Schema]
}

func (v *view) expired(e *entry, now int64) bool {
	ttl := int64(v.schema.Load().TTL())
	return ttl > 0 && e.record.EventNanos() <= now-ttl // which does not overflow, unlike the age
}

// New makes a store without rows.
func New(cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, shards: make([]shard, cfg.Shards), mask: uint64(cfg.Shards - 1)}
	for i := range s.shards {
		s.shards[i].table.Store(newTable(minBits))
	}
	s.views.Store(&map[viewID]*view{})
	return s, nil
}

// view is the state of a view, nil if nothing of it has been written.
func (s *Store) view(schema *featurestore.Schema) *view {
	return (*s.views.Load())[viewID{schema.Project(), schema.Name()}]
}

// viewToWrite makes it if it is not there, and notes the schema as the newest.
func (s *Store) viewToWrite(schema *featurestore.Schema) *view {
	v := s.view(schema)
	if v != nil && v.schema.Load() == schema {
		return v
	}
	s.adding.Lock()
	defer s.adding.Unlock()
	if v = s.view(schema); v == nil {
		v = &view{salt: maphash.Comparable(seed, viewID{schema.Project(), schema.Name()})}
		v.schema.Store(schema)
		views := maps.Clone(*s.views.Load())
		views[viewID{schema.Project(), schema.Name()}] = v
		s.views.Store(&views)
	}
	v.schema.Store(schema)
	if schema.TTL() > 0 {
		s.expiring.Store(true)
	}
	return v
}

var seed = maphash.MakeSeed()

// Read implements [featurestore.Store]. It takes no lock and does not allocate, unless a row was written with another version of its view.
func (s *Store) Read(ctx context.Context, lookups []featurestore.Lookup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range lookups {
		if l := &lookups[i]; len(l.Rows) != len(l.Keys) {
			return fmt.Errorf("memstore: Read: view %q: %d keys, but room for %d rows", l.View.Name(), len(l.Keys), len(l.Rows))
		}
	}
	for i := range lookups {
		if l := &lookups[i]; len(l.Keys) > 0 {
			s.lookup(l)
		}
	}
	return nil
}

// ahead is how many keys a lookup has under way at once. Their first slots are fetched before any of the entries is looked at, so that the processor
// waits for the memory of many at the same time.
const ahead = 32

func (s *Store) lookup(l *featurestore.Lookup) {
	v := s.view(l.View)
	var found int
	if v != nil {
		foreign := false
		for from := 0; from < len(l.Keys); from += ahead {
			to := min(from+ahead, len(l.Keys))
			n, other := s.lookupSome(v, l.View, l.Keys[from:to], l.Rows[from:to])
			found += n
			foreign = foreign || other
		}
		if foreign {
			s.convert(l, v)
		}
	}
	c := &s.shards[l.Keys[0].LocalHash()&s.mask].read // any will do that spreads callers
	c.keys.Add(uint64(len(l.Keys)))
	c.found.Add(uint64(found))
}

// lookupSome looks up to ahead keys up. It reports how many there are, and whether one of them has another schema.
func (s *Store) lookupSome(
	v *view, schema *featurestore.Schema, keys []featurestore.Key, rows []*featurestore.Record,
) (found int, foreign bool) {
	var hashes [ahead]uint64
	var firsts [ahead]*entry
	for i, key := range keys {
		hash := key.LocalHash() ^ v.salt
		t := s.shards[hash&s.mask].table.Load()
		hashes[i&(ahead-1)], firsts[i&(ahead-1)] = hash, t.slots[hash>>t.shift].Load()
	}
	mark := s.bounded()
	for i, key := range keys {
		e, hash := firsts[i&(ahead-1)], hashes[i&(ahead-1)]
		if e != nil && !e.is(v, key, hash) {
			e = s.shards[hash&s.mask].table.Load().get(v, key, hash)
		}
		if e == nil {
			continue
		}
		if mark && !e.used.Load() { // not stored without need: the line may be in the caches of all cores
			e.used.Store(true)
		}
		found++
		rows[i] = e.record
		foreign = foreign || e.schema != schema
	}
	return found, foreign
}

// convert makes the rows fit the lookup's schema. Rows that have been replaced since they were looked up are taken anew.
func (s *Store) convert(l *featurestore.Lookup, v *view) {
	var same *featurestore.Schema // the last that turned out to have the layout of l.View
	for i, key := range l.Keys {
		l.Rows[i] = nil
		hash := key.LocalHash() ^ v.salt
		e := s.shards[hash&s.mask].table.Load().get(v, key, hash)
		if e == nil {
			continue
		}
		if e.schema != l.View && e.schema != same {
			if !e.schema.SameLayout(l.View) {
				record, err := l.View.Convert(e.record, e.schema)
				if err != nil {
					l.Fail(i, err)
				}
				l.Rows[i] = record
				continue
			}
			same = e.schema
		}
		l.Rows[i] = e.record
	}
}

// Write implements [featurestore.Store]. It keeps copies of the records; the strings are shared. A record that does not fit the view is Invalid. A row
// whose TTL has passed is stored like others, and goes with the next sweep.
func (s *Store) Write(ctx context.Context, schema *featurestore.Schema, rows []featurestore.Row, outcomes []featurestore.Outcome) error {
	var err error
	switch {
	case len(rows) != len(outcomes):
		err = fmt.Errorf("memstore: Write: %d rows, but room for %d outcomes", len(rows), len(outcomes))
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		for i := range outcomes {
			outcomes[i] = featurestore.Failed
		}
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	var errs []error
	var count [featurestore.Failed + 1]uint64
	v, now := s.viewToWrite(schema), time.Now().UnixNano()
	var out []Eviction
	for i := range rows {
		if err := schema.Check(rows[i].Record); err != nil {
			outcomes[i] = featurestore.Invalid
			errs = append(errs, fmt.Errorf("row %d: %w", i, err))
		} else {
			outcomes[i] = s.put(v, schema, &rows[i], now, &out)
		}
		count[outcomes[i]]++
	}
	s.wrote.add(&count)
	s.report(out)
	return errors.Join(errs...)
}

func (s *Store) put(v *view, schema *featurestore.Schema, row *featurestore.Row, now int64, out *[]Eviction) featurestore.Outcome {
	hash := row.Key.LocalHash() ^ v.salt
	shard := &s.shards[hash&s.mask]
	// Looked at without the lock first, so that nothing is copied for a row that is stale.
	if old := shard.table.Load().get(v, row.Key, hash); old != nil && old.record.EventNanos() >= row.Record.EventNanos() {
		return featurestore.Stale
	}
	e := &entry{view: v, key: row.Key, record: row.Record.Clone(), schema: schema, hash: hash}
	e.size = uint32(min((overhead+row.Key.Size()+e.record.Size())/sizeUnit, math.MaxUint32))
	e.used.Store(true)
	outcome := shard.put(s, e, now, out)
	// The row's own shard first; the others only if it has no other row.
	for i := 0; outcome == featurestore.Written && s.over() && i < len(s.shards); i++ {
		s.shards[(hash+uint64(i))&s.mask].evict(s, e, now, out)
	}
	return outcome
}

// overhead is what a row takes beside its record: the entry, and two or three slots.
const overhead = 64 + 3*8

// EventTime is the event time of a row in nanoseconds since 1970; false if the row is not there. It does not count as a use of the row.
func (s *Store) EventTime(schema *featurestore.Schema, key featurestore.Key) (ns int64, ok bool) {
	v := s.view(schema)
	if v == nil {
		return 0, false
	}
	hash := key.LocalHash() ^ v.salt
	e := s.shards[hash&s.mask].table.Load().get(v, key, hash)
	if e == nil {
		return 0, false
	}
	return e.record.EventNanos(), true
}

// Delete implements [featurestore.Store].
func (s *Store) Delete(ctx context.Context, schema *featurestore.Schema, keys []featurestore.Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v := s.view(schema)
	if v == nil {
		return nil
	}
	for _, key := range keys {
		hash := key.LocalHash() ^ v.salt
		s.shards[hash&s.mask].remove(s, v, key, hash)
	}
	return nil
}

// Sweep removes all rows whose TTL has passed. Writes do that too, a few slots at a time; it is for a store that is not written to for long, and looks
// at every row.
func (s *Store) Sweep() {
	now := time.Now().UnixNano()
	for i := range s.shards {
		var out []Eviction
		s.shards[i].sweep(s, now, &out)
		s.report(out)
	}
}

func (s *Store) bounded() bool { return s.cfg.MaxRows > 0 || s.cfg.MaxBytes > 0 }

func (s *Store) over() bool {
	return s.cfg.MaxRows > 0 && s.rows.Load() > int64(s.cfg.MaxRows) || s.cfg.MaxBytes > 0 && s.bytes.Load() > s.cfg.MaxBytes
}

// evicted counts a row that was removed, and notes it if someone wants to know.
func (s *Store) evicted(e *entry, expired bool, out *[]Eviction) {
	if expired {
		s.wrote.expired.Add(1)
	} else {
		s.wrote.evicted.Add(1)
	}
	if s.cfg.OnEvict != nil {
		*out = append(*out, Eviction{View: e.view.schema.Load(), Key: e.key, Expired: expired})
	}
}

func (s *Store) report(out []Eviction) {
	for _, e := range out {
		s.cfg.OnEvict(e)
	}
}
