package featurestore

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// sort decides what becomes of the rows of a batch that has been written. No foreign code runs in it.
func (in *Ingest) sort(b *batch) {
	now, jitter := time.Since(in.began), rand.Float64()/2 // one for the batch: its rows stay together
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stats.Batches++
	if b.err != nil {
		in.stats.BatchesFailed++
	}
	for i, it := range b.items {
		chain := it.older
		it.older = nil
		switch b.outcomes[i] {
		case Written, Stale:
			if b.outcomes[i] == Written {
				in.stats.Written++
			} else {
				in.stats.Stale++
			}
			b.ended = append(b.ended, it)
			for older := range each(chain) {
				in.stats.Superseded++
				b.ended = append(b.ended, older)
			}
		case Invalid:
			it.attempts++
			it.outcome = Invalid
			err := b.err // of the whole batch: it may have other reasons as well
			if !errors.Is(err, ErrRow) {
				err = errors.Join(ErrRow, err)
			}
			in.bury(b, it, err)
			for older := range each(chain) { // what it stood for may be valid
				older.due = now
				b.again = append(b.again, older)
			}
		default:
			wait := in.backoff(it.attempts)
			due := after(now, wait-time.Duration(jitter*float64(wait)))
			in.failed(b, it, due)
			for older := range each(chain) {
				in.failed(b, older, due)
			}
		}
	}
	b.stage = sorted
}

// each goes through a chain, whose links are gone then.
func each(chain *item) func(yield func(*item) bool) {
	return func(yield func(*item) bool) {
		for chain != nil {
			it := chain
			chain, it.link = it.link, nil
			if !yield(it) {
				return
			}
		}
	}
}

// failed counts an attempt, also for rows that another stood for: else a key that is sent often could be tried for ever. What fails because Close has
// ended the context has not used up its attempts: it is left to Close.
func (in *Ingest) failed(b *batch, it *item, due time.Duration) {
	it.attempts++
	it.outcome = Failed
	err := b.err
	if err == nil {
		err = ErrNoOutcome
	}
	if in.cfg.MaxAttempts > 0 && it.attempts >= in.cfg.MaxAttempts && !in.closed {
		in.bury(b, it, err)
		return
	}
	in.stats.Retried++
	it.due, it.err = due, err
	b.again = append(b.again, it)
}

func (in *Ingest) bury(b *batch, it *item, err error) {
	it.err, it.unstored, it.held = err, true, true
	b.ended = append(b.ended, it)
}

// backoff is the time before the next attempt, without jitter.
func (in *Ingest) backoff(attempts int) time.Duration {
	d := in.cfg.Backoff
	for ; attempts > 0 && d < in.cfg.MaxBackoff; attempts-- {
		if d > in.cfg.MaxBackoff/2 {
			return in.cfg.MaxBackoff
		}
		d *= 2
	}
	return d
}

// end calls the callbacks of a row. If one of them panics or ends the goroutine, another call goes on with the next.
func (in *Ingest) end(it *item) {
	if it.unstored && in.dead != nil && !it.handed {
		it.handed = true
		in.dead(DeadLetter{Row: it.row, Err: it.err, Outcome: it.outcome, Attempts: it.attempts, Source: it.source, Position: it.position})
		it.held = false
	}
	if ack := it.ack; ack != nil {
		it.ack = nil
		if it.unstored {
			ack(it.err)
		} else {
			ack(nil) // whatever earlier attempts have left
		}
	}
}

// endAll ends rows on the goroutine of a caller, whose panic does not take the others' ends away.
func (in *Ingest) endAll(items []*item, held bool) {
	i := 0
	defer func() {
		if i < len(items) {
			in.endAll(items[i:], held)
		}
	}()
	for ; i < len(items); i++ {
		in.end(items[i])
		in.mu.Lock()
		items[i].held = items[i].held || held
		in.finish(items[i])
		in.flushedUp()
		in.mu.Unlock()
		in.room.Release(1)
	}
}

// dropLate ends rows that are linked, the last first. Close waits for it.
func (in *Ingest) dropLate(late *item) {
	defer in.workers.Done()
	var items []*item
	for it := range each(late) {
		it.unstored, it.held = true, true
		items = append(items, it)
	}
	in.endAll(items, false)
}

// next lets go of a batch's rows and fills it with those of the next, or returns false if there is none: the worker must end then.
func (in *Ingest) next(b *batch) bool {
	now := time.Since(in.began)
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, it := range b.ended {
		in.finish(it)
	}
	in.flushedUp()
	for _, it := range b.again {
		heap.Push(&in.retries, it)
	}
	in.room.Release(int64(len(b.ended)))
	b.reset()
	more := in.ready(now)
	if more {
		in.fill(b, now)
	} else {
		in.running--
		b.next, in.batches = in.batches, b
	}
	in.dispatch(now)
	return more
}

// reset lets go of the rows and keeps the memory.
func (b *batch) reset() {
	clear(b.rows)
	clear(b.items)
	clear(b.ended)
	clear(b.again)
	clear(b.index)
	b.rows, b.items, b.ended, b.again, b.called, b.err, b.stage = b.rows[:0], b.items[:0], b.ended[:0], b.again[:0], 0, nil, filled
}

// finish lets go of an item. It is called with in.mu held.
func (in *Ingest) finish(it *item) {
	if it.unstored {
		in.stats.DeadLetters++
	}
	in.undone.remove(it, all)
	in.buffered--
	if s := it.source; s != nil {
		s.undone.remove(it, ofSource)
		if it.held {
			s.stopAt(it)
		}
	}
	*it = item{link: in.free}
	in.free = it
}

// flushedUp wakes those who wait for rows that are all done.
func (in *Ingest) flushedUp() {
	kept := in.flushes[:0]
	for _, f := range in.flushes {
		if in.undone.head == nil || in.undone.head.seq > f.seq {
			close(f.done)
		} else {
			kept = append(kept, f)
		}
	}
	clear(in.flushes[len(kept):])
	in.flushes = kept
}

// UnstoredError is what Close returns when it has found rows that are not stored, as far as the store has said. It is an ErrClosed.
type UnstoredError struct {
	Rows []Row // in the order in which they were accepted
}

// Error says how many they are.
func (e *UnstoredError) Error() string {
	return fmt.Sprintf("featurestore: closed with %d rows not stored", len(e.Rows))
}

// Unwrap returns ErrClosed.
func (e *UnstoredError) Unwrap() error { return ErrClosed }

// closedError is the error of a row that Close has found.
func closedError(last error) error {
	if last == nil {
		return ErrClosed
	}
	return errors.Join(ErrClosed, last)
}
