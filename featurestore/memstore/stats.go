package memstore

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/featurestore"
)

// Stats are counters since New, and gauges of now. Each is exact; they are not taken at one moment.
type Stats struct {
	Keys  uint64 // keys that were looked up
	Found uint64 // those of them that had a row

	Written uint64 // rows by outcome of their write
	Stale   uint64
	Invalid uint64

	Expired uint64 // rows that the store removed because their TTL had passed
	Evicted uint64 // rows that it removed to keep within its bounds

	Rows  int   // rows that it has now, with those whose TTL has passed and that no sweep has come across yet
	Bytes int64 // about what they take in memory
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	st := Stats{
		Written: s.wrote.written.Load(), Stale: s.wrote.stale.Load(), Invalid: s.wrote.invalid.Load(),
		Expired: s.wrote.expired.Load(), Evicted: s.wrote.evicted.Load(),
		Rows: int(s.rows.Load()), Bytes: s.bytes.Load(),
	}
	for i := range s.shards {
		st.Keys += s.shards[i].read.keys.Load()
		st.Found += s.shards[i].read.found.Load()
	}
	return st
}

type counters struct{ keys, found atomic.Uint64 }

type writeCounters struct{ written, stale, invalid, expired, evicted atomic.Uint64 }

func (c *writeCounters) add(by *[featurestore.Failed + 1]uint64) {
	c.written.Add(by[featurestore.Written])
	c.stale.Add(by[featurestore.Stale])
	c.invalid.Add(by[featurestore.Invalid])
}
