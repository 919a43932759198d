package batching

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors that mean "rejected before any work began" are ErrClosed, ErrQueueFull, ErrEvicted, ErrDeadline,
// ErrTooLarge, ErrBadRequest and ErrReentrant: the run function has not seen the request, so it may be sent elsewhere or again. All can be
// tested with errors.Is.
var (
	// ErrClosed is returned to a request that arrives after Shutdown or Close, and to the requests that
	// are still queued when Close is called.
	ErrClosed = reject.New("batching: closed")

	// ErrQueueFull is returned when the queue has no room and Config.RejectWhenFull is set.
	ErrQueueFull = reject.New("batching: queue full")

	// ErrEvicted is returned to a queued request whose place in a full queue went to one of a higher class
	// (see [WithPriority]), when Config.RejectWhenFull is set; otherwise it goes back to waiting for room. It is an
	// ErrQueueFull too.
	ErrEvicted = fmt.Errorf("%w: evicted by a request of a higher class", ErrQueueFull)

	// ErrDeadline is returned with the policy [Deadline] to a request that cannot be answered before its deadline. It
	// comes as a *DeadlineError, and is a context.DeadlineExceeded too.
	ErrDeadline = reject.Wrap("batching: deadline cannot be met", context.DeadlineExceeded)

	// ErrTooLarge is returned for a request that is heavier than a batch may be (Config.MaxWeight), or
	// heavier than the whole queue (Config.MaxQueueWeight), when no [WithSplit] cuts it into parts.
	ErrTooLarge = reject.New("batching: request too large")

	// ErrReentrant is returned by a Do whose context comes from a batch of the same batcher: the run
	// function would wait for a slot that it occupies itself.
	ErrReentrant = reject.New("batching: Do called from inside the batcher's own run function")

	// ErrBadRequest is returned for a request that cannot be queued: its weight is negative, or its
	// key is not equal to itself (a NaN) or cannot be compared.
	ErrBadRequest = reject.New("batching: bad request")

	// ErrResultCount is returned to every member of a batch when run returns another number of results
	// (or of [ItemErrors]) than it was given requests.
	ErrResultCount = errors.New("batching: wrong number of results")

	// ErrGoexit is returned to every member of a batch whose run function called runtime.Goexit
	// (in a test: t.FailNow).
	ErrGoexit = errors.New("batching: run function called runtime.Goexit")
)

// ItemErrors carries one error for each item, nil for those that succeeded.
//
// A run function returns it to fail some members of a batch and not the others: it must then have as many
// entries as the batch has requests, and the results of the other members are taken as usual. DoAll returns it
// when some of its requests failed. errors.Is and errors.As look into all entries.
type ItemErrors []error

// Error names the number of failed items and the first failure.
func (e ItemErrors) Error() string {
	failed, first := 0, -1
	for i, err := range e {
		if err != nil {
			if first < 0 {
				first = i
			}
			failed++
		}
	}
	if failed == 0 {
		return "batching: no item failed"
	}
	return fmt.Sprintf("batching: %d of %d items failed; item %d: %v", failed, len(e), first, e[first])
}

// Unwrap returns the errors that are not nil.
func (e ItemErrors) Unwrap() []error {
	var errs []error
	for _, err := range e {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// set puts err at i, making the slice for n items with the first error.
func (e ItemErrors) set(n, i int, err error) ItemErrors {
	if err == nil {
		return e
	}
	if e == nil {
		e = make(ItemErrors, n)
	}
	e[i] = err
	return e
}

// first returns the first error of the items from start to end.
func (e ItemErrors) first(start, end int) error {
	if e != nil {
		for _, err := range e[start:end] {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e ItemErrors) orNil() error {
	if e == nil {
		return nil
	}
	return e
}

// DeadlineError is the [ErrDeadline] that a request got.
type DeadlineError struct {
	// Queue is how long the queue, and the batches that ran, would have needed at that time.
	Queue time.Duration
}

// Error says how long the queue is.
func (e *DeadlineError) Error() string {
	return fmt.Sprintf("batching: deadline cannot be met: the queue needs %v", e.Queue.Round(10*time.Microsecond))
}

// Unwrap returns ErrDeadline.
func (e *DeadlineError) Unwrap() error { return ErrDeadline }

// RetryAfter is when a request has better prospects: when what is queued now has gone.
func (e *DeadlineError) RetryAfter() time.Duration { return e.Queue }

// PanicError is what the members of a batch get when the run function (or a pad function) panics. The
// batcher itself goes on.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // the stack of the goroutine that panicked
}

func newPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: debug.Stack()} }

// Error gives the panic's value and stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("batching: run function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
