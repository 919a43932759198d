package boltstore

import (
	"sync/atomic"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

// Stats are counters since Open.
type Stats struct {
	Memory memstore.Stats // of the rows in memory; those loaded from the file count as Written there

	Stale       uint64 // rows by outcome of their write
	Invalid     uint64
	WriteFailed uint64

	Puts          uint64 // rows that were written to the file; of several rows of one key in a group only the last is
	Commits       uint64 // transactions that wrote to the file
	CommitsFailed uint64 // transactions that failed
}

// Stats returns the counters. They are not taken at one moment.
func (s *Store) Stats() Stats {
	return Stats{
		Memory: s.mem.Stats(),
		Stale:  s.count.stale.Load(), Invalid: s.count.invalid.Load(), WriteFailed: s.count.failed.Load(),
		Puts: s.count.puts.Load(), Commits: s.count.commits.Load(), CommitsFailed: s.count.commitsFailed.Load(),
	}
}

type counters struct{ stale, invalid, failed, puts, commits, commitsFailed atomic.Uint64 }

func (c *counters) add(outcomes []featurestore.Outcome) {
	var by [featurestore.Failed + 1]uint64
	for _, o := range outcomes {
		by[o]++
	}
	c.stale.Add(by[featurestore.Stale])
	c.invalid.Add(by[featurestore.Invalid])
	c.failed.Add(by[featurestore.Failed])
}
