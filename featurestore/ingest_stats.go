package featurestore

import "time"

// IngestStats are the counters and gauges of an [Ingest].
type IngestStats struct {
	Accepted uint64 // rows
	Rejected uint64 // rows for which Send returned an error
	Late     uint64 // of those accepted: older than the newest event time by more than AllowedLateness

	// Of the rows that are done:
	Written     uint64
	Stale       uint64 // the store had one that was as new
	Superseded  uint64 // a newer one of the same entity was stored in their place
	DeadLetters uint64 // not stored

	Retried       uint64 // rows to be tried again, each time
	Batches       uint64 // calls of Store.Write that have returned
	BatchesFailed uint64 // of these, with an error

	Buffered int // rows that are accepted and not done
	Queued   int // of these, for a batch
	Retrying int // of these, for their next attempt
	InFlight int // batches that run

	NewestEvent time.Time // of the accepted rows; zero if there is none
}

// Stats are the counters and gauges at this moment.
func (in *Ingest) Stats() IngestStats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	s.Buffered, s.Queued, s.Retrying, s.InFlight = in.buffered, in.fresh.n, len(in.retries), in.running
	if in.seen {
		s.NewestEvent = time.Unix(0, in.newest).UTC()
	}
	return s
}
