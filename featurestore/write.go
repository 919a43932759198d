package featurestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// WriteError says which rows were not written and why. The others were, or are Stale.
type WriteError struct {
	View string
	Rows []RowError // ascending
	Of   int        // rows that were given
}

// RowError is a row that is Invalid or Failed. Rows that failed together have the same error: the store's.
type RowError struct {
	Row     int
	Outcome Outcome
	Err     error
}

// Error counts the rows and names the first.
func (e *WriteError) Error() string {
	if len(e.Rows) == 0 {
		return "featurestore: no row failed"
	}
	return fmt.Sprintf("featurestore: %d of %d rows not written to view %q; row %d: %v", len(e.Rows), e.Of, e.View, e.Rows[0].Row, e.Rows[0].Err)
}

// Unwrap returns the causes, one that is the same for many rows once.
func (e *WriteError) Unwrap() []error {
	all := make([]error, len(e.Rows))
	for i := range e.Rows {
		all[i] = e.Rows[i].Err
	}
	return distinct(all)
}

// Write writes rows of a view. A row takes the place of the entity's row if its event time is later, and is Stale if not; see [Store].
//
// It looks at each row first: the key must fit the view's entity, the record must be one of the view, with an event time that is not more than
// Config.MaxFuture ahead. Those that do not fit are Invalid, and the others are written all the same. A record of an earlier definition of the view is taken if
// all its values have a place in the present one.
//
// The outcomes are those of the rows, in their order. A *[WriteError] tells why rows are Invalid or Failed. With any other error nothing was written, and there
// are no outcomes: the view is not defined, or ctx had ended. The store keeps the records: they must not be changed afterwards.
func (o *Online) Write(ctx context.Context, view string, rows []Row) ([]Outcome, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	schema, err := o.registry.View(view)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	check := rowCheck{schema: schema, latest: latestEvent(o.config.MaxFuture), maxFuture: o.config.MaxFuture}
	outcomes := make([]Outcome, len(rows))
	failure := &WriteError{View: view, Of: len(rows)}
	good, at := make([]Row, 0, len(rows)), make([]int, 0, len(rows))
	for i := range rows {
		row, err := check.row(rows[i])
		if err != nil {
			outcomes[i] = Invalid
			failure.Rows = append(failure.Rows, RowError{i, Invalid, err})
			continue
		}
		good, at = append(good, row), append(at, i)
	}
	if len(good) > 0 {
		o.write(ctx, schema, good, at, outcomes, failure)
	}
	counts := o.counts.view(view)
	for _, outcome := range outcomes {
		counts.outcomes[min(outcome, Failed)].Add(1)
	}
	if len(failure.Rows) == 0 {
		return outcomes, nil
	}
	slices.SortFunc(failure.Rows, func(a, b RowError) int { return cmp.Compare(a.Row, b.Row) })
	return outcomes, failure
}

// write gives the rows that fit to the store; at are their positions in outcomes.
func (o *Online) write(ctx context.Context, schema *Schema, rows []Row, at []int, outcomes []Outcome, failure *WriteError) {
	stored := make([]Outcome, len(rows))
	err := o.store.Write(ctx, schema, rows, stored)
	for i, outcome := range stored {
		cause := err
		switch {
		case outcome == Written || outcome == Stale:
			outcomes[at[i]] = outcome
			continue
		case outcome != Invalid:
			outcome = Failed // also if the store has given none: it cannot tell
		}
		if cause == nil {
			cause = errNoOutcome
		}
		outcomes[at[i]] = outcome
		failure.Rows = append(failure.Rows, RowError{at[i], outcome, cause})
	}
}

var errNoOutcome = errors.New("featurestore: the store gave no outcome and no error")

// rowCheck looks whether rows can be written.
type rowCheck struct {
	schema    *Schema
	latest    int64 // event time
	maxFuture time.Duration
	parts     []Value
	foreign   *kinship // to the schema of the last record that was made by another
}

// noEventTime is what time.Time{} becomes in nanoseconds since 1970.
var noEventTime = time.Time{}.UnixNano()

// latestEvent is the latest event time that may be written now.
func latestEvent(maxFuture time.Duration) int64 {
	now := time.Now().UnixNano()
	if latest := now + int64(maxFuture); latest >= now {
		return latest
	}
	return math.MaxInt64
}

func (c *rowCheck) row(row Row) (Row, error) {
	parts, err := c.schema.Entity().Parts(c.parts[:0], row.Key)
	c.parts = parts
	if err != nil {
		return row, err
	}
	r := row.Record
	if r == nil {
		return row, fmt.Errorf("%w: view %q: no record", ErrRow, c.schema.Name())
	}
	if r.schema != c.schema {
		if c.foreign == nil || c.foreign.from != r.schema {
			c.foreign = c.schema.kinshipTo(r.schema)
		}
		if c.foreign.err == nil && !c.foreign.same {
			if feature, lost := c.schema.loses(r); lost {
				return row, fmt.Errorf("%w: view %q has no feature %q any more", ErrRow, c.schema.Name(), feature)
			}
		}
		if row.Record, err = c.foreign.convert(c.schema, r); err != nil {
			return row, err
		}
	}
	switch {
	case r.event == 0 || r.event == noEventTime:
		return row, fmt.Errorf("%w: view %q: no event time", ErrRow, c.schema.Name())
	case r.event > c.latest:
		return row, fmt.Errorf("%w: view %q: the event time %v is more than %v ahead of the clock", ErrRow, c.schema.Name(),
			r.EventTime().Format(time.RFC3339), c.maxFuture)
	}
	return row, nil
}

// Delete removes the rows of a view of these entities. With an ErrKey nothing was removed; another error is the store's.
func (o *Online) Delete(ctx context.Context, view string, keys []Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	schema, err := o.registry.View(view)
	if err != nil {
		return err
	}
	var parts []Value
	for i, key := range keys {
		if parts, err = schema.Entity().Parts(parts[:0], key); err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := o.store.Delete(ctx, schema, keys); err != nil {
		return err
	}
	o.counts.view(view).deleted.Add(uint64(len(keys)))
	return nil
}
