package breaker

import (
	"errors"
	"fmt"
	"time"
)

// ErrOpen, ErrGroupFull and ErrBadKey all mean "rejected before any work began": the breaker whose error it is has not called its next,
// so the request may be sent elsewhere or again. But if there are more breakers inside of this one's next, ErrOpen may be theirs, and
// what lies between has run: OpenError.Name tells them apart.
var (
	// ErrOpen is what errors.Is finds in every rejection: the breaker is open, forced open, or half-open with all its probes
	// under way. The error itself is an [*OpenError], which knows more.
	ErrOpen = errors.New("breaker: open")

	// ErrGroupFull is returned by Group.ForceOpen and Group.ForceClosed for a new key when the group has Config.MaxKeys breakers and none
	// of them can be evicted. Calls are not rejected for this reason, see [Group].
	ErrGroupFull = errors.New("breaker: group full")

	// ErrBadKey is returned by a Group for a key that is not equal to itself (a NaN) or cannot be compared.
	ErrBadKey = errors.New("breaker: bad key")
)

// RetryAfterer is what an error may implement to say how long the back-end wants to be left alone, like the Retry-After header of HTTP
// 429 and 503. It is looked for with errors.As. What is not positive says nothing.
//
// [*OpenError] implements it too, so that a layer outside (a retry, an HTTP handler) can treat both alike.
type RetryAfterer interface {
	RetryAfter() time.Duration
}

// OpenError is the error of a call that was rejected. errors.Is(err, ErrOpen) is true of it. All calls that are rejected in
// one open period get the same one: do not change it.
type OpenError struct {
	Name  string // Config.Name
	Key   any    // the key of the breaker in its Group, nil otherwise
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
