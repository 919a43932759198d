package ensemble

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

var (
	// ErrTimeout is the error of a member that has not answered within its Timeout. It is a context.DeadlineExceeded too.
	ErrTimeout = fmt.Errorf("ensemble: member timeout: %w", context.DeadlineExceeded)

	// ErrDeadline is the error of a member that had not answered when Config.Deadline was reached, and is in the [QuorumError] of a call that
	// could not be answered then. It is a context.DeadlineExceeded too.
	ErrDeadline = fmt.Errorf("ensemble: deadline: %w", context.DeadlineExceeded)

	// ErrBadAnswer is the error of a member whose answer cannot be combined: a NaN, no values at all, another number of them than others have.
	ErrBadAnswer = errors.New("ensemble: bad answer")

	// ErrNotNeeded is the error of a member whose answer was not waited for, because the call was decided without it: it was cancelled or
	// never called. It is in an [Outcome] only.
	ErrNotNeeded = errors.New("ensemble: answer not needed any more")

	// ErrGoexit is the error of a member that called runtime.Goexit (in a test: t.FailNow).
	ErrGoexit = errors.New("ensemble: member called runtime.Goexit")
)

// QuorumError is returned by Do and Ask when too few members have answered, or a required one has not. errors.Is and errors.As look into the errors
// of all members that failed, each of which is a *[MemberError].
type QuorumError struct {
	Members  []*MemberError // those that failed or were too late, in the order of the members; those that were cancelled for it are not here
	Of       int            // members of the ensemble
	Answered int            // members that had answered
	Needed   int            // members that had to answer
	Required []string       // required members that have not answered

	cause error // ErrDeadline, if that was it
}

// Error says what was missing, and why each member failed.
func (e *QuorumError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ensemble: %d of %d members answered, %d needed", e.Answered, e.Of, e.Needed)
	if len(e.Required) > 0 {
		fmt.Fprintf(&b, ", required: %q", e.Required)
	}
	for _, m := range e.Members {
		fmt.Fprintf(&b, "; member %q: %v", m.Member, m.Err)
	}
	return b.String()
}

// Unwrap returns the errors of the members and, if the deadline was reached, ErrDeadline.
func (e *QuorumError) Unwrap() []error {
	errs := make([]error, 0, len(e.Members)+1)
	for _, m := range e.Members {
		errs = append(errs, m)
	}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	return errs
}

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
