package featurestore

import (
	"context"
	"fmt"
)

// Source is one stream of rows that can be read again from a position on: a partition of a log, with its offsets. It tells up to which position all
// is done, so that a consumer commits no further than that. Positions increase, and need not be consecutive. Use [Ingest.Source] to make one for
// each partition, and a new one when a partition is assigned anew. It is safe for concurrent use, but the order of the positions is the caller's to keep: one goroutine sends.
type Source struct {
	in *Ingest

	// Under in.mu:
	undone       itemList
	last, before int64 // the position that was sent last, and the one before it
	hasLast      bool
	hasBefore    bool
	stopped      bool
	stop         int64 // if stopped: the position goes no further
	hasStop      bool  // if stopped: there is one at all
}

// Source is a new source of rows, without a position.
func (in *Ingest) Source() *Source { return &Source{in: in} }

// Send is Ingest.Send with a position, for all rows that have come with it: all are accepted or none is. Without rows it only says that nothing is
// to be done for the position. More rows than MaxQueue are an ErrQueueFull; a position that is not greater than the last one is an
// ErrPosition. After an error the same position may be sent again, or left out: then it counts as done when a later one is.
func (s *Source) Send(ctx context.Context, position int64, rows ...Row) error {
	return s.in.send(ctx, s, position, nil, rows...)
}

// Position is the highest position up to which all rows are done: stored, or taken by the function of WithDeadLetter. False: there is none yet.
// With Kafka, the offset to commit is the one after it. It never decreases. It stops for good before a row that nobody has: one that
// Close has found, or that could not be stored when there was no WithDeadLetter.
func (s *Source) Position() (int64, bool) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	position, ok := s.last, s.hasLast
	if it := s.undone.head; it != nil {
		position, ok = it.before, it.hasBefore
	}
	if s.stopped && (!s.hasStop || position > s.stop) {
		return s.stop, s.hasStop
	}
	return position, ok
}

// advance takes a position. It is called with in.mu held.
func (s *Source) advance(position int64) error {
	if s.hasLast && position <= s.last {
		return fmt.Errorf("%w: %d after %d", ErrPosition, position, s.last)
	}
	s.before, s.hasBefore = s.last, s.hasLast
	s.last, s.hasLast = position, true
	return nil
}

// stopAt keeps the position before a row.
func (s *Source) stopAt(it *item) {
	if !s.stopped || s.hasStop && (!it.hasBefore || it.before < s.stop) {
		s.stopped, s.stop, s.hasStop = true, it.before, it.hasBefore
	}
}
