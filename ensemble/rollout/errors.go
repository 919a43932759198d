package rollout

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/scalable-ai/patterns/internal/reject"
)

// Errors of a request. They mean that it was rejected before any work began: no model has seen it.
var (
	// ErrClosed is returned after Shutdown or Close of the Registry.
	ErrClosed = reject.New("rollout: closed")

	// ErrNoVersion is returned for an alias that points at no version.
	ErrNoVersion = reject.New("rollout: alias points at no version")

	// ErrReleased is returned by Lease.Do after Release.
	ErrReleased = reject.New("rollout: lease has been released")
)

// Errors of changes to a Registry.
var (
	// ErrExists is returned by Register for an ID that is taken: a version never changes.
	ErrExists = errors.New("rollout: version exists")

	// ErrUnknown is returned for an ID that was never registered, or has been forgotten.
	ErrUnknown = errors.New("rollout: unknown version")

	// ErrNotReady is returned when an alias is to point at a version that is not ready.
	ErrNotReady = errors.New("rollout: version is not ready")

	// ErrAliased is returned by Unload and Forget for a version that an alias points at.
	ErrAliased = errors.New("rollout: an alias points at the version")

	// ErrLoaded is returned by Forget for a version that is loaded.
	ErrLoaded = errors.New("rollout: version is loaded")

	// ErrBusy is returned when another call is loading or unloading the same version.
	ErrBusy = errors.New("rollout: version is being loaded or unloaded")

	// ErrConflict is returned when an alias does not point at what the caller believes. It comes as a *ConflictError.
	ErrConflict = errors.New("rollout: alias has been changed")

	// ErrNoWayBack is returned by BlueGreen.Back when no previous version is kept warm.
	ErrNoWayBack = errors.New("rollout: no previous version is kept warm")
)

// Errors of a Canary and a Shadow.
var (
	// ErrRunning is returned by Canary.Restart while the ramp goes on.
	ErrRunning = errors.New("rollout: the ramp has not ended")

	// ErrOver is returned by Canary.Promote and Canary.RollBack when the ramp has ended, or its promotion has begun.
	ErrOver = errors.New("rollout: the ramp has ended")

	// ErrGoexit is the error of a shadow that called runtime.Goexit (in a test: t.FailNow).
	ErrGoexit = errors.New("rollout: shadow called runtime.Goexit")
)

// ConflictError says at what an alias points, if that is not what the caller believes.
type ConflictError struct {
	Alias         string
	Want, Current ID // zero: no version
}

// Error names the alias and the versions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("rollout: alias %q points at %v, not at %v", e.Alias, e.Current, e.Want)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// LifeCycleError is an error of one of the callbacks of a version.
type LifeCycleError struct {
	ID   ID
	Call string // "load", "warm" or "close"
	Err  error
}

// Error names the version and the call.
func (e *LifeCycleError) Error() string {
	return fmt.Sprintf("rollout: %s %v: %v", e.Call, e.ID, e.Err)
}

// Unwrap returns Err.
func (e *LifeCycleError) Unwrap() error { return e.Err }

// DrainError says that a version could not be unloaded yet: it is draining, no new request gets to it, and the next Unload, Sweep, Shutdown or Close goes
// on waiting.
type DrainError struct {
	ID     ID
	Leases uint64 // that are still held
	Err    error  // why the caller gave up: the cause of its context; from Load, which does not wait, ErrNotReady
}

// Error names the version and how many hold it.
func (e *DrainError) Error() string {
	return fmt.Sprintf("rollout: %v is draining, %d leases held: %v", e.ID, e.Leases, e.Err)
}

// Unwrap returns Err.
func (e *DrainError) Unwrap() error { return e.Err }

// PanicError is the error of a shadow that panicked, or whose callbacks did.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("rollout: shadow panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
