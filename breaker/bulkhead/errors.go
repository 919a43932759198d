package bulkhead

import (
	"errors"
	"fmt"
	"time"
)

// All errors of this package mean "rejected before any work began": next has not been called, so the request may be
// sent elsewhere, or again. They can be tested with errors.Is.
//
// Those that say the bulkhead was too busy, ErrFull, ErrEvicted, ErrDeadline and ErrMaxWait, come inside a
// [*RejectedError], which knows when it is worth to try again. The other two will be the same next time.
var (
	// ErrFull is returned when there is no room and none to wait in: the queue is full, or there is none, or the
	// call is TryAcquire.
	ErrFull = errors.New("bulkhead: full")

	// ErrEvicted is returned to a caller in a full queue that had to give its place to one of a higher priority.
	ErrEvicted = errors.New("bulkhead: evicted by a higher priority")

	// ErrDeadline is returned when the wait would leave the caller less than Config.ServiceTime before its deadline.
	ErrDeadline = errors.New("bulkhead: the wait would exceed the deadline")

	// ErrMaxWait is returned when the wait exceeds Config.MaxWait, or is expected to.
	ErrMaxWait = errors.New("bulkhead: the wait exceeds Config.MaxWait")

	// ErrTooLarge is returned for a cost above the capacity, also when Resize has lowered the capacity below the
	// cost of a caller that waits.
	ErrTooLarge = errors.New("bulkhead: cost above the capacity")

	// ErrBadCost is returned for a negative cost, and by Settle also for one above 1<<40.
	ErrBadCost = errors.New("bulkhead: bad cost")
)

// Reason says why a call was rejected.
type Reason uint8

// The reasons, each with its error.
const (
	ReasonFull     Reason = iota // ErrFull
	ReasonEvicted                // ErrEvicted
	ReasonDeadline               // ErrDeadline
	ReasonMaxWait                // ErrMaxWait
	ReasonTooLarge               // ErrTooLarge
	ReasonBadCost                // ErrBadCost

	reasons = iota
)

var (
	reasonNames  = [reasons]string{"full", "evicted", "deadline", "max-wait", "too-large", "bad-cost"}
	reasonErrors = [reasons]error{ErrFull, ErrEvicted, ErrDeadline, ErrMaxWait, ErrTooLarge, ErrBadCost}
)

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if int(r) < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// RejectedError is what a caller gets that is turned away because the bulkhead is busy. It wraps the sentinel of its Reason.
type RejectedError struct {
	Reason Reason
	Cost   int           // what the caller asked for
	Waited time.Duration // how long it had waited

	// ExpectedWait is how long the queue would take to let in a caller of that cost and priority that comes now;
	// 0 as long as too few calls have been timed to tell.
	ExpectedWait time.Duration
}

// RetryAfter returns ExpectedWait: before that another attempt is likely to be rejected too. 0 means unknown.
func (e *RejectedError) RetryAfter() time.Duration { return e.ExpectedWait }

// Error gives the reason and, if it is known, the expected wait.
func (e *RejectedError) Error() string {
	text := fmt.Sprintf("bulkhead: rejected: %v", e.Reason)
	if err := e.Unwrap(); err != nil {
		text = err.Error()
	}
	if e.ExpectedWait > 0 {
		text += fmt.Sprintf(" (expected wait %v)", e.ExpectedWait)
	}
	return text
}

// Unwrap returns the sentinel of the reason.
func (e *RejectedError) Unwrap() error {
	if int(e.Reason) < reasons {
		return reasonErrors[e.Reason]
	}
	return nil
}
