package featurestore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Ingest writes a stream of rows of one view to a store, in batches, and tries again what could not be written. Every row that Send has
// accepted has exactly one end: it is stored (or a newer row of its entity is), or it is handed to the function of WithDeadLetter.
//
// It delivers at least once: a row may reach the store more than once, after an error that left it open or when a stream is read again
// from its last committed position. The store's compare-and-set on the event time makes that harmless, and likewise rows that are late or out of
// order. Rows of one entity that meet in a batch are written as one, the newest; of equal event times the one that was sent first.
//
// All methods are safe for concurrent use. It has goroutines only while batches run, and a timer only while rows wait.
type Ingest struct {
	store  Store
	schema *Schema
	cfg    IngestConfig
	dead   func(DeadLetter)
	began  time.Time
	checks sync.Pool           // of *rowCheck
	room   *semaphore.Weighted // of MaxQueue

	reject     context.Context // ended by Shutdown and Close: of those that wait for room
	stopReject context.CancelCauseFunc
	writing    context.Context // ended by Close: of the store's calls
	stopWrites context.CancelCauseFunc
	workers    sync.WaitGroup

	mu       sync.Mutex
	undone   itemList // all that are accepted and not done, in order
	buffered int      // of them
	fresh    itemQueue
	retries  itemHeap
	seq      uint64 // of the newest item
	flushed  uint64 // items up to this one do not wait for others
	running  int
	timer    *time.Timer
	wakeAt   time.Duration // when the timer goes; 0: it is not set
	flushes  []*flush
	draining bool  // after Shutdown or Close
	closed   bool  // after Close
	seen     bool  // a row has been accepted
	newest   int64 // event time, if seen
	stats    IngestStats
	free     *item  // linked by link
	batches  *batch // free ones, linked by next

	closing  sync.Once
	closeErr error
}

// flush is a Flush or Shutdown that waits until nothing up to seq is undone.
type flush struct {
	seq  uint64
	done chan struct{}
}

// NewIngest makes an Ingest that writes rows of schema to the store. It does not own the store. Call Shutdown or Close when it is no longer needed.
func NewIngest(store Store, schema *Schema, cfg IngestConfig, opts ...IngestOption) (*Ingest, error) {
	if store == nil || schema == nil {
		return nil, errors.New("featurestore: NewIngest: nil store or schema")
	}
	var o ingestOptions
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("featurestore: NewIngest: nil option")
		}
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	cfg, err := cfg.withDefaults(&o)
	if err != nil {
		return nil, err
	}
	in := &Ingest{
		store: store, schema: schema, cfg: cfg, dead: o.dead, began: time.Now(), room: semaphore.NewWeighted(int64(cfg.MaxQueue)),
	}
	in.reject, in.stopReject = context.WithCancelCause(context.Background())
	in.writing, in.stopWrites = context.WithCancelCause(context.Background())
	return in, nil
}

// Send accepts a row, to be stored soon. It returns when the row is in the buffer: see Flush, SendAck and Source for when it is stored. The ingest keeps
// the record, which must not be changed any more.
//
// An error means that the row was not accepted: ErrRow or ErrKey if it does not fit the view, has no event time or one beyond MaxFuture; ErrQueueFull; ErrClosed; or
// context.Cause(ctx) if that ends before there is room.
func (in *Ingest) Send(ctx context.Context, row Row) error { return in.send(ctx, nil, 0, nil, row) }

// SendAck is Send with a callback for the row's end, which is called once if SendAck returns nil: with nil when the row is stored, else with
// the error of its dead letter, after the function of WithDeadLetter. It runs where that does, on the goroutine of the batch as a rule, and as that
// must not wait for the ingest. A panic in it is not recovered.
func (in *Ingest) SendAck(ctx context.Context, row Row, ack func(error)) error {
	return in.send(ctx, nil, 0, ack, row)
}

