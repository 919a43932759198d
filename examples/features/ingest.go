package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	fs "github.com/scalable-ai/patterns/featurestore"
)

// ingested is what became of all streams.
type ingested struct {
	sent, copies, order                 int
	late                                int // of those sent
	written, stale, superseded, batches uint64
	took                                time.Duration
}

// ingest writes the streams to a store, each view by an Ingest of its own, all at the same time.
func ingest(ctx context.Context, store fs.Store, registry *fs.Registry, m *maker, streams []stream) (ingested, error) {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	counts := make([]fs.IngestStats, len(streams))
	var views sync.WaitGroup
	for i := range streams {
		views.Go(func() {
			var err error
			if counts[i], err = ingestView(ctx, store, registry, m, &streams[i]); err != nil {
				cancel(fmt.Errorf("writing %s: %w", streams[i].view, err)) // the others stop too
			}
		})
	}
	views.Wait()
	total := ingested{took: time.Since(began)}
	for i, s := range streams {
		total.sent += len(s.events)
		total.copies += s.copies
		total.order += s.order
		total.late += int(counts[i].Late)
		total.written += counts[i].Written
		total.stale += counts[i].Stale
		total.superseded += counts[i].Superseded
		total.batches += counts[i].Batches
	}
	return total, context.Cause(ctx)
}

func ingestView(ctx context.Context, store fs.Store, registry *fs.Registry, m *maker, s *stream) (stats fs.IngestStats, err error) {
	schema, err := registry.View(s.view)
	if err != nil {
		return stats, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in, err := fs.NewIngest(store, schema, fs.IngestConfig{AllowedLateness: allowedLateness, MaxAttempts: 5},
		fs.WithDeadLetter(func(d fs.DeadLetter) { cancel(fmt.Errorf("a row was not stored: %w", d.Err)) }))
	if err != nil {
		return stats, err
	}
	defer func() { // after a Shutdown without error there is nothing left to close
		if closing := in.Close(); err == nil {
			err = closing
		}
		stats = in.Stats()
	}()
	for _, e := range s.events {
		row, err := m.row(s.view, e)
		if err != nil {
			return stats, err
		}
		if err := in.Send(ctx, row); err != nil {
			return stats, err
		}
	}
	if err := in.Shutdown(ctx); err != nil {
		return stats, err
	}
	if ctx.Err() != nil { // a dead letter of the last batches
		return stats, context.Cause(ctx)
	}
	return stats, check(s, in.Stats())
}

var errCount = errors.New("the counts do not agree")

// check compares what an Ingest has counted with what the generator knows.
func check(s *stream, got fs.IngestStats) error {
	switch {
	case got.Accepted != uint64(len(s.events)) || got.Written+got.Stale+got.Superseded != got.Accepted || got.DeadLetters+got.Rejected > 0:
		return fmt.Errorf("%w: of %d rows %d were accepted, %d rejected, %d written, %d stale, %d superseded, %d not stored", errCount,
			len(s.events), got.Accepted, got.Rejected, got.Written, got.Stale, got.Superseded, got.DeadLetters)
	case got.Late != uint64(s.late):
		return fmt.Errorf("%w: %d rows were late, %d should be", errCount, got.Late, s.late)
	}
	return nil
}
