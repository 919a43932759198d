package sharding

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// Migration routes reads and writes while keys move from the nodes of one placement to those of another, without a pause:
//
//   - A read asks the key's new owner. If that does not have the key, or fails, the read asks the old one.
//   - A write goes to the new owner and then to the old one, and succeeds if both do.
//
// So until a move is finished the old owner has everything and going back is safe. What the store, and whoever copies, must see to:
//
//   - The copy begins when all writes have ended that know nothing of the migration, in all processes: they reach the old owner only.
//   - The copy, in whatever order, does not overwrite what is there already (set if absent): it may be newer.
//   - If keys can be deleted while they are copied, a delete leaves a mark, or the copy can bring the key back.
//   - Two writes of one key at the same time can reach the two owners in different orders. If that matters, values carry versions.
//
// Once all keys of a move are copied, it ends in two phases, so that no process reads what another has ceased to write:
//
//   - FinishReads in all processes: reads ask the new owner only. Writes still go to both, and going back is still safe.
//   - When that is done in all of them, and reads that began before have ended, Finish in all processes: writes go to the new owner only.
//
// With Finish alone a process that still reads the old owner could find there a key that another process has deleted, or, when the new owner
// fails, an old value. In one process alone Finish is enough. Delete at the old owner when Finish is done in all processes and the writes
// and reads that began before have ended.
//
// It is safe for concurrent use and has no goroutine. It works with any store: what a read or a write is, is the caller's function.
type Migration struct {
	plan     *Plan
	finished map[[2]string]*phases // by names of From and To
	all      phases

	reads, fallbacks, writes, doubleWrites atomic.Uint64
}

// phases are the phases of its end that a move has behind it.
type phases struct{ reads, writes atomic.Bool }

func (p *phases) finish() {
	p.reads.Store(true)
	p.writes.Store(true)
}

// NewMigration starts a migration between two placements. The error is that of [Diff].
func NewMigration(before, after Placement) (*Migration, error) {
	plan, err := Diff(before, after)
	if err != nil {
		return nil, err
	}
	m := &Migration{plan: plan, finished: make(map[[2]string]*phases, len(plan.Moves))}
	for _, move := range plan.Moves {
		m.finished[[2]string{move.From.Name, move.To.Name}] = &phases{}
	}
	return m, nil
}

// Plan is what moves.
func (m *Migration) Plan() *Plan { return m.plan }

// Route says who has the key with that hash: its new owner, and while moving is true also the old one. It is true until the move is
// finished; after FinishReads only writes go to the old owner. It panics if a custom placement has no owner for the hash, see [Check].
func (m *Migration) Route(hash uint64) (from, to Node, moving bool) {
	from, to, _, moving, err := m.route(hash)
	if err != nil {
		panic(err)
	}
	return from, to, moving
}

// route says whether the old owner is read and written.
func (m *Migration) route(hash uint64) (from, to Node, reads, writes bool, err error) {
	from, to, err = m.plan.move(hash)
	if err != nil || from.Name == to.Name {
		return from, to, false, false, err
	}
	reads, writes = !m.all.reads.Load(), !m.all.writes.Load()
	if p := m.finished[[2]string{from.Name, to.Name}]; p != nil { // a sampled plan may not have the move
		reads, writes = reads && !p.reads.Load(), writes && !p.writes.Load()
	}
	return from, to, reads, writes, nil
}

// Read calls read for the key's new owner and, if that has not found the key or has failed, for the old owner while the key's move is
// not finished. A key is found if either has it. That neither has it is certain only if both say so: if one has failed and the other has not
// found it, the error is that of the one that failed, as it is; if both failed, both errors joined. read runs on the caller's goroutine. If ctx
// has ended the error is context.Cause(ctx), unless an answer is there. With an [ErrPlacement] nothing was read.
func (m *Migration) Read(ctx context.Context, hash uint64, read func(context.Context, Node) (found bool, err error)) (found bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	from, to, fallback, _, err := m.route(hash)
	if err != nil {
		return false, err
	}
	m.reads.Add(1)
	found, err = read(ctx, to)
	if err == nil && (found || !fallback) {
		return found, nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if !fallback {
		return found, err
	}
	m.fallbacks.Add(1)
	found, oldErr := read(ctx, from)
	switch {
	case oldErr == nil && (found || err == nil):
		return found, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case oldErr == nil:
		return false, err
	case err == nil:
		return false, oldErr
	}
	return false, errors.Join(err, oldErr)
}

// Write calls write for the key's new owner and then, while the key's move is not finished, for the old owner. It stops at the first
// error and returns it: the write may then be visible or not, and should be repeated. write runs on the caller's goroutine. If ctx
// has ended before a call the error is context.Cause(ctx). With an [ErrPlacement] nothing was written.
func (m *Migration) Write(ctx context.Context, hash uint64, write func(context.Context, Node) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	from, to, _, moving, err := m.route(hash)
	if err != nil {
		return err
	}
	m.writes.Add(1)
	if err := write(ctx, to); err != nil || !moving {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.doubleWrites.Add(1)
	return write(ctx, from)
}

// FinishReads is the first phase of the end of a move: reads ask the new owner only, writes still go to both. The error is ErrName if there is
// no such move in the plan.
func (m *Migration) FinishReads(from, to string) error {
	p, err := m.move(from, to)
	if err == nil {
		p.reads.Store(true)
	}
	return err
}

// Finish ends the move between two nodes: reads and writes go to the new owner only. If several processes have the migration, FinishReads must be
// done in all of them before the first Finish. The error is ErrName if there is no such move in the plan.
func (m *Migration) Finish(from, to string) error {
	p, err := m.move(from, to)
	if err == nil {
		p.finish()
	}
	return err
}

func (m *Migration) move(from, to string) (*phases, error) {
	p := m.finished[[2]string{from, to}]
	if p == nil {
		return nil, fmt.Errorf("%w: nothing moves from %q to %q", ErrName, from, to)
	}
	return p, nil
}

// FinishAllReads is FinishReads for all moves.
func (m *Migration) FinishAllReads() { m.all.reads.Store(true) }

// FinishAll ends all moves, as Finish does one.
func (m *Migration) FinishAll() { m.all.finish() }

// MigrationStats are the gauges and counters of a [Migration].
type MigrationStats struct {
	Moved        float64 // share of all hashes that the plan moves
	Left         float64 // share of all hashes whose move is not finished
	Reads        uint64
	Fallbacks    uint64 // reads that asked the old owner too
	Writes       uint64
	DoubleWrites uint64 // writes that reached the old owner too
}

// Stats are the gauges and counters at this moment.
func (m *Migration) Stats() MigrationStats {
	st := MigrationStats{
		Moved: m.plan.Moved,
		Reads: m.reads.Load(), Fallbacks: m.fallbacks.Load(),
		Writes: m.writes.Load(), DoubleWrites: m.doubleWrites.Load(),
	}
	for _, move := range m.plan.Moves {
		if !m.all.writes.Load() && !m.finished[[2]string{move.From.Name, move.To.Name}].writes.Load() {
			st.Left += move.Share
		}
	}
	return st
}
