package featurestore

import "context"

// Store keeps the newest row of each entity and view. Package memstore keeps them in memory, package boltstore in a file as well, package redisstore in Redis;
// package storetest checks
// that a store does what is said here. All methods are safe for concurrent use.
type Store interface {
	// Read fills the lookups' Rows. A row that is not there is nil. The store may leave out rows whose TTL has passed, and may return them:
	// the caller looks at the event time. It must not keep the lookups or their slices after it has returned. A store that makes records as it reads
	// had better take them from Lookup.NewRecords.
	//
	// What cannot be read for some keys goes into Lookup.Errs; the others' rows are good then and Read returns nil. An error of Read means
	// that no row is good: the cause of ctx if that has ended, ErrClosed.
	Read(ctx context.Context, lookups []Lookup) error

	// Write stores each row if its event time is later than that of the row that is there (compare-and-set: of concurrent writers of one entity the
	// newest event time wins, whatever their order), and fills outcomes, which is as long as rows. A row replaces the view's whole row: a
	// feature without a value has none afterwards. Rows of one key may occur more than once. It keeps the records.
	//
	// Rows with outcome Failed may or may not have been stored; writing them again is harmless. The error joins their causes. An error without any
	// outcome Failed does not happen.
	Write(ctx context.Context, view *Schema, rows []Row, outcomes []Outcome) error

	// Delete removes the view's rows of these entities. A row with any event time can be written afterwards.
	Delete(ctx context.Context, view *Schema, keys []Key) error
}

// Lookup is the part of a read that concerns one view.
type Lookup struct {
	View     *Schema
	Features []int     // positions in View.Features of those that are wanted, ascending; the store may return others too
	Keys     []Key     // may hold duplicates
	Rows     []*Record // as long as Keys, all nil when Read is called; filled by the store
	Errs     []error   // nil, or as long as Keys: why a row could not be read. Filled by the store by means of Fail

	spare *spare // see NewRecords
}

// Fail notes that the row of Keys[i] could not be read.
func (l *Lookup) Fail(i int, err error) {
	if l.Errs == nil {
		l.Errs = make([]error, len(l.Keys))
	}
	l.Errs[i] = err
}

// Row is one row to be written.
type Row struct {
	Key    Key
	Record *Record
}

// Outcome is what became of a row.
type Outcome uint8

// The outcomes. The zero Outcome is none of them.
const (
	Written Outcome = iota + 1 // it is the newest row now
	Stale                      // there was a row with the same or a later event time: nothing changed
	Invalid                    // it does not fit its view: see the error
	Failed                     // the store could not tell: see the error
)

// String is the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Written:
		return "written"
	case Stale:
		return "stale"
	case Invalid:
		return "invalid"
	case Failed:
		return "failed"
	}
	return "none"
}
