package scatter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/scalable-ai/patterns/internal/reject"
	"github.com/scalable-ai/patterns/sharding"
)

// The errors of a shard, in a [ShardError], beside those that fetch returns and the cause of the caller's context.
var (
	// ErrShardTimeout is the error of a shard that has not answered within Config.ShardTimeout. It is a
	// context.DeadlineExceeded too.
	ErrShardTimeout = fmt.Errorf("scatter: shard timeout: %w", context.DeadlineExceeded)

	// ErrResultCount is the error of a shard for which fetch returned another number of values than it was given keys.
	ErrResultCount = errors.New("scatter: wrong number of values")

	// ErrGoexit is the error of a shard for which fetch called runtime.Goexit (in a test: t.FailNow).
	ErrGoexit = errors.New("scatter: fetch called runtime.Goexit")
)

// ErrPlacement is returned by Do when the placement names a node that it does not have. It means "rejected before any work began": no shard has been called.
var ErrPlacement = reject.New("scatter: the placement's owner is not one of its nodes")

// PartialError is what Do returns beside the values when some keys have no answer, or none has.
type PartialError struct {
	Shards []ShardError // those that failed
	Calls  int          // shards that had keys, also those that were not called because the caller's context had ended
	Keys   int          // keys that were asked for, duplicates included

	cause error // of the caller's context if it has ended
}

// ShardError is a shard that failed.
type ShardError struct {
	Node sharding.Node
	Keys []int // the positions in the caller's keys that have no answer, ascending
	Err  error
}

// Error says how many keys are missing, and why the first shard failed.
func (e *PartialError) Error() string {
	if len(e.Shards) == 0 {
		return "scatter: no shard failed"
	}
	missing := 0
	for _, s := range e.Shards {
		missing += len(s.Keys)
	}
	return fmt.Sprintf("scatter: %d of %d keys have no answer, %d of %d shards failed; %v", missing, e.Keys, len(e.Shards), e.Calls, &e.Shards[0])
}

// Unwrap returns the errors of the shards and, if the caller's context has ended, its cause.
func (e *PartialError) Unwrap() []error {
	var errs []error
	for i := range e.Shards {
		errs = append(errs, &e.Shards[i])
	}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	return errs
}

// Missing are the positions in the caller's keys that have no answer, ascending.
func (e *PartialError) Missing() []int {
	var all []int
	for _, s := range e.Shards {
		all = append(all, s.Keys...)
	}
	slices.Sort(all)
	return all
}

// Error names the shard.
func (e *ShardError) Error() string { return fmt.Sprintf("shard %q: %v", e.Node.Name, e.Err) }

// Unwrap returns Err.
func (e *ShardError) Unwrap() error { return e.Err }

// PanicError is the error of a shard for which fetch panicked.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("scatter: fetch panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
