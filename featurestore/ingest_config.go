package featurestore

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of [IngestConfig].
const (
	DefaultMaxBatch    = 500
	DefaultMaxAge      = 10 * time.Millisecond
	DefaultInFlight    = 4
	DefaultMinBackoff  = 50 * time.Millisecond
	DefaultMaxBackoff  = 10 * time.Second
	DefaultBufferBatch = 16 // batches that the buffer holds
)

// The errors of Send that mean that no row has been accepted are these, ErrClosed, ErrRow, ErrKey, and the cause of the caller's context.
var (
	// ErrBufferFull is returned when the buffer has no room and IngestConfig.RejectWhenFull is set, and always for more rows at once than it
	// can hold.
	ErrBufferFull = errors.New("featurestore: ingest buffer full")

	// ErrPosition is returned by Source.Send for a position that is not greater than the one before.
	ErrPosition = errors.New("featurestore: position does not increase")
)

// ErrLate is the error of a row that IngestConfig.DropLate has kept from the store.
var ErrLate = errors.New("featurestore: late row")

// ErrNoOutcome is the error of a row for which a store's Write has returned neither an outcome nor an error.
var ErrNoOutcome = errors.New("featurestore: the store has given no outcome")

// IngestConfig says how rows are put together and what happens to those that cannot be stored. The zero value is usable. A negative or
// contradictory value is an error from NewIngest.
type IngestConfig struct {
	// MaxBatch is the largest number of rows in a call of Store.Write. Default: DefaultMaxBatch.
	MaxBatch int

	// MaxAge is the longest a row waits for others while a batch may run. A batch that is full goes at once. Default: DefaultMaxAge.
	MaxAge time.Duration

	// InFlight is how many batches may run at a time. Rows of one entity may be in several: the store's compare-and-set on the event
	// time makes their order irrelevant. Default: DefaultInFlight.
	InFlight int

	// MaxBuffer bounds the rows that have been accepted and are not done: waiting, running, or waiting to be tried again. It
	// must be at least MaxBatch. Default: 16 times MaxBatch.
	MaxBuffer int

	// RejectWhenFull makes Send return ErrBufferFull when there is no room. Default: it waits, in the order of arrival.
	RejectWhenFull bool

	// WriteTimeout ends the context of a call of Store.Write. Default: none.
	WriteTimeout time.Duration

	// MaxAttempts is how often a row is tried. One that the store could not write so often goes to the dead letters. Default: no bound; a row that
	// no store will ever take then holds back the position of its Source until Close.
	MaxAttempts int

	// MinBackoff is the time before a row is tried for the second time. It doubles each time, up to MaxBackoff; a random share of up to a half is
	// taken off, so that ingests do not strike together. Rows that wait hold no place among InFlight. Defaults: DefaultMinBackoff
	// and DefaultMaxBackoff, or the other one if that is beyond it.
	MinBackoff, MaxBackoff time.Duration

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
		{"MaxBatch", int64(c.MaxBatch)},
		{"MaxAge", int64(c.MaxAge)},
		{"InFlight", int64(c.InFlight)},
		{"MaxBuffer", int64(c.MaxBuffer)},
		{"WriteTimeout", int64(c.WriteTimeout)},
		{"MaxAttempts", int64(c.MaxAttempts)},
		{"MinBackoff", int64(c.MinBackoff)},
		{"MaxBackoff", int64(c.MaxBackoff)},
		{"MaxFuture", int64(c.MaxFuture)},
		{"AllowedLateness", int64(c.AllowedLateness)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("featurestore: IngestConfig.%s is negative: %d", f.name, f.value)
		}
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = DefaultMaxBatch
		if c.MaxBuffer > 0 {
			c.MaxBatch = min(c.MaxBatch, c.MaxBuffer)
		}
	}
	if c.MaxAge == 0 {
		c.MaxAge = DefaultMaxAge
	}
	if c.MaxFuture == 0 {
		c.MaxFuture = DefaultMaxFuture
	}
	if c.InFlight == 0 {
		c.InFlight = DefaultInFlight
	}
	if c.MaxBuffer == 0 {
		c.MaxBuffer = max(c.MaxBatch, DefaultBufferBatch*min(c.MaxBatch, 1<<24))
	}
	if c.MinBackoff == 0 {
		c.MinBackoff = DefaultMinBackoff
		if c.MaxBackoff > 0 {
			c.MinBackoff = min(c.MinBackoff, c.MaxBackoff)
		}
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = max(DefaultMaxBackoff, c.MinBackoff)
	}
	switch {
	case c.MaxBuffer < c.MaxBatch:
		return c, fmt.Errorf("featurestore: IngestConfig.MaxBuffer %d is less than MaxBatch %d: no batch could be full", c.MaxBuffer, c.MaxBatch)
	case c.MaxBackoff < c.MinBackoff:
		return c, fmt.Errorf("featurestore: IngestConfig.MaxBackoff %v is less than MinBackoff %v", c.MaxBackoff, c.MinBackoff)
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
