package featurestore

import (
	"errors"

	"github.com/scalable-ai/patterns/internal/reject"
)

// The errors. Those that mean "rejected before any work began" are ErrNotFound, ErrKey, ErrRequest, ErrClosed, ErrOwner, ErrQueueFull and ErrPosition, unless they come beside others in an
// error that says which rows have failed.
var (
	// ErrDefinition is wrapped by every error about a definition: of Registry.Apply and of what reads a saved one.
	ErrDefinition = errors.New("featurestore: bad definition")

	// ErrNotFound is wrapped when a view, service or entity is asked for that is not defined.
	ErrNotFound = reject.New("featurestore: not defined")

	// ErrKey is wrapped when a key does not fit its entity.
	ErrKey = reject.New("featurestore: bad key")

	// ErrRow is wrapped by the error of a row that cannot be written: it has no event time, or a value of another kind or size than its
	// feature.
	ErrRow = errors.New("featurestore: bad row")

	// ErrRequest is wrapped when a request does not fit its service: a column is missing, not known, of another kind, or of another length.
	ErrRequest = reject.New("featurestore: bad request")

	// ErrRequired is wrapped by Binding.Scan when a field that is required has no value.
	ErrRequired = errors.New("featurestore: required value is missing")

	// ErrClosed is returned by an Ingest that is shut down or closed, and by a store that is closed. In a [DeadLetter], an [UnstoredError] or the callback of SendAck it is about a row that had been
	// accepted, and may have been stored.
	ErrClosed = reject.New("featurestore: closed")
)
