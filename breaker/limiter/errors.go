package limiter

import (
	"fmt"
	"math"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// All errors of this package mean "rejected before any work began": the wrapped function has not seen the request, nothing is taken from
// the limits, and the request may be sent elsewhere or again. All can be tested with errors.Is.
var (
	// ErrLimited is what every *LimitedError is: the request is over a limit.
	ErrLimited = reject.New("limiter: limited")

	// ErrTooLarge is returned for a request that costs more than can ever be let through: more than
	// Config.Cost.Burst or, with Config.Borrow, Burst+MaxDebt. Waiting does not help.
	ErrTooLarge = reject.New("limiter: request too large")

	// ErrBadRequest is returned for a request that cannot be counted: its cost is negative, or its
	// key is not equal to itself (a NaN) or cannot be compared.
	ErrBadRequest = reject.New("limiter: bad request")
)

// Never is the wait for what does not come by waiting: a limit that is not refilled.
const Never = time.Duration(math.MaxInt64)

// Reason says why a request was rejected rather than let wait.
type Reason uint8

// The reasons.
const (
	ReasonNoWait      Reason = iota // Config.NoWait, or TryAcquire
	ReasonMaxWait                   // it would have to wait longer than Config.MaxWait
	ReasonDeadline                  // it would have to wait until the deadline of its context, or past it
	ReasonQueueFull                 // Config.MaxQueue wait already
	ReasonNever                     // the limit is not refilled
	ReasonTooManyKeys               // no room for a new key (Keyed only)
)

var reasonNames = [...]string{"no wait", "max wait", "deadline", "queue full", "never refilled", "too many keys"}

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Cause says what a request was short of.
type Cause uint8

// The causes.
const (
	CauseRequests Cause = iota // Config.Requests
	CauseCost                  // Config.Cost
	CausePause                 // Pause was called
	CauseKeys                  // KeyedConfig.MaxKeys
)

var causeNames = [...]string{"requests", "cost", "pause", "keys"}

// String returns the cause's name in lower case.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

// LimitedError is returned for a request that is over a limit and is not let wait. errors.Is(err, ErrLimited) holds.
type LimitedError struct {
	Reason Reason        // why it is not let wait
	Cause  Cause         // what it was short of: if of several, of that which takes longest
	Total  bool          // by KeyedConfig.Total, not by the limits of its key
	Wait   time.Duration // see RetryAfter
}

// RetryAfter is how long it would take, as things stand, until the limits have room for the request and for all that wait. It is more
// than 0. Permits that are settled may make it sooner or later, requests that come in between may make it later. For a
// limit that is not refilled it is Never.
func (e *LimitedError) RetryAfter() time.Duration { return e.Wait }

// Error names the reason, the cause and the wait.
func (e *LimitedError) Error() string {
	scope := ""
	if e.Total {
		scope = "total "
	}
	if e.Wait == Never {
		return fmt.Sprintf("limiter: limited by %s%v (%v)", scope, e.Cause, e.Reason)
	}
	return fmt.Sprintf("limiter: limited by %s%v (%v), retry after %v", scope, e.Cause, e.Reason, e.Wait)
}

// Is reports whether target is ErrLimited.
func (e *LimitedError) Is(target error) bool { return target == ErrLimited }

// Rejected is true: no work has begun.
func (e *LimitedError) Rejected() bool { return true }
