package breaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors that mean "rejected before any work began" are ErrOpen and ErrBadKey: the breaker whose error it is has not called its next,
// so the request may be sent elsewhere or again. But if there are more breakers inside of this one's next, ErrOpen may be theirs, and
// what lies between has run: OpenError.Name tells them apart. ErrTooManyKeys is no outcome of a call. All can be tested with errors.Is.
var (
	// ErrOpen is what errors.Is finds in every rejection: the breaker is open, forced open, or half-open with all its probes
	// under way. The error itself is an [*OpenError], which knows more.
	ErrOpen = reject.New("breaker: open")

	// ErrTooManyKeys is returned by Keyed.ForceOpen and Keyed.ForceClosed for a new key when there are Config.MaxKeys breakers and none
	// of them can be evicted. Calls are not rejected for this reason, see [Keyed].
	ErrTooManyKeys = errors.New("breaker: too many keys")

	// ErrBadKey is returned by a Keyed for a key that is not equal to itself (a NaN) or cannot be compared.
	ErrBadKey = reject.New("breaker: bad key")
)

// RetryAfterer is what an error may implement to say how long the back-end wants to be left alone, like the Retry-After header of HTTP
// 429 and 503. It is looked for with errors.As. What is not positive says nothing.
//
// [*OpenError] implements it too, so that a layer outside (a retry, an HTTP handler) can treat both alike.
type RetryAfterer interface {
	RetryAfter() time.Duration
}

// Rejecter is what an error may implement to say that the request was turned away before any work began, so that it tells nothing about the
// back-end: the errors of this library do that say so, those of a batcher, bulkhead, limiter, pool or router inside of the breaker (but not the ErrOpen of a
// session pool, which tells of a sick back-end). It is looked for in the error and in what it
// wraps, but not in errors that are joined, of which some may be others.
//
// [*OpenError] implements it too.
type Rejecter interface {
	Rejected() bool
}

// OpenError is the error of a call that was rejected. errors.Is(err, ErrOpen) is true of it. All calls that are rejected in
// one open period get the same one: do not change it.
type OpenError struct {
	Name  string // Config.Name
	Key   any    // the key of the breaker in its Keyed, nil otherwise
	State State  // StateOpen; StateHalfOpen, if the probes under way are all that may run; or StateForcedOpen

	keyed bool
	until time.Time     // when the open time ends; zero if that is not known
	holds time.Duration // the same on the breaker's clock
}

// RetryAfter is how long the breaker will stay open from the moment of this call on. It is 0 when that is over or not known: in the half-open
// state, and when the breaker was forced open.
func (e *OpenError) RetryAfter() time.Duration {
	if e.until.IsZero() {
		return 0
	}
	return max(0, time.Until(e.until))
}

// Rejected is true: no work has begun.
func (e *OpenError) Rejected() bool { return true }

// Is makes errors.Is(err, ErrOpen) true.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// Error gives the state, the name or key, and how long to wait.
func (e *OpenError) Error() string {
	s := "breaker: " + e.State.String()
	if e.Name != "" {
		s += ": " + e.Name
	}
	if e.keyed {
		s += fmt.Sprintf(": key %v", e.Key)
	}
	if d := e.RetryAfter(); d > 0 {
		s += fmt.Sprintf(": retry after %v", d.Round(time.Millisecond))
	}
	return s
}

// retryAfter is the Retry-After that the error carries; not positive if none.
func retryAfter(err error) time.Duration {
	var r RetryAfterer
	if err == nil || !errors.As(err, &r) {
		return 0
	}
	return r.RetryAfter()
}
