package featurestore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/scalable-ai/patterns/internal/reject"
)

// ErrGoexit is the error of a store whose method has called runtime.Goexit (in a test: t.FailNow) on a goroutine of this package.
var ErrGoexit = errors.New("featurestore: a store's method called runtime.Goexit")

// PanicError is the error of a store whose method has panicked on a goroutine of this package.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("featurestore: a store's method panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

var (
	// ErrShardTimeout is the error of a shard that has not answered within ShardedConfig.ShardTimeout. It is a context.DeadlineExceeded too.
	ErrShardTimeout = fmt.Errorf("featurestore: shard timeout: %w", context.DeadlineExceeded)

	// ErrOwner is returned when the owner function of a Sharded names a store that does not exist, none, or one twice. Nothing has been read or written then.
	ErrOwner = reject.New("featurestore: the owner of a key is not one of the stores")
)

// ShardError is a shard that failed.
type ShardError struct {
	Shard int // its index in the stores
	Err   error
}

// Error names the shard.
func (e *ShardError) Error() string { return fmt.Sprintf("featurestore: shard %d: %v", e.Shard, e.Err) }

// Unwrap returns Err.
func (e *ShardError) Unwrap() error { return e.Err }
