package boltstore

import (
	"context"

	"github.com/scalable-ai/patterns/featurestore"
)

// Hold takes the turn, so that what is queued waits until release is called.
func (s *Store) Hold() (release func()) {
	s.turn <- struct{}{}
	return func() { <-s.turn }
}

// Queued is the number of requests in the queue.
func (s *Store) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Doomed is the number of rows that the file has and the memory has not any more.
func (s *Store) Doomed() int { return len(s.doomed) }

func requestOf(schema *featurestore.Schema, row featurestore.Row) *request {
	return &request{
		schema: schema, layout: string(schema.AppendLayout(nil)), rows: []featurestore.Row{row},
		values: [][]byte{appendValue(nil, schema, row.Record)}, outcomes: make([]featurestore.Outcome, 1), done: make(chan struct{}),
	}
}

// Enqueue queues a row as a Write does that gets no further. The outcome is there when the channel is closed.
func (s *Store) Enqueue(schema *featurestore.Schema, row featurestore.Row) (outcome *featurestore.Outcome, done <-chan struct{}) {
	r := requestOf(schema, row)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, r)
	return &r.outcomes[0], r.done
}

// Commit is a Write that has got past its first look at whether the store is closed.
func (s *Store) Commit(ctx context.Context, schema *featurestore.Schema, row featurestore.Row) error {
	return s.commit(ctx, requestOf(schema, row))
}
