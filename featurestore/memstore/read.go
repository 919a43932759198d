package memstore

import (
	"context"
	"fmt"

	"github.com/scalable-ai/patterns/featurestore"
)

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

// lookupSome looks up to ahead keys up. It reports how many there are, and whether one of them has another schema. Each loop does one thing, so that
// what it needs is in registers.
func (s *Store) lookupSome(
	v *view, schema *featurestore.Schema, keys []featurestore.Key, rows []*featurestore.Record,
) (found int, foreign bool) {
	var space [ahead]uint64
	var room [ahead]*entry
	hashes, entries := space[:len(keys)], room[:len(keys)]
	for i := range keys {
		hashes[i] = keys[i].LocalHash() ^ v.salt
	}
	for i, hash := range hashes {
		t := s.shards[hash&s.mask].table.Load()
		entries[i] = t.slots[hash>>(t.shift&63)].Load()
	}
	for i, e := range entries {
		if e != nil && !e.is(v, &keys[i], hashes[i]) {
			entries[i] = s.get(v, &keys[i], hashes[i])
		}
	}
	mark := s.bounded()
	rows = rows[:len(entries)]
	for i, e := range entries {
		if e == nil {
			continue
		}
		if mark && !e.used.Load() { // not stored without need: the line may be in the caches of all cores
			e.used.Store(true)
		}
		found++
		rows[i] = &e.record
		foreign = foreign || e.schema != schema
	}
	return found, foreign
}

// get finds a row, nil if it is not there.
func (s *Store) get(v *view, key *featurestore.Key, hash uint64) *entry {
	return s.shards[hash&s.mask].table.Load().get(v, key, hash)
}

// convert makes the rows fit the lookup's schema. Rows that have been replaced since they were looked up are taken anew.
func (s *Store) convert(l *featurestore.Lookup, v *view) {
	var same *featurestore.Schema // the last that turned out to have the layout of l.View
	for i, key := range l.Keys {
		l.Rows[i] = nil
		hash := key.LocalHash() ^ v.salt
		e := s.get(v, &key, hash)
		if e == nil {
			continue
		}
		if e.schema != l.View && e.schema != same {
			if !e.schema.SameLayout(l.View) {
				record, err := l.View.Convert(&e.record, e.schema)
				if err != nil {
					l.Fail(i, err)
				}
				l.Rows[i] = record
				continue
			}
			same = e.schema
		}
		l.Rows[i] = &e.record
	}
}
