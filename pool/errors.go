package pool

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors that mean "rejected before any work began" are ErrClosed, ErrQueueFull and ErrEvicted: fn has not seen the
// request, so it may be sent elsewhere or again. All can be tested with errors.Is.
var (
	// ErrClosed is returned to a request that arrives after Shutdown or Close, and to the requests that still wait
	// when Close is called. After Shutdown alone, requests from inside of running ones are still let in.
	ErrClosed = reject.New("pool: closed")

	// ErrQueueFull is returned when the queue has no room and Config.RejectWhenFull is set.
	ErrQueueFull = reject.New("pool: queue full")

	// ErrEvicted is returned to a queued request whose place in a full queue went to one of a higher class (see
	// [WithPriority]), when Config.RejectWhenFull is set. It is an ErrQueueFull too.
	ErrEvicted = fmt.Errorf("%w: evicted by a request of a higher class", ErrQueueFull)

	// ErrGoexit is returned for a request whose function called runtime.Goexit (in a test: t.FailNow), unless that ran on the
	// goroutine of its caller, which is at an end then: see [Pool.Do].
	ErrGoexit = errors.New("pool: function called runtime.Goexit")

	// ErrInput is returned, together with the *PanicError or ErrGoexit, when the input sequence of [Map] and the like
	// panics or calls runtime.Goexit.
	ErrInput = errors.New("pool: input sequence failed")

	// ErrEmpty is returned by [Reduce] and [MapReduce] for an input without items, which has no result.
	ErrEmpty = errors.New("pool: empty input")
)

// PanicError is what the caller of a request gets whose function panicked, on whichever goroutine. The
// component itself goes on.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // the stack of the goroutine that panicked
}

func newPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// Error gives the panic's value and stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("pool: function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
