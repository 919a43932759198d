package route

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors. Those that mean "rejected before any work began" are ErrNoMember (and with it ErrNotCapable and UnavailableError), ErrNoTime and
// ErrOverflow, unless they come in an [Error].
var (
	// ErrNoMember is returned when no member may be asked. It comes as an ErrNotCapable or an *UnavailableError; from a [Mixture] also as itself, when the gate
	// leaves fewer than MinAnswers.
	ErrNoMember = reject.New("route: no member")

	// ErrNotCapable is returned when no member (of those that the request's rule uses) has the capabilities that the request needs and
	// accepts it. It is an ErrNoMember.
	ErrNotCapable = fmt.Errorf("%w is capable of the request", ErrNoMember)

	// ErrNoTime is returned when less than Config.MinTime is left until the caller's deadline. It is a context.DeadlineExceeded too.
	ErrNoTime = reject.Wrap("route: not enough time left for an attempt", context.DeadlineExceeded)

	// ErrTimeout is the error of an attempt that Timeout has ended, joined with what the member returned, if anything. It is a
	// context.DeadlineExceeded too.
	ErrTimeout = fmt.Errorf("route: member timeout: %w", context.DeadlineExceeded)

	// ErrNilStream is the error of a member of a [Streamer] that returned neither a stream nor an error. It counts as MemberFailed.
	ErrNilStream = errors.New("route: member returned a nil stream")

	// ErrPick is returned when a picker's answer is not the index of a candidate.
	ErrPick = errors.New("route: the picker's answer is no candidate")

	// ErrPanicked is the error in the StateEvent of a member that panicked or called runtime.Goexit in the caller's goroutine, where the panic goes on.
	ErrPanicked = errors.New("route: member panicked or called runtime.Goexit")
)

// UnavailableError is the [ErrNoMember] of a request for which all capable members are put aside.
type UnavailableError struct {
	// Wait is the time until the first of them may be probed, 0 if that may be any moment: a probe runs.
	Wait time.Duration
}

// Error says how long to wait.
func (e *UnavailableError) Error() string {
	if e.Wait == 0 {
		return "route: no member is available: one is being probed"
	}
	return fmt.Sprintf("route: no member is available for another %v", e.Wait)
}

// Unwrap returns ErrNoMember.
func (e *UnavailableError) Unwrap() error { return ErrNoMember }

// RetryAfter is Wait.
func (e *UnavailableError) RetryAfter() time.Duration { return e.Wait }

// MemberError is the failure of one member, or expert, by name. A request's own fault is returned as one.
type MemberError struct {
	Member string
	Err    error
}

// Error names the member.
func (e *MemberError) Error() string { return fmt.Sprintf("route: member %q: %v", e.Member, e.Err) }

// Unwrap returns Err.
func (e *MemberError) Unwrap() error { return e.Err }

// Error is returned when every attempt has failed.
type Error struct {
	Attempts []*MemberError // in order; from a Mixture the experts that failed, in the order of their weight
	Cause    error          // why there was no further attempt: of the caller's context, ErrNoTime, a RequestFailed, ErrPick; nil if no member was left or MaxAttempts were made
}

// Error names all attempts.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "route: %d failed", len(e.Attempts))
	for i, a := range e.Attempts {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%q: %v", sep, a.Member, a.Err)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, "; then: %v", e.Cause)
	}
	return b.String()
}

// RetryAfter is the least that the attempts ask for by a method of that name, 0 if one asks for nothing. So a Router that is a member is not put aside
// for the longest wait of its own members.
func (e *Error) RetryAfter() time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, a := range e.Attempts {
		least = min(least, retryAfter(a.Err))
	}
	if len(e.Attempts) == 0 {
		return 0
	}
	return least
}

// retryAfter is what an error asks for, 0 if nothing.
func retryAfter(err error) time.Duration {
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		return max(0, after.RetryAfter())
	}
	return 0
}

// Unwrap returns the attempts and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, a := range e.Attempts {
		errs = append(errs, a)
	}
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	return errs
}

// PanicError is the error of an expert of a [Mixture] that panicked in one of its goroutines.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("route: expert panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
