package ensemble

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit is the error of a member that called runtime.Goexit (in a test: t.FailNow).
var ErrGoexit = errors.New("ensemble: member called runtime.Goexit")

// MemberError is a failure of one member (or stage), by name.
type MemberError struct {
	Member string
	Err    error
}

// Error names the member.
func (e *MemberError) Error() string { return fmt.Sprintf("ensemble: member %q: %v", e.Member, e.Err) }

// Unwrap returns Err.
func (e *MemberError) Unwrap() error { return e.Err }

// PanicError is the error of a member that panicked in a goroutine of the ensemble.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("ensemble: member panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
