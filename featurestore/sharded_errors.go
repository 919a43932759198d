package featurestore

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit is the error of a store whose method has called runtime.Goexit (in a test: t.FailNow) on a goroutine of this package.
var ErrGoexit = errors.New("featurestore: a store's method called runtime.Goexit")

// PanicError is the error of a store whose method has panicked on a goroutine of this package.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("featurestore: a store's method panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
