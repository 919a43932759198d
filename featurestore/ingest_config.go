package featurestore

import (
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// Defaults of [IngestConfig].
const (
	DefaultIngestMaxSize     = 500
	DefaultIngestMaxWait     = 10 * time.Millisecond
	DefaultIngestConcurrency = 4
	DefaultIngestBackoff     = 50 * time.Millisecond
	DefaultIngestMaxBackoff  = 10 * time.Second
	queueSizes               = 16 // batches that the queue holds
)

// The errors of Send that mean that no row has been accepted are these, ErrClosed, ErrRow, ErrKey, and the cause of the caller's context.
var (
	// ErrQueueFull is returned when the buffer has no room and IngestConfig.RejectWhenFull is set, and always for more rows at once than it
	// can hold.
	ErrQueueFull = reject.New("featurestore: ingest queue full")

	// ErrPosition is returned by Source.Send for a position that is not greater than the one before.
	ErrPosition = reject.New("featurestore: position does not increase")
)

// ErrLate is the error of a row that IngestConfig.DropLate has kept from the store.
var ErrLate = errors.New("featurestore: late row")

// ErrNoOutcome is the error of a row for which a store's Write has returned neither an outcome nor an error.
var ErrNoOutcome = errors.New("featurestore: the store has given no outcome")

// IngestConfig says how rows are put together and what happens to those that cannot be stored. The zero value is usable. A negative or
// contradictory value is an error from NewIngest.
type IngestConfig struct {
	// MaxSize is the largest number of rows in a call of Store.Write. Default: DefaultIngestMaxSize.
	MaxSize int

	// MaxWait is the longest a row waits for others while a batch may run. A batch that is full goes at once. Default: DefaultIngestMaxWait.
	MaxWait time.Duration

	// Concurrency is how many batches may run at a time. Rows of one entity may be in several: the store's compare-and-set on the event
	// time makes their order irrelevant. Default: DefaultIngestConcurrency.
	Concurrency int

	// MaxQueue bounds the rows that have been accepted and are not done: waiting, running, or waiting to be tried again. It
	// must be at least MaxSize. Default: 16 times MaxSize.
	MaxQueue int

	// RejectWhenFull makes Send return ErrQueueFull when there is no room. Default: it waits, in the order of arrival.
	RejectWhenFull bool

	// WriteTimeout ends the context of a call of Store.Write. Default: none.
	WriteTimeout time.Duration

	// MaxAttempts is how often a row is tried. One that the store could not write so often goes to the dead letters. Default: no bound; a row that
	// no store will ever take then holds back the position of its Source until Close.
	MaxAttempts int

	// Backoff is the time before a row is tried for the second time. It doubles each time, up to MaxBackoff; a random share of up to a half is
	// taken off, so that ingests do not strike together. Rows that wait hold no place among Concurrency. Defaults: DefaultIngestBackoff
	// and DefaultIngestMaxBackoff, or the other one if that is beyond it.
	Backoff, MaxBackoff time.Duration

	// MaxFuture is how far in the future an event time may be. A row with a later one is an ErrRow: once stored, it would make all that is
	// written for its entity stale until that time has come. Default: DefaultMaxFuture.
	MaxFuture time.Duration

	// AllowedLateness is how much older than the newest event time so far a row may be without counting as late. Late rows are
	// counted and, with DropLate, go to the dead letters with ErrLate instead of to the store. Default: 0, each row that is older counts as late.
	AllowedLateness time.Duration

	// DropLate needs AllowedLateness and WithDeadLetter.
	DropLate bool
}

func (c IngestConfig) withDefaults(o *ingestOptions) (IngestConfig, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxSize", int64(c.MaxSize)},
		{"MaxWait", int64(c.MaxWait)},
		{"Concurrency", int64(c.Concurrency)},
		{"MaxQueue", int64(c.MaxQueue)},
		{"WriteTimeout", int64(c.WriteTimeout)},
		{"MaxAttempts", int64(c.MaxAttempts)},
		{"Backoff", int64(c.Backoff)},
		{"MaxBackoff", int64(c.MaxBackoff)},
		{"MaxFuture", int64(c.MaxFuture)},
		{"AllowedLateness", int64(c.AllowedLateness)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("featurestore: IngestConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.MaxSize == 0 {
		c.MaxSize = DefaultIngestMaxSize
		if c.MaxQueue > 0 {
			c.MaxSize = min(c.MaxSize, c.MaxQueue)
		}
	}
	if c.MaxWait == 0 {
		c.MaxWait = DefaultIngestMaxWait
	}
	if c.MaxFuture == 0 {
		c.MaxFuture = DefaultMaxFuture
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultIngestConcurrency
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = max(c.MaxSize, queueSizes*min(c.MaxSize, 1<<24))
	}
	if c.Backoff == 0 {
		c.Backoff = DefaultIngestBackoff
		if c.MaxBackoff > 0 {
			c.Backoff = min(c.Backoff, c.MaxBackoff)
		}
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = max(DefaultIngestMaxBackoff, c.Backoff)
	}
	switch {
	case c.MaxQueue < c.MaxSize:
		return c, fmt.Errorf("featurestore: IngestConfig.MaxQueue %d is less than MaxSize %d: no batch could be full", c.MaxQueue, c.MaxSize)
	case c.MaxBackoff < c.Backoff:
		return c, fmt.Errorf("featurestore: IngestConfig.MaxBackoff %v is less than Backoff %v", c.MaxBackoff, c.Backoff)
	case c.DropLate && c.AllowedLateness == 0:
		return c, errors.New("featurestore: IngestConfig.DropLate needs AllowedLateness: it would drop every row that is out of order")
	case c.DropLate && o.dead == nil:
		return c, errors.New("featurestore: IngestConfig.DropLate needs WithDeadLetter: rows would be lost")
	}
	return c, nil
}

// IngestOption sets a callback of an [Ingest].
type IngestOption func(*ingestOptions) error

type ingestOptions struct {
	dead func(DeadLetter)
}

// DeadLetter is a row that has been accepted and will not be stored by the ingest.
type DeadLetter struct {
	Row      Row
	Err      error   // an ErrRow: the store says that it is invalid; ErrLate; ErrClosed: Close has found it; else the last error of the store
	Outcome  Outcome // Invalid, Failed, or 0 if it has not been tried
	Attempts int

	Source   *Source // nil if the row was not sent to one
	Position int64   // of the source
}

// WithDeadLetter is given each row that has been accepted and will not be stored: invalid ones, those tried MaxAttempts times, late ones with DropLate, and
// with ErrClosed those that Close finds. When it has returned the row is done (but for Close, see [Source.Position]), so it should keep
// it in a safe place first. Without it such rows are counted, SendAck's callback gets the error, and they hold back the
// position of their Source for good.
//
// It runs on the goroutine of the batch, on that of Send for late rows and of Close for the rows it finds; calls may overlap. It must
// not wait for the ingest: no Flush, Shutdown or Close, and no Send that waits for room. A panic in it is not recovered.
func WithDeadLetter(dead func(DeadLetter)) IngestOption {
	return func(o *ingestOptions) error {
		if dead == nil {
			return errors.New("featurestore: WithDeadLetter: nil function")
		}
		o.dead = dead
		return nil
	}
}
