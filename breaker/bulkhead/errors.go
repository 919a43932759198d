package bulkhead

import (
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// All errors of a bulkhead mean "rejected before any work began": that bulkhead has not called its next, so the request may be
// sent elsewhere, or again. They can be tested with errors.Is. (What next returns comes back untouched, so where bulkheads
// are nested, an error may be that of one inside, and then the outer one has called its next. And an error of Settle says nothing of the
// work, which goes on.)
//
// Those that say the bulkhead was too busy, ErrFull, ErrEvicted, ErrDeadline and ErrMaxWait, come inside a
// [*RejectedError], which is ErrRejected and knows when it is worth to try again. ErrTooLarge and ErrBadRequest do not, and
// will be the same next time.
var (
	// ErrRejected is what every *RejectedError is: the bulkhead was too busy, whatever the reason.
	ErrRejected = reject.New("bulkhead: rejected")

	// ErrFull is returned when there is no room and none to wait in: the queue is full, or there is none, or the
	// call is TryAcquire.
	ErrFull = reject.New("bulkhead: full")

	// ErrEvicted is returned to a caller in a full queue that had to give its place to one of a higher priority.
	ErrEvicted = reject.New("bulkhead: evicted by a higher priority")

	// ErrDeadline is returned when the wait would leave the caller less than Config.ServiceTime before its deadline.
	ErrDeadline = reject.New("bulkhead: the wait would exceed the deadline")

	// ErrMaxWait is returned when the wait exceeds Config.MaxWait, or is expected to.
	ErrMaxWait = reject.New("bulkhead: the wait exceeds Config.MaxWait")

	// ErrTooLarge is returned for a cost above the capacity, also when Resize has lowered the capacity below the
	// cost of a caller that waits.
	ErrTooLarge = reject.New("bulkhead: cost above the capacity")

	// ErrBadRequest is returned for a negative cost, and by Settle also for one above 1<<40.
	ErrBadRequest = reject.New("bulkhead: bad request")
)

// Reason says why a call was rejected.
type Reason uint8

// The reasons, each with its error.
const (
	ReasonFull       Reason = iota // ErrFull
	ReasonEvicted                  // ErrEvicted
	ReasonDeadline                 // ErrDeadline
	ReasonMaxWait                  // ErrMaxWait
	ReasonTooLarge                 // ErrTooLarge
	ReasonBadRequest               // ErrBadRequest

	reasons = iota
)

var (
	reasonNames  = [reasons]string{"full", "evicted", "deadline", "max wait", "too large", "bad request"}
	reasonErrors = [reasons]error{ErrFull, ErrEvicted, ErrDeadline, ErrMaxWait, ErrTooLarge, ErrBadRequest}
)

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if int(r) < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// RejectedError is what a caller gets that is turned away because the bulkhead is busy. It wraps the sentinel of its Reason,
// and errors.Is(err, ErrRejected) holds.
type RejectedError struct {
	Reason Reason        // why; never ReasonTooLarge or ReasonBadRequest
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

// Is reports whether target is ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Unwrap returns the sentinel of the reason.
func (e *RejectedError) Unwrap() error {
	if int(e.Reason) < reasons {
		return reasonErrors[e.Reason]
	}
	return nil
}

// Rejected is true: no work has begun.
func (e *RejectedError) Rejected() bool { return true }
