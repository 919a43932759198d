package featurestore

import "time"

// spare is records for the rows of a lookup that nobody sees once the read is over. They are used again by the next one.
type spare struct {
	store   Store // that the reader reads from
	records []Record
	taken   int // of records
}

// NewRecords are n empty records of l.View, for rows of this lookup that s makes while it reads, such as by decoding them; s is the store itself, a pointer.
// They are those of [Schema.NewRecords] but for this: if a reader reads from s and hands out no row, as [Reader.Matrix] does, their memory is used again by
// a later read. A layer around s may keep the rows that it sees: under one they are new.
func (l *Lookup) NewRecords(s Store, n int) []Record {
	if l.spare == nil || l.spare.store != s {
		return l.View.NewRecords(time.Time{}, n)
	}
	return l.spare.take(l.View, n)
}

// take is n empty records that this read has not taken yet. If there are too few it makes as many as would have been enough for all of the read.
func (s *spare) take(view *Schema, n int) []Record {
	start := s.taken
	s.taken += n
	if len(s.records) < s.taken {
		s.records = view.NewRecords(time.Time{}, s.taken)
	}
	return s.records[start:s.taken:s.taken]
}

// putBack makes the records empty. Of what they hold, numbers stay: there is no value without its mark.
func (s *spare) putBack() {
	for i := range s.records[:s.taken] {
		r := &s.records[i]
		r.event, r.created = noEventTime, 0
		clear(r.set)
		clear(r.strs)
	}
	s.taken = 0
}
