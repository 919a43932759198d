package featurestore

import (
	"errors"
	"fmt"
	"reflect"
)

// PartialError is returned beside a result in which some rows could not be read.
type PartialError struct {
	Rows  int // of the request
	Views []ViewError
}

// ViewError says which rows of a view could not be read.
type ViewError struct {
	View string
	Rows []int   // the rows of the request, ascending; all of them if the view's key goes for all
	Errs []error // as long as Rows: why
}

// Error names the views and the first cause.
func (e *PartialError) Error() string {
	if len(e.Views) == 0 {
		return "featurestore: nothing is missing"
	}
	text := "featurestore: partial result:"
	for i := range e.Views {
		v := &e.Views[i]
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d of %d rows of view %q could not be read", len(v.Rows), e.Rows, v.View)
		if len(v.Errs) > 0 {
			text += fmt.Sprintf(" (%v)", v.Errs[0])
		}
	}
	return text
}

// Unwrap returns the causes, one that is the same for many rows once.
func (e *PartialError) Unwrap() []error {
	var all []error
	for i := range e.Views {
		all = append(all, e.Views[i].Errs...)
	}
	return distinct(all)
}

// distinct leaves out errors that are equal to an earlier one.
func distinct(errs []error) []error {
	var out []error
	seen := map[error]bool{}
	for _, err := range errs {
		if reflect.ValueOf(err).Comparable() {
			if seen[err] {
				continue
			}
			seen[err] = true
		}
		out = append(out, err)
	}
	return out
}

func isPartial(err error) bool {
	_, ok := err.(*PartialError) //nolint:errorlint // the reader's own, as it comes: an error of a store may wrap another reader's
	return ok
}

// newPartialError collects what could not be read.
func newPartialError(r *Result) *PartialError {
	e := &PartialError{Rows: r.rows}
	for i := range r.lookups {
		l := &r.lookups[i]
		if l.Errs == nil {
			continue
		}
		v := ViewError{View: l.View.Name()}
		for row := range r.rows {
			if state, at := r.state(i, row); state == rowUnavailable {
				v.Rows, v.Errs = append(v.Rows, row), append(v.Errs, l.Errs[at])
			}
		}
		if len(v.Rows) > 0 {
			e.Views = append(e.Views, v)
		}
	}
	return e
}

// nothingRead is the error of a read in which not one row could be read. It is no PartialError, for there is no result.
func nothingRead(r *Result) error {
	var all []error
	for i := range r.lookups {
		for _, err := range r.lookups[i].Errs {
			if err != nil {
				all = append(all, err)
			}
		}
	}
	all = distinct(all)
	if len(all) == 1 {
		return fmt.Errorf("featurestore: no row could be read: %w", all[0])
	}
	return fmt.Errorf("featurestore: no row could be read: %w", errors.Join(all...))
}

func errStoreShape(view string) error {
	return fmt.Errorf("featurestore: the store has changed the number of rows of the lookup of view %q", view)
}
