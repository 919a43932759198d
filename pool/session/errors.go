package session

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors that mean "rejected before any work began" are ErrClosed, ErrQueueFull, ErrOpen, ErrTooLarge,
// ErrBadRequest, ErrReentrant and ErrLockThread: no session has seen the request, so it may be sent elsewhere or again. All but
// ErrOpen have the method Rejected, and do not count in a circuit breaker around the pool. ErrOpen counts as a failure there: the
// back-end is sick if no session can be opened. All can be tested with errors.Is.
var (
	// ErrClosed is returned to a request that arrives after Shutdown or Close, and to the requests that still wait for a session
	// when Close is called.
	ErrClosed = reject.New("session: closed")

	// ErrQueueFull is returned when Config.MaxQueue requests wait already and Config.RejectWhenFull is set.
	ErrQueueFull = reject.New("session: queue full")

	// ErrOpen is returned when there is no session and none can be opened. It comes as an *OpenError.
	ErrOpen = errors.New("session: no session can be opened")

	// ErrTooLarge is returned for a request that costs more than Config.PerSession.
	ErrTooLarge = reject.New("session: request too large")

	// ErrBadRequest is returned for a request whose cost is less than 1, or whose key is not equal to itself (a NaN) or
	// cannot be compared.
	ErrBadRequest = reject.New("session: bad request")

	// ErrReentrant is returned by Do and Acquire when their context comes from a request, a lease, an opening or a check of
	// the same pool that is not over: to wait for a second session while holding one is how pools deadlock.
	ErrReentrant = reject.New("session: Do called from inside the pool's own function")

	// ErrLockThread is returned by Acquire when Config.LockThread is set: the session is usable on its own thread only.
	ErrLockThread = reject.New("session: Acquire of a session that is locked to its thread")

	// ErrPanic is why a session was given up in whose fn the caller's goroutine panicked or ended. The panic itself went on to that
	// caller. It is seen in CloseEvent and OpenError.
	ErrPanic = errors.New("session: function did not return")

	// ErrGoexit is the outcome of a function that called runtime.Goexit (in a test: t.FailNow) on a goroutine of the
	// pool: of open, the warm-up or the check, and of fn with Config.LockThread.
	ErrGoexit = errors.New("session: function called runtime.Goexit")
)

// OpenError is the [ErrOpen] that requests get while there is no session and openings have failed on all devices.
type OpenError struct {
	Err      error         // why the last one did: what open or the warm-up returned, a *PanicError, ErrGoexit, or the fault of a session
	Failures int           // failures in a row, on the device that is tried next
	Pause    time.Duration // until then
}

// Error says why no session could be opened, and when that is tried again.
func (e *OpenError) Error() string {
	return fmt.Sprintf("%v (failures: %d, next attempt in %v): %v", ErrOpen, e.Failures, e.Pause.Round(time.Millisecond), e.Err) // Err last: it may hold a stack
}

// Unwrap returns ErrOpen and the reason.
func (e *OpenError) Unwrap() []error { return []error{ErrOpen, e.Err} }

// RetryAfter is when a request has better prospects.
func (e *OpenError) RetryAfter() time.Duration { return e.Pause }

// Bad marks err as one of the session and not only of the request: the session is not used any more, and closed as soon as the
// other requests in it are over. fn returns it; the caller gets it as it is, and it reads and unwraps as err. Bad(nil) is nil.
func Bad(err error) error {
	if err == nil {
		return nil
	}
	return &badError{err}
}

type badError struct{ err error }

func (e *badError) Error() string { return e.err.Error() }
func (e *badError) Unwrap() error { return e.err }

func isBad(err error) bool {
	var bad *badError
	return err != nil && errors.As(err, &bad)
}

// PanicError is a panic on a goroutine of the pool: in open, the warm-up or the check, and in fn with Config.LockThread. The
// pool itself goes on.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // the stack of the goroutine that panicked
}

func newPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// Error gives the panic's value and stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("session: function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// failure makes the error of a function that did not return. v is what recover gave.
func failure(v any) error {
	if v == nil {
		return ErrGoexit
	}
	return newPanicError(v)
}
