package featurestore

import (
	"context"
	"time"
)

// Flush sends what waits, without waiting for batches to fill, and returns when all rows that had been accepted before are done and their
// callbacks have returned. It does not shorten the back-off of rows that have failed. When ctx ends it returns context.Cause(ctx), and the rows go
// on. If Close came first and found rows not stored, it returns Close's error.
func (in *Ingest) Flush(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	in.mu.Lock()
	f := in.flush()
	in.mu.Unlock()
	return in.wait(ctx, f)
}

// flush is called with in.mu held.
func (in *Ingest) flush() *flush {
	f := &flush{seq: in.seq, done: make(chan struct{})}
	in.flushes = append(in.flushes, f)
	in.flushed = in.seq
	in.dispatch(time.Since(in.began))
	in.flushedUp()
	return f
}

func (in *Ingest) wait(ctx context.Context, f *flush) error {
	select {
	case <-f.done:
	case <-ctx.Done():
		select {
		case <-f.done: // both: the rows are done
		default:
			in.mu.Lock()
			f.seq = 0 // the next that looks removes it
			in.flushedUp()
			in.mu.Unlock()
			return context.Cause(ctx)
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closeErr
}

// Shutdown rejects new rows with ErrClosed, also those that wait for room, and does what Flush does: rows that fail are tried again until they are stored or have
// used up MaxAttempts. When ctx ends first it returns context.Cause(ctx); the rows go on until Close. It may be called more than once.
func (in *Ingest) Shutdown(ctx context.Context) error {
	in.stopReject(ErrClosed)
	in.mu.Lock()
	in.draining = true
	f := in.flush()
	in.mu.Unlock()
	err := in.wait(ctx, f)
	if err == nil {
		in.workers.Wait() // they have nothing left to do
	}
	return err
}

// Close rejects new rows with ErrClosed, ends the contexts of the store's calls and waits until they have returned and their rows' callbacks too. The
// rows that are not stored then go to the function of WithDeadLetter with ErrClosed, on Close's goroutine, and are in the
// *UnstoredError that it returns, the same each time. They do not move the position of their Source: a consumer reads
// them again. A store that ignores its context is waited for.
func (in *Ingest) Close() error {
	in.closing.Do(in.close)
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closeErr
}

func (in *Ingest) close() {
	in.stopReject(ErrClosed)
	in.mu.Lock()
	in.draining, in.closed = true, true
	in.schedule(time.Since(in.began))
	in.mu.Unlock()
	in.stopWrites(ErrClosed)
	in.workers.Wait()

	in.mu.Lock()
	var rows []Row
	var items []*item
	for it := in.undone.head; it != nil; it = it.links[all].next {
		it.err, it.unstored, it.held, it.link = closedError(it.err), true, true, nil
		rows, items = append(rows, it.row), append(items, it)
	}
	in.fresh, in.retries, in.batches = itemQueue{}, nil, nil
	if len(rows) > 0 {
		in.closeErr = &UnstoredError{Rows: rows}
	}
	in.mu.Unlock()
	in.endAll(items, true)
}
