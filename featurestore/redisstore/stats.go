package redisstore

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/featurestore"
)

// Stats are counters since New.
type Stats struct {
	Keys       uint64 // keys that were read: of lookups that share their commands each key counts once
	Found      uint64 // rows that were there
	ReadFailed uint64 // keys whose command failed; rows with a ValueError are not among them

	Written     uint64 // rows by the outcome of their write
	Stale       uint64
	Invalid     uint64
	WriteFailed uint64

	Unscripted uint64 // rows whose node did not have the script yet: they were sent again, with it
	Repeated   uint64 // rows that were sent again on the way to their replicas: the slot had moved, or the node had failed
}

// Stats returns the counters. Each is exact; they are not taken at one moment.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{
		Keys: c.keys.Load(), Found: c.rows.Load(), ReadFailed: c.failed.Load(),
		Written: c.outcomes[featurestore.Written].Load(), Stale: c.outcomes[featurestore.Stale].Load(),
		Invalid: c.outcomes[featurestore.Invalid].Load(), WriteFailed: c.outcomes[featurestore.Failed].Load(),
		Unscripted: c.unscripted.Load(), Repeated: c.repeated.Load(),
	}
}

type counters struct {
	keys, rows, failed, unscripted, repeated atomic.Uint64

	outcomes [featurestore.Failed + 1]atomic.Uint64
}

func (c *counters) read(keys, rows, failed int) {
	c.keys.Add(uint64(keys))
	c.rows.Add(uint64(rows))
	if failed > 0 {
		c.failed.Add(uint64(failed))
	}
}

func (c *counters) wrote(outcomes []featurestore.Outcome) {
	var n [featurestore.Failed + 1]uint64
	for _, o := range outcomes {
		n[o]++
	}
	for o := range n {
		if n[o] > 0 {
			c.outcomes[o].Add(n[o])
		}
	}
}