func (in *Ingest) send(ctx context.Context, source *Source, position int64, ack func(error), rows ...Row) error {
	if ctx.Err() != nil {
		in.countRejected(len(rows))
		return context.Cause(ctx)
	}
	copied := false
	for i := range rows {
		row, err := in.check(rows[i])
		if err != nil {
			in.countRejected(len(rows))
			return err
		}
		if row.Record == rows[i].Record {
			continue
		}
		if !copied {
			rows, copied = slices.Clone(rows), true // they are the caller's
		}
		rows[i] = row
	}
	if err := in.acquire(ctx, len(rows)); err != nil {
		in.countRejected(len(rows))
		return err
	}
	now := time.Since(in.began)
	var late *item
	in.mu.Lock()
	var err error
	if in.draining {
		err = ErrClosed
	} else if source != nil {
		err = source.advance(position)
	}
	if err != nil {
		in.stats.Rejected += uint64(len(rows))
		in.mu.Unlock()
		in.room.Release(int64(len(rows)))
		return err
	}
	for i := range rows {
		late = in.accept(&rows[i], source, position, ack, now, late)
	}
	if in.fresh.n >= in.cfg.MaxSize || in.wakeAt == 0 || after(now, in.cfg.MaxWait) < in.wakeAt {
		in.dispatch(now)
	}
	if late != nil {
		in.workers.Add(1)
	}
	in.mu.Unlock()
	if late != nil {
		in.dropLate(late)
	}
	return nil
}

// check looks at what can be seen without the store. A record of another version of the view is converted.
func (in *Ingest) check(row Row) (Row, error) {
	c, _ := in.checks.Get().(*rowCheck)
	if c == nil {
		c = &rowCheck{schema: in.schema, maxFuture: in.cfg.MaxFuture}
	}
	c.latest = latestEvent(in.cfg.MaxFuture)
	row, err := c.row(row)
	in.checks.Put(c)
	return row, err
}

func (in *Ingest) countRejected(n int) {
	in.mu.Lock()
	in.stats.Rejected += uint64(n)
	in.mu.Unlock()
}

// acquire takes room for n rows.
func (in *Ingest) acquire(ctx context.Context, n int) error {
	if in.reject.Err() != nil {
		return ErrClosed
	}
	if n > in.cfg.MaxQueue {
		return fmt.Errorf("%w: %d rows at once, it holds %d", ErrQueueFull, n, in.cfg.MaxQueue)
	}
	if n == 0 || in.room.TryAcquire(int64(n)) {
		return nil
	}
	if in.cfg.RejectWhenFull {
		return ErrQueueFull
	}
	wait, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(in.reject, func() { cancel(ErrClosed) })()
	if in.room.Acquire(wait, int64(n)) != nil {
		return context.Cause(wait)
	}
	return nil
}

// after is the time d after now, or the last one that there is: a d may be meant to be for ever.
func after(now, d time.Duration) time.Duration {
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}

// accept makes a row an item. It is called with in.mu held. Late items that must not be stored are linked to late and not queued.
func (in *Ingest) accept(row *Row, source *Source, position int64, ack func(error), now time.Duration, late *item) *item {
	it := in.free
	if it == nil {
		it = new(item)
	} else {
		in.free = it.link
		it.link = nil
	}
	in.seq++
	it.row, it.seq, it.due, it.ack = *row, in.seq, after(now, in.cfg.MaxWait), ack
	in.undone.push(it, all)
	in.buffered++
	if source != nil {
		it.source, it.position, it.before, it.hasBefore = source, position, source.before, source.hasBefore
		source.undone.push(it, ofSource)
	}
	in.stats.Accepted++
	if event := row.Record.event; !in.seen || event > in.newest {
		in.seen, in.newest = true, event
	} else if uint64(in.newest)-uint64(event) > uint64(in.cfg.AllowedLateness) {
		in.stats.Late++
		if in.cfg.DropLate {
			it.link, it.err = late, ErrLate
			return it
		}
	}
	in.fresh.push(it)
	return late
}
