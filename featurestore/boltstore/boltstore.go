package boltstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/featurestore/memstore"
)

var _ featurestore.Store = (*Store)(nil)

// Store keeps rows in memory and in a file. Use Open to make one, and Close when it is no longer used. It is safe for concurrent use, and owns no
// goroutine.
type Store struct {
	mem   *memstore.Store
	db    *bbolt.DB
	views atomic.Pointer[map[viewID]*view] // those that are loaded; copied when one is added

	// turn is held by who uses the file or changes the memory, so that both have the same rows: committing a group, loading a view, closing.
	turn   chan struct{}
	doomed []memstore.EvictEvent // rows that the memory has dropped and the file still has; belongs to who has the turn

	mu     sync.Mutex
	queue  []*request
	closed atomic.Bool // set under mu, so that nothing is queued afterwards

	closing  chan struct{} // closed when the file is
	closeErr error
	count    counters
}

// Open opens the file, or makes it, and loads the rows of these views into memory. The rows of other views are loaded when the view is first read, written
// or deleted from; until then they stay in the file as they are.
//
// Rows that were written with another version of their view are read by the names of the features: one that was added since is null. If a
// feature is of another kind or dimension now the error is a featurestore.ErrRow: what is stored cannot be read as what the view says. Define
// a view of another name then. Other errors are ErrLocked, ErrCorrupt, and those of the file system.
func Open(path string, cfg Config, views ...*featurestore.Schema) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	for i, schema := range views {
		if schema == nil {
			return nil, fmt.Errorf("boltstore: Open: view %d is nil", i)
		}
	}
	s := &Store{turn: make(chan struct{}, 1), closing: make(chan struct{})}
	s.mem, err = memstore.New(memstore.Config{MaxRows: cfg.MaxRows, MaxBytes: cfg.MaxBytes, Shards: cfg.Shards, OnEvict: s.evicted})
	if err != nil {
		return nil, err
	}
	s.views.Store(&map[viewID]*view{})
	if s.db, err = openFile(path, cfg); err != nil {
		return nil, err
	}
	for _, schema := range views {
		if _, err := s.load(schema); err != nil {
			_ = s.db.Close()
			return nil, fmt.Errorf("boltstore: %s: %w", path, err)
		}
	}
	return s, nil
}

// evicted is called while this goroutine has the turn, as the memory is only written to then.
func (s *Store) evicted(e memstore.EvictEvent) { s.doomed = append(s.doomed, e) }

func (s *Store) isClosed() bool { return s.closed.Load() }

// Read implements [featurestore.Store]. It reads the memory only, as that of a memstore.Store does, except for the first time that it sees a view.
func (s *Store) Read(ctx context.Context, lookups []featurestore.Lookup) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.isClosed() {
		return featurestore.ErrClosed
	}
	for i := range lookups {
		if err := s.need(ctx, lookups[i].View); err != nil {
			return err
		}
	}
	return s.mem.Read(ctx, lookups)
}

// Write implements [featurestore.Store]. It returns when the rows are on disk, and readers see them from then on. Concurrent calls share a transaction and its
// syncs.
//
// If ctx ends while the rows wait for their turn they are Failed, and were not stored. Once their transaction has begun it is waited for.
func (s *Store) Write(ctx context.Context, schema *featurestore.Schema, rows []featurestore.Row, outcomes []featurestore.Outcome) error {
	var err error
	switch {
	case len(rows) != len(outcomes):
		err = fmt.Errorf("boltstore: Write: %d rows, but room for %d outcomes", len(rows), len(outcomes))
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.isClosed():
		err = featurestore.ErrClosed
	}
	if err != nil {
		fill(outcomes, featurestore.Failed)
		return err
	}
	r := &request{schema: schema}
	var errs []error
	var places []int // of the request's rows among the caller's
	for i := range rows {
		if err := check(schema, &rows[i]); err != nil {
			outcomes[i] = featurestore.Invalid
			errs = append(errs, fmt.Errorf("row %d: %w", i, err))
			continue
		}
		places = append(places, i)
		r.rows = append(r.rows, rows[i])
		r.values = append(r.values, appendValue(nil, schema, rows[i].Record))
	}
	if len(r.rows) > 0 {
		r.layout = string(schema.AppendLayout(nil))
		r.outcomes = make([]featurestore.Outcome, len(r.rows))
		fill(r.outcomes, featurestore.Failed)
		errs = append(errs, s.commit(ctx, r))
		for i, place := range places {
			outcomes[place] = r.outcomes[i]
		}
	}
	s.count.add(outcomes)
	return errors.Join(errs...)
}

func check(schema *featurestore.Schema, row *featurestore.Row) error {
	if err := schema.Check(row.Record); err != nil {
		return err
	}
	if n := row.Key.Size(); n > MaxKey {
		return fmt.Errorf("%w: %d bytes, more than %d", featurestore.ErrKey, n, MaxKey)
	}
	if n := row.Record.Size(); n > MaxRecord {
		return fmt.Errorf("%w: %d bytes, more than %d", featurestore.ErrRow, n, MaxRecord)
	}
	return nil
}

// Bounds of a row, in bytes. One that is beyond them is Invalid: it would fail the rows that share its transaction.
const (
	MaxKey    = 32<<10 - 16 // of its key
	MaxRecord = 1 << 30     // about, of its record in memory
)

// Delete implements [featurestore.Store]. It returns when the file no longer has the rows.
func (s *Store) Delete(ctx context.Context, schema *featurestore.Schema, keys []featurestore.Key) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.isClosed():
		return featurestore.ErrClosed
	case len(keys) == 0:
		return nil
	}
	return s.commit(ctx, &request{schema: schema, keys: keys})
}

// Sweep removes all rows whose TTL has passed, from memory and from the file. Writes do that too, a few at a time.
func (s *Store) Sweep(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.isClosed() {
		return featurestore.ErrClosed
	}
	s.mem.Sweep()
	return s.flush()
}

// flush deletes from the file what the memory has dropped.
func (s *Store) flush() error {
	if len(s.doomed) == 0 {
		return nil
	}
	return s.store(nil)
}

// Close commits what has been queued, and closes the file. Calls of Write, Delete and Read afterwards return featurestore.ErrClosed. It may be called
// more than once, and returns the same.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed.Swap(true)
	s.mu.Unlock()
	if first {
		s.turn <- struct{}{}
		s.commitQueued()
		s.closeErr = errors.Join(s.flush(), s.db.Close())
		<-s.turn
		close(s.closing)
	}
	<-s.closing
	return s.closeErr
}
