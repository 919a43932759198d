package featurestore

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unsafe"
)

// Binding fills structs of type T with the rows of a reader's results. It is safe for concurrent use.
type Binding[T any] struct {
	plan   *plan
	fields []boundField
}

type boundField struct {
	path     string
	column   int
	offset   uintptr
	set      setter
	what     bindWhat
	required bool
}

type bindWhat uint8

const (
	bindValue bindWhat = iota
	bindStatus
	bindEvent
)

// Bind finds the columns of the fields of T, which is a struct:
//
//	type Features struct {
//		Trips  int64             `feature:"driver_stats:trips_7d"`
//		Rating *float64          `feature:"rating"`            // nil without a value
//		Seen   fs.Status         `feature:"rating,status"`     // what the value is
//		At     time.Time         `feature:"rating,event"`      // the event time of its row
//		Fare   float32           `feature:"fare,required"`     // Scan fails without a value
//	}
//
// The name is that of a column, or of its feature if only one column of the service has it. Fields without the tag are left alone. Structs embedded by
// value are part of T; what they point to is not. The types are int64 and int (both also for Int32), int32, float64 (also for Float32), float32,
// bool, string, []byte and types made of these, time.Time and, for a Vector, []float32 and an array of its size; and pointers to them, but for vectors. A
// field that does not fit is an ErrDefinition, a column that is not there an ErrNotFound.
func Bind[T any](r *Reader) (*Binding[T], error) {
	if r == nil {
		return nil, errors.New("featurestore: Bind: nil reader")
	}
	fields, err := taggedFields(reflect.TypeFor[T](), "feature")
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%w: no field of %v has the tag feature", ErrDefinition, reflect.TypeFor[T]())
	}
	b := &Binding[T]{plan: r.plan}
	for i := range fields {
		f := &fields[i]
		column, err := r.plan.find(f.name)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.path, err)
		}
		bound := boundField{path: f.path, column: column, offset: f.offset}
		for _, option := range f.options {
			switch {
			case option == "required":
				bound.required = true
			case option == "status" && f.typ == reflect.TypeFor[Status]():
				bound.what = bindStatus
			case option == "event" && f.typ == reflect.TypeFor[time.Time]():
				bound.what = bindEvent
			case option == "status" || option == "event":
				return nil, fmt.Errorf("%w: field %s: a %v cannot hold the option %q", ErrDefinition, f.path, f.typ, option)
			default:
				return nil, fmt.Errorf("%w: field %s: no such option: %q", ErrDefinition, f.path, option)
			}
		}
		if bound.what == bindValue {
			if bound.set, _, err = access(f, &r.plan.columns[column].Feature, false); err != nil {
				return nil, err
			}
		} else if len(f.options) > 1 {
			return nil, fmt.Errorf("%w: field %s: more than one option", ErrDefinition, f.path)
		}
		b.fields = append(b.fields, bound)
	}
	return b, nil
}

// Scan fills to with a row of a result of the binding's reader. A field takes the default if that is in the place of the value; without a value it
// becomes its zero value. A field that is required and has none is an ErrRequired; the others are filled then too. Scan does not allocate, except
// for pointers, []byte, and a []float32 that has no room for its vector: it takes the room that is there.
func (b *Binding[T]) Scan(result *Result, row int, to *T) error {
	if result.reader == nil || result.reader.plan != b.plan {
		return fmt.Errorf("%w: the result is not one of the binding's reader", ErrRequest)
	}
	if row < 0 || row >= result.rows {
		return fmt.Errorf("%w: row %d of a result with %d rows", ErrRequest, row, result.rows)
	}
	_ = *to // panics for nil, as the fields of a large struct would be at addresses that may be those of something else
	p := unsafe.Pointer(to)
	missing := -1
	for i := range b.fields {
		f := &b.fields[i]
		switch f.what {
		case bindStatus:
			setStatus(p, f.offset, result.Status(row, f.column))
		case bindEvent:
			setTime(p, f.offset, result.EventTime(row, f.column))
		default:
			v := result.Value(row, f.column)
			f.set(p, f.offset, v)
			if f.required && v.IsNull() && missing < 0 {
				missing = i
			}
		}
	}
	if missing >= 0 {
		f := &b.fields[missing]
		return fmt.Errorf("%w: row %d: field %s: column %q is %v", ErrRequired, row, f.path, b.plan.columns[f.column].Name,
			result.Status(row, f.column))
	}
	return nil
}

// All appends all rows of a result to dst.
func (b *Binding[T]) All(dst []T, result *Result) ([]T, error) {
	dst = slices.Grow(dst, result.Rows())
	for row := range result.Rows() {
		var t T
		if err := b.Scan(result, row, &t); err != nil {
			return dst, err
		}
		dst = append(dst, t)
	}
	return dst, nil
}
