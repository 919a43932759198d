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
	var out []EvictEvent
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

func (s *Store) put(v *view, schema *featurestore.Schema, row *featurestore.Row, now int64, out *[]EvictEvent) featurestore.Outcome {
	hash := row.Key.LocalHash() ^ v.salt
	shard := &s.shards[hash&s.mask]
	// Looked at without the lock first, so that nothing is copied for a row that is stale.
	if old := shard.table.Load().get(v, &row.Key, hash); old != nil && old.record.EventNanos() >= row.Record.EventNanos() {
		return featurestore.Stale
	}
	e := &entry{view: v, key: row.Key, schema: schema, hash: hash}
	row.Record.CloneTo(&e.record)
	e.size = uint32(min(uint64(overhead+row.Key.Size()+e.record.Size())/sizeUnit, math.MaxUint32))
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
	e := s.get(v, &key, hash)
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
		var out []EvictEvent
		s.shards[i].sweep(s, now, &out)
		s.report(out)
	}
}

func (s *Store) bounded() bool { return s.cfg.MaxRows > 0 || s.cfg.MaxBytes > 0 }

func (s *Store) over() bool {
	return s.cfg.MaxRows > 0 && s.rows.Load() > int64(s.cfg.MaxRows) || s.cfg.MaxBytes > 0 && s.bytes.Load() > s.cfg.MaxBytes
}

// evicted counts a row that was removed, and notes it if someone wants to know.
func (s *Store) evicted(e *entry, expired bool, out *[]EvictEvent) {
	if expired {
		s.wrote.expired.Add(1)
	} else {
		s.wrote.evicted.Add(1)
	}
	if s.cfg.OnEvict != nil {
		*out = append(*out, EvictEvent{View: e.view.schema.Load(), Key: e.key, Expired: expired})
	}
}

func (s *Store) report(out []EvictEvent) {
	for _, e := range out {
		s.cfg.OnEvict(e)
	}
}
