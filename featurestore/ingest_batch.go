package featurestore

import (
	"container/heap"
	"context"
	"time"
)

// batch is a call of Store.Write, and the memory of the worker that makes it.
type batch struct {
	next     *batch // in the list of free ones
	rows     []Row
	items    []*item // of the rows
	outcomes []Outcome
	index    map[Key]int // of the rows, by key
	err      error
	stage    int
	ended    []*item // rows that have come to their end, with those that they stood for
	called   int     // so many of ended have had their callbacks
	again    []*item // to be tried again
}

// The stages of a batch.
const (
	filled  = iota
	written // the store has returned
	sorted  // into ended and again; the callbacks are being called
)

// ready reports whether a batch should go now.
func (in *Ingest) ready(now time.Duration) bool {
	if in.closed {
		return false
	}
	if len(in.retries) > 0 && in.retries[0].due <= now {
		return true
	}
	f := in.fresh.head
	return f != nil && (in.fresh.n >= in.cfg.MaxSize || f.due <= now || f.seq <= in.flushed)
}

// dispatch starts workers for the batches that should go, as far as there is place for them, and sets the timer for those that are to go later. It is
// called with in.mu held.
func (in *Ingest) dispatch(now time.Duration) {
	for in.running < in.cfg.Concurrency && in.ready(now) {
		b := in.batches
		if b == nil {
			b = &batch{index: make(map[Key]int)}
		} else {
			in.batches, b.next = b.next, nil
		}
		in.fill(b, now)
		in.running++
		in.workers.Add(1)
		go in.work(b)
	}
	in.schedule(now)
}

// schedule sets the timer to when the next batch is due. While no more batches may run it is not needed: a worker that is done looks for itself.
func (in *Ingest) schedule(now time.Duration) {
	var next time.Duration
	if in.running < in.cfg.Concurrency && !in.closed {
		if len(in.retries) > 0 {
			next = in.retries[0].due
		}
		if f := in.fresh.head; f != nil && (next == 0 || f.due < next) {
			next = f.due
		}
	}
	if next == in.wakeAt {
		return
	}
	in.wakeAt = next
	switch {
	case next == 0:
		in.timer.Stop()
	case in.timer == nil:
		in.timer = time.AfterFunc(next-now, in.wake)
	default:
		in.timer.Reset(next - now)
	}
}

// wake is the timer's. It may come late, when the timer has been set anew already; that does no harm.
func (in *Ingest) wake() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.wakeAt = 0
	in.dispatch(time.Since(in.began))
}

// fill takes the rows of the next batch: those to be tried again first, then fresh ones as far as there is room, due or not.
func (in *Ingest) fill(b *batch, now time.Duration) {
	for taken := 0; taken < in.cfg.MaxSize; taken++ {
		switch {
		case len(in.retries) > 0 && in.retries[0].due <= now:
			b.add(heap.Pop(&in.retries).(*item))
		case in.fresh.n > 0:
			b.add(in.fresh.pop())
		default:
			return
		}
	}
}

// add puts a row into the batch. Of two with the same key the newer stands for both.
func (b *batch) add(it *item) {
	i, ok := b.index[it.row.Key]
	if !ok {
		b.index[it.row.Key] = len(b.rows)
		b.rows, b.items = append(b.rows, it.row), append(b.items, it)
		return
	}
	leader := b.items[i]
	if x, y := it.row.Record.event, leader.row.Record.event; x > y || x == y && it.seq < leader.seq {
		it.older, leader.link, leader.older = leader, leader.older, nil
		b.rows[i], b.items[i] = it.row, it
		return
	}
	it.link, leader.older = leader.older, it
}

// work runs batches until none should go. If the store or a callback ends the goroutine, another takes its place where it stopped.
func (in *Ingest) work(b *batch) {
	returned := false
	defer func() {
		if !returned {
			go in.work(b)
		}
	}()
	for {
		if b.stage == filled {
			in.write(b)
		}
		if b.stage == written {
			in.sort(b)
		}
		for ; b.called < len(b.ended); b.called++ {
			in.end(b.ended[b.called])
		}
		if !in.next(b) {
			returned = true
			in.workers.Done()
			return
		}
	}
}

// write calls the store.
func (in *Ingest) write(b *batch) {
	returned := false
	defer func() {
		if returned {
			return
		}
		b.err = ErrGoexit
		if value := recover(); value != nil {
			b.err = newPanicError(value)
		}
		// Whatever the store has begun may still use them.
		b.rows, b.outcomes = append([]Row(nil), b.rows...), make([]Outcome, len(b.rows))
		b.stage = written
	}()
	ctx := in.writing
	if in.cfg.WriteTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.cfg.WriteTimeout)
		defer cancel()
	}
	if cap(b.outcomes) < len(b.rows) {
		b.outcomes = make([]Outcome, len(b.rows))
	}
	b.outcomes = b.outcomes[:len(b.rows)]
	clear(b.outcomes)
	b.err = in.store.Write(ctx, in.schema, b.rows, b.outcomes)
	b.stage, returned = written, true
}
