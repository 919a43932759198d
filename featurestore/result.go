package featurestore

import (
	"time"
)

// Status says what a value of a [Result] is.
type Status uint8

// The states. The zero Status is none of them.
const (
	Present     Status = iota + 1 // it was read, or computed by a transform
	Missing                       // there is no row (a store may have dropped one that has expired), or no value in it, and no default
	Expired                       // the row's age is the view's TTL or more, and there is no default
	Default                       // it is missing or expired, and this is the default
	Unavailable                   // its row could not be read; the value is the default if there is one
)

// String is the status' name.
func (s Status) String() string {
	switch s {
	case Present:
		return "present"
	case Missing:
		return "missing"
	case Expired:
		return "expired"
	case Default:
		return "default"
	case Unavailable:
		return "unavailable"
	}
	return "none"
}

// rowState is what became of a view's row.
type rowState uint8

const (
	rowFull        rowState = iota // all wanted features have a value
	rowPart                        // some have not
	rowMissing                     // there is none
	rowExpired                     // its age is the TTL or more
	rowUnavailable                 // it could not be read
)

// Result is what a [Reader] has read: rows of the request by columns of the service. It takes values from the stores' records when they are asked for. It is safe for
// concurrent use as long as no Read fills it again. Rows and columns count from 0; one that is out of range is a panic, as with a slice.
type Result struct {
	reader *Reader
	rows   int
	now    int64

	lookups []Lookup     // by view
	states  [][]rowState // by view, as long as the lookup's keys: one for a view whose keys go for all rows
	vars    []variable   // by plan.vars

	keys    [][]Key // by plan.keySets
	records [][]*Record
	matched matched
	args    [2][]*Column
	spares  []spare // by view; nil but for a result that is hidden
}

// newHidden is a result that the caller of the reader does not get to see, so that the store may use the memory of its rows again.
func newHidden(reader *Reader) *Result {
	r := new(Result)
	r.prepare(reader)
	r.spares = make([]spare, len(r.lookups))
	for i := range r.spares {
		r.spares[i].store = reader.store
	}
	return r
}

// Rows is the number of rows, that of the request.
func (r *Result) Rows() int { return r.rows }

// Columns are the columns of the service. The caller must not change them.
func (r *Result) Columns() []ColumnInfo {
	if r.reader == nil {
		return nil
	}
	return r.reader.plan.columns
}

// Time is the time of the read, which ages were compared with. It is in UTC.
func (r *Result) Time() time.Time { return time.Unix(0, r.now).UTC() }

// state is what became of a view's row, and its position in the lookup.
func (r *Result) state(view, row int) (rowState, int) {
	states := r.states[view]
	if len(states) == 1 && row < r.rows {
		row = 0
	}
	return states[row], row
}

// Value is the value in a row and column: the default if there is no other, null if there is no default either. A vector must
// not be changed.
func (r *Result) Value(row, col int) Value {
	p := r.reader.plan
	from := p.sources[col]
	if from.view < 0 {
		return r.vars[from.at].Value(row)
	}
	if state, at := r.state(from.view, row); state <= rowPart {
		l := &r.lookups[from.view]
		if v := l.View.Value(l.Rows[at], from.at); !v.IsNull() {
			return v
		}
	}
	return p.columns[col].Feature.Default
}

// Status says what Value is.
func (r *Result) Status(row, col int) Status {
	p := r.reader.plan
	from, instead := p.sources[col], Missing
	if from.view < 0 {
		v := &r.vars[from.at]
		if !v.absent[row] {
			return Present
		}
	} else {
		state, at := r.state(from.view, row)
		switch {
		case state == rowFull, state == rowPart && r.lookups[from.view].Rows[at].Has(from.at):
			return Present
		case state == rowUnavailable:
			return Unavailable
		case state == rowExpired:
			instead = Expired
		}
	}
	if !p.columns[col].Feature.Default.IsNull() {
		return Default
	}
	return instead
}

// EventTime is the event time of the row that the value comes from, also of an expired one. It is the zero time if there is no row and for an output of a
// transform.
func (r *Result) EventTime(row, col int) time.Time {
	from := r.reader.plan.sources[col]
	if from.view < 0 {
		return time.Time{}
	}
	state, at := r.state(from.view, row)
	if state == rowMissing || state == rowUnavailable {
		return time.Time{}
	}
	return r.lookups[from.view].Rows[at].EventTime()
}

// Column is a copy of a column: what transform.Fit and a [Transformer] take. Its name is that in the service, by which transforms know it.
func (r *Result) Column(col int) *Column {
	info := &r.reader.plan.columns[col]
	f := info.Feature
	f.Name = info.Name
	c := NewColumn(f, r.rows)
	for row := range r.rows {
		if v := r.Value(row, col); !v.IsNull() {
			c.set(row, &v)
		}
	}
	return c
}

// prepare makes the result one of a reader, with what it has in memory if it was of the same.
func (r *Result) prepare(reader *Reader) {
	if r.reader == reader {
		return
	}
	p := reader.plan
	*r = Result{
		reader: reader, lookups: make([]Lookup, len(p.views)), states: make([][]rowState, len(p.views)),
		vars: make([]variable, len(p.vars)), keys: make([][]Key, len(p.keySets)), records: make([][]*Record, len(p.views)),
	}
}

// empty takes the rows away, so that none of an earlier read is taken for one of this.
func (r *Result) empty() {
	r.rows = 0
	for i := range r.states {
		r.states[i] = r.states[i][:0]
	}
	for i := range r.vars {
		v := &r.vars[i]
		v.Valid, v.absent = v.Valid[:0], v.absent[:0]
	}
}

// forget lets go of the keys and of the store's records, so that a result that waits to be used again keeps none of them alive.
func (r *Result) forget() {
	for i := range r.lookups {
		clear(r.records[i])
		r.lookups[i] = Lookup{}
	}
	for i := range r.spares {
		r.spares[i].putBack()
	}
	for _, keys := range r.keys {
		clear(keys)
	}
	for i := range r.vars {
		strs := r.vars[i].Strs // which are not the caller's any more
		clear(strs[:cap(strs)])
	}
	r.rows = 0 // the request's columns are forgotten by the read
}

// forgetRequest lets go of the request's columns, which are the caller's.
func (r *Result) forgetRequest() {
	clear(r.matched.keys)
	clear(r.matched.fields)
	for i := range r.vars {
		if v := &r.vars[i]; v.borrowed {
			*v = variable{}
		}
	}
}
