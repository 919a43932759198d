package cache

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors that mean "rejected before any work began" are ErrClosed from a call made after Shutdown or Close, ErrReentrant and ErrBadKey: no load
// was begun for the call. The last two have the method Rejected; ErrClosed has not, because a caller that waits for a load when Close is called gets it
// too. All can be tested with errors.Is.
var (
	// ErrClosed is returned when a load is needed after Shutdown or Close, and to the callers that still wait
	// for a load when Close is called.
	ErrClosed = errors.New("cache: closed")

	// ErrReentrant is returned when a load function asks the cache, with the context it was given, for what would make it wait for
	// itself: its own key or that of a load that waits for it; in a cache with a bulk loader, anything that has to be loaded.
	ErrReentrant = reject.New("cache: load waits for itself")

	// ErrBadKey is returned for a key that no map could hold: it is not equal to itself (a NaN) or cannot be compared (an interface that
	// holds a slice).
	ErrBadKey = reject.New("cache: bad key")

	// ErrResultCount is returned for every key of a bulk load that returned another number of values (or of ItemErrors)
	// than it was given keys.
	ErrResultCount = errors.New("cache: wrong number of results")

	// ErrGoexit is returned to those who wait for a load that called runtime.Goexit (in a test: t.FailNow).
	ErrGoexit = errors.New("cache: load function called runtime.Goexit")
)

// ItemErrors carries one error for each key, nil for those that succeeded.
//
// GetAll returns it when any key failed. A bulk loader returns it, or
// any other error that is a slice of errors, to fail some keys and not the others: it must have as many entries as there are keys.
type ItemErrors []error

// Error names the number of failed keys and the first failure.
func (e ItemErrors) Error() string {
	failed, first := 0, -1
	for i, err := range e {
		if err != nil {
			if first < 0 {
				first = i
			}
			failed++
		}
	}
	if failed == 0 {
		return "cache: no key failed"
	}
	return fmt.Sprintf("cache: %d of %d keys failed; key %d: %v", failed, len(e), first, e[first])
}

// Unwrap returns the errors that are not nil.
func (e ItemErrors) Unwrap() []error {
	var errs []error
	for _, err := range e {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// itemErrors returns the entries of an error that is a slice of errors. Other packages have such a type too, of which this one
// cannot know.
func itemErrors(err error) ([]error, bool) {
	v := reflect.ValueOf(err)
	if !v.IsValid() || v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[error]() {
		return nil, false
	}
	return v.Convert(reflect.TypeFor[[]error]()).Interface().([]error), true
}

// PanicError is what those who wait for a load get when the load function panics, or a callback that is called with its result.
// The cache itself goes on.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // the stack of the goroutine that panicked
}

func newPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// Error gives the panic's value and stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("cache: load function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
