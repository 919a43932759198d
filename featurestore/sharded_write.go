package featurestore

import (
	"context"
	"errors"
	"fmt"
)

// writing is one Write or Delete.
type writing struct {
	fanout
	made     []*shardCall
	failures []error
	rows     []replicaState
}

// replicaState is what the replicas of a row have said.
type replicaState struct {
	good, invalid uint8
	need          uint8
	best          uint8   // the first replica, numbered from 1, of those that have stored it
	said          Outcome // that one
}

// Write writes each row to its store or, with replicas, to all of them, and returns when all have answered, have failed or have had their time. The
// outcome of a row with replicas is
//   - Invalid if one of them says so,
//   - Written or Stale if WriteQuorum of them (or all, where the owner function names fewer) do: as the first of these in the owners' order says,
//   - else Failed: some may have it.
//
// Each replica does its own compare-and-set, so all end with the row of the newest event time. Of different rows with one event time they may keep
// different ones: writers of an entity should not give two rows the same.
//
// The error joins a *ShardError for each store that returned an error, and is nil if no row is Failed or Invalid. When ctx ends, rows whose stores have not answered are Failed. ErrOwner
// and the cause of a context that has ended before mean that nothing was written.
func (s *Sharded) Write(ctx context.Context, view *Schema, rows []Row, outcomes []Outcome) error {
	if len(outcomes) != len(rows) {
		return fmt.Errorf("featurestore: %d outcomes for %d rows", len(outcomes), len(rows))
	}
	if ctx.Err() != nil {
		setAll(outcomes, Failed)
		return context.Cause(ctx)
	}
	p := s.places.Get().(*placing)
	defer s.putPlaces(p)
	for i := range rows {
		if err := s.placeOne(p, &view.entity, rows[i].Key); err != nil {
			setAll(outcomes, Failed)
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if shard, ok := s.direct(p); ok {
		return s.onCaller(ctx, shard, func() error { return s.stores[shard].Write(ctx, view, rows, outcomes) })
	}
	w := s.writes.Get().(*writing)
	w.begin(ctx, len(rows))
	k := s.cfg.Replicas
	for i := range rows {
		owners := p.owners[i*k : (i+1)*k]
		for replica, shard := range owners {
			if shard >= 0 {
				c := w.call(p, shard, opWrite, view)
				c.write, c.flat = append(c.write, rows[i]), append(c.flat, int32(i*k+replica))
				w.rows[i].need++
			}
		}
		w.rows[i].need = min(w.rows[i].need, uint8(s.cfg.WriteQuorum))
	}
	for _, c := range w.made {
		if cap(c.outcomes) < len(c.write) {
			c.outcomes = make([]Outcome, len(c.write))
		}
		c.outcomes = c.outcomes[:len(c.write)]
	}
	w.run(p)
	bad := false
	for i := range w.rows {
		outcomes[i] = w.rows[i].outcome()
		bad = bad || outcomes[i] == Failed || outcomes[i] == Invalid
	}
	return w.finish(bad)
}

func setAll(outcomes []Outcome, o Outcome) {
	for i := range outcomes {
		outcomes[i] = o
	}
}

func (r *replicaState) outcome() Outcome {
	switch {
	case r.invalid > 0:
		return Invalid
	case r.good < r.need:
		return Failed
	}
	return r.said
}

// Delete deletes the rows from all their stores, whatever WriteQuorum says: one that was left in a replica would come back. The error joins a *ShardError
// for each store that failed; the others' rows are gone then.
func (s *Sharded) Delete(ctx context.Context, view *Schema, keys []Key) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p := s.places.Get().(*placing)
	defer s.putPlaces(p)
	for _, key := range keys {
		if err := s.placeOne(p, &view.entity, key); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if shard, ok := s.direct(p); ok {
		return s.onCaller(ctx, shard, func() error { return s.stores[shard].Delete(ctx, view, keys) })
	}
	w := s.writes.Get().(*writing)
	w.begin(ctx, 0)
	k := s.cfg.Replicas
	for i, shard := range p.owners {
		if shard >= 0 {
			c := w.call(p, shard, opDelete, view)
			c.keys = append(c.keys, keys[i/k])
		}
	}
	w.run(p)
	return w.finish(true)
}

func (w *writing) begin(ctx context.Context, rows int) {
	w.ctx = ctx
	if cap(w.rows) < rows {
		w.rows = make([]replicaState, rows)
	}
	w.rows = w.rows[:rows]
	clear(w.rows)
}

// call is the call of a shard, among those that are being made up.
func (w *writing) call(p *placing, shard int32, o op, view *Schema) *shardCall {
	at := &p.callOf[shard]
	if *at == 0 {
		c := w.s.calls.Get().(*shardCall)
		c.shard, c.op, c.view = int(shard), o, view
		w.made = append(w.made, c)
		*at = int32(len(w.made))
	}
	return w.made[*at-1]
}

// run makes the calls and waits for them.
func (w *writing) run(p *placing) {
	for _, c := range w.made {
		p.callOf[c.shard] = 0
	}
	w.queue = append(w.queue, w.made...)
	clear(w.made)
	w.made = w.made[:0]
	for {
		ev, ok := w.next()
		if !ok {
			return
		}
		if ev.err != nil {
			w.failures = append(w.failures, w.fail(ev))
		}
		if ev.abandoned {
			continue // its outcomes are the store's: all of them are as if they had failed
		}
		if !ev.call.tainted {
			w.tally(ev.call)
		}
		ev.call.release()
	}
}

func (w *writing) tally(c *shardCall) {
	k := w.s.cfg.Replicas
	for i, flat := range c.flat {
		r, replica := &w.rows[int(flat)/k], uint8(int(flat)%k+1)
		switch c.outcomes[i] {
		case Written, Stale:
			r.good++
			if r.best == 0 || replica < r.best {
				r.best, r.said = replica, c.outcomes[i]
			}
		case Invalid:
			r.invalid++
		}
	}
}

// finish lets go of all and returns the error, if there is to be one.
func (w *writing) finish(bad bool) error {
	var err error
	if bad {
		if err = errors.Join(w.failures...); err == nil && len(w.rows) > 0 {
			err = ErrNoOutcome
		}
	}
	w.end()
	clear(w.failures)
	w.failures = w.failures[:0]
	w.s.writes.Put(w)
	return err
}
