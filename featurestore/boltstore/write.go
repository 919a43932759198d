package boltstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/scalable-ai/patterns/featurestore"
)

// request is a call of Write or Delete that waits for its group. Who has the turn works on it until done is closed, and its caller afterwards.
type request struct {
	schema   *featurestore.Schema
	layout   string // of the schema
	rows     []featurestore.Row
	values   [][]byte // of the rows in the file, not yet sealed
	outcomes []featurestore.Outcome
	keys     []featurestore.Key // to be deleted
	err      error
	done     chan struct{}
}

func (r *request) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// commit puts a request into the queue and sees to it that it is committed. Whoever gets the turn commits all that is queued then, in one
// transaction: those that come while the disk is busy make up the next group.
func (s *Store) commit(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return featurestore.ErrClosed
	}
	s.queue = append(s.queue, r)
	s.mu.Unlock()
	select {
	case <-r.done:
	case s.turn <- struct{}{}:
		func() {
			defer func() { <-s.turn }()
			if !r.isDone() { // by the one who had the turn before
				s.commitQueued()
			}
		}()
	case <-ctx.Done():
		if s.withdraw(r) {
			return context.Cause(ctx)
		}
		<-r.done // it is being committed: that does not take long, and the answer is worth it
	}
	return r.err
}

// withdraw takes a request out of the queue; false if it is not there any more.
func (s *Store) withdraw(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == r {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

// commitQueued commits all that is queued. The caller has the turn.
func (s *Store) commitQueued() {
	s.mu.Lock()
	group := s.queue
	s.queue = nil
	s.mu.Unlock()
	if len(group) == 0 {
		return
	}
	finished := false
	defer func() {
		for _, r := range group {
			if !finished { // a panic, which goes on to this caller; the others get an error
				r.err = errors.New("boltstore: a panic while rows were written")
				fill(r.outcomes, featurestore.Failed)
			}
			close(r.done)
		}
	}()
	s.commitGroup(group)
	finished = true
}

func fill(outcomes []featurestore.Outcome, o featurestore.Outcome) {
	for i := range outcomes {
		outcomes[i] = o
	}
}

type rowID struct {
	view *view
	key  featurestore.Key
}

// change is what the group makes of a row.
type change struct {
	event   int64
	value   []byte // nil: it is deleted
	request *request
}

func (s *Store) commitGroup(group []*request) {
	changes := map[rowID]change{}
	var good []*request
	for _, r := range group {
		v, err := s.load(r.schema)
		if err != nil {
			r.err = err
			fill(r.outcomes, featurestore.Failed)
			continue
		}
		good = append(good, r)
		for _, key := range r.keys {
			changes[rowID{v, key}] = change{request: r}
		}
		for i, row := range r.rows {
			// The memory decides, not the file: after a commit that failed the file may have rows that no one was told of.
			id, event := rowID{v, row.Key}, row.Record.EventNanos()
			newest, found := s.mem.EventTime(r.schema, row.Key)
			if c, ok := changes[id]; ok {
				newest, found = c.event, c.value != nil
			}
			if found && newest >= event {
				r.outcomes[i] = featurestore.Stale
				continue
			}
			r.outcomes[i] = featurestore.Written
			changes[id] = change{event: event, value: r.values[i], request: r}
		}
	}
	if len(changes) > 0 {
		if err := s.store(changes); err != nil {
			err = fmt.Errorf("boltstore: %w", err)
			for _, r := range good {
				s.fail(r, err)
			}
			return
		}
	}
	for _, r := range good {
		s.apply(r)
	}
}

// fail is for a request whose commit did not succeed: only what the memory says still holds.
func (s *Store) fail(r *request, err error) {
	if len(r.keys) > 0 {
		r.err = err
	}
	for i, row := range r.rows {
		if newest, found := s.mem.EventTime(r.schema, row.Key); found && newest >= row.Record.EventNanos() {
			r.outcomes[i] = featurestore.Stale
			continue
		}
		r.outcomes[i], r.err = featurestore.Failed, err
	}
}

// apply makes the memory follow the file.
func (s *Store) apply(r *request) {
	ctx := context.Background()
	written := r.rows[:0:0]
	for i, o := range r.outcomes {
		if o == featurestore.Written {
			written = append(written, r.rows[i])
		}
	}
	// The records have been checked, and each is newer than what is there: this does not fail.
	if err := s.mem.Write(ctx, r.schema, written, make([]featurestore.Outcome, len(written))); err != nil {
		r.err = err
		fill(r.outcomes, featurestore.Failed)
	}
	if err := s.mem.Delete(ctx, r.schema, r.keys); err != nil {
		r.err = err
	}
}

// store writes the changes to the file in one transaction; when it returns nil they are on disk.
func (s *Store) store(changes map[rowID]change) error {
	type layoutOf struct {
		view   *view
		layout string
	}
	fresh := map[layoutOf]uint32{}
	puts := 0
	err := guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			if err := s.deleteEvicted(tx); err != nil {
				return err
			}
			var encoded []byte
			for id, c := range changes {
				b, err := rowsOf(tx, id.view, c.value != nil)
				if err != nil || b == nil {
					if err != nil {
						return err
					}
					continue
				}
				encoded = id.key.AppendKey(encoded[:0])
				if c.value == nil {
					if err := deleteRow(b.Bucket(rowsBucket), encoded); err != nil {
						return err
					}
					continue
				}
				of := layoutOf{id.view, c.request.layout}
				number, ok := of.view.layouts[of.layout]
				if !ok {
					number, ok = fresh[of]
				}
				if !ok {
					if number, err = newLayout(b, of.layout); err != nil {
						return err
					}
					fresh[of] = number
				}
				seal(origin(id.view.bucket, of.layout), encoded, c.value, number)
				if err := putRow(b.Bucket(rowsBucket), encoded, c.value); err != nil {
					return err
				}
				puts++
			}
			return nil
		})
	})
	if err != nil {
		s.count.commitsFailed.Add(1)
		return err
	}
	s.doomed = nil
	for of, number := range fresh {
		of.view.layouts[of.layout] = number
	}
	s.count.commits.Add(1)
	s.count.puts.Add(uint64(puts))
	return nil
}

// rowsOf is the bucket of a view; with create it is made if it is not there.
func rowsOf(tx *bbolt.Tx, v *view, create bool) (*bbolt.Bucket, error) {
	views := tx.Bucket(viewsBucket)
	b := views.Bucket(v.bucket)
	if b != nil || !create {
		return b, nil
	}
	b, err := views.CreateBucket(v.bucket)
	if err != nil {
		return nil, err
	}
	known := entries(views.Sequence())
	known.add(crc32.Checksum(v.bucket, castagnoli))
	if err = views.SetSequence(uint64(known)); err != nil {
		return nil, err
	}
	if _, err = b.CreateBucket(layoutsBucket); err != nil {
		return nil, err
	}
	_, err = b.CreateBucket(rowsBucket)
	return b, err
}

// deleteEvicted deletes the rows that the memory has dropped, but for those that have been written again since.
func (s *Store) deleteEvicted(tx *bbolt.Tx) error {
	for _, e := range s.doomed {
		if _, found := s.mem.EventTime(e.View, e.Key); found {
			continue
		}
		b := tx.Bucket(viewsBucket).Bucket(bucketName(e.View))
		if b == nil {
			continue
		}
		if err := deleteRow(b.Bucket(rowsBucket), e.Key.AppendKey(nil)); err != nil {
			return err
		}
	}
	return nil
}
