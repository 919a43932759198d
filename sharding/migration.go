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
// Once all keys of a move are copied, Finish it: its keys then belong to the new owner alone. Reads that began
// before may still ask the old one for a moment, so delete there only when they have ended.
//
// It is safe for concurrent use and has no goroutine. It works with any store: what a read or a write is, is the caller's function.
type Migration struct {
	plan     *Plan
	finished map[[2]string]*atomic.Bool // by names of From and To
	all      atomic.Bool

	reads, fallbacks, writes, doubleWrites atomic.Uint64
}

// NewMigration starts a migration between two placements. The error is that of [Diff].
func NewMigration(before, after Placement) (*Migration, error) {
	plan, err := Diff(before, after)
	if err != nil {
		return nil, err
	}
	m := &Migration{plan: plan, finished: make(map[[2]string]*atomic.Bool, len(plan.Moves))}
	for _, move := range plan.Moves {
		m.finished[[2]string{move.From.Name, move.To.Name}] = &atomic.Bool{}
	}
	return m, nil
}

// Plan is what moves.
func (m *Migration) Plan() *Plan { return m.plan }

// Route says who has the key with that hash: its new owner, and while moving is true also the old one.
func (m *Migration) Route(hash uint64) (from, to Node, moving bool) {
	from, to, moves := m.plan.Move(hash)
	if !moves || m.all.Load() {
		return from, to, false
	}
	finished := m.finished[[2]string{from.Name, to.Name}]
	return from, to, finished == nil || !finished.Load() // a sampled plan may not have the move
}

// Read calls read for the key's new owner and, if that has not found the key or has failed, for the old owner while the key's move is
// not finished. It returns the last call's results; if both failed, both errors joined. read runs on the caller's goroutine.
// If ctx ends the error is context.Cause(ctx), unless an answer is there.
func (m *Migration) Read(ctx context.Context, hash uint64, read func(context.Context, Node) (found bool, err error)) (found bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	m.reads.Add(1)
	from, to, moving := m.Route(hash)
	found, err = read(ctx, to)
	if !moving || found && err == nil {
		return found, err
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	m.fallbacks.Add(1)
	found, oldErr := read(ctx, from)
	if oldErr != nil {
		return false, errors.Join(err, oldErr)
	}
	return found, nil
}

// Write calls write for the key's new owner and then, while the key's move is not finished, for the old owner. It stops at the first
// error and returns it: the write may then be visible or not, and should be repeated. write runs on the caller's goroutine. If ctx
// has ended before a call the error is context.Cause(ctx).
func (m *Migration) Write(ctx context.Context, hash uint64, write func(context.Context, Node) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.writes.Add(1)
	from, to, moving := m.Route(hash)
	if err := write(ctx, to); err != nil || !moving {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.doubleWrites.Add(1)
	return write(ctx, from)
}

// Finish ends the move between two nodes. The error is ErrName if there is no such move in the plan.
func (m *Migration) Finish(from, to string) error {
	finished := m.finished[[2]string{from, to}]
	if finished == nil {
		return fmt.Errorf("%w: nothing moves from %q to %q", ErrName, from, to)
	}
	finished.Store(true)
	return nil
}

// FinishAll ends all moves.
func (m *Migration) FinishAll() { m.all.Store(true) }

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
		if !m.all.Load() && !m.finished[[2]string{move.From.Name, move.To.Name}].Load() {
			st.Left += move.Share
		}
	}
	return st
}
