package sharding_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// store is a cluster of stores of numbers.
type store struct {
	mu     sync.Mutex
	values map[string]map[uint64]int // by node
	broken map[string]error
}

func newStore() *store {
	return &store{values: map[string]map[uint64]int{}, broken: map[string]error{}}
}

func (s *store) get(node sharding.Node, key uint64) (int, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[node.Name][key]
	return v, ok, s.broken[node.Name]
}

func (s *store) set(node sharding.Node, key uint64, v int, ifAbsent bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken[node.Name]; err != nil {
		return err
	}
	if s.values[node.Name] == nil {
		s.values[node.Name] = map[uint64]int{}
	}
	if _, ok := s.values[node.Name][key]; !ok || !ifAbsent {
		s.values[node.Name][key] = v
	}
	return nil
}

func (s *store) read(ctx context.Context, m *sharding.Migration, key uint64) (v int, found bool, err error) {
	found, err = m.Read(ctx, key, func(_ context.Context, n sharding.Node) (found bool, err error) {
		v, found, err = s.get(n, key)
		return found, err
	})
	return v, found, err
}

func (s *store) write(ctx context.Context, m *sharding.Migration, key uint64, v int) error {
	return m.Write(ctx, key, func(_ context.Context, n sharding.Node) error { return s.set(n, key, v, false) })
}

// newMigration has a key that moves and one that stays.
func newMigration(t *testing.T) (m *sharding.Migration, moves, stays uint64) {
	t.Helper()
	nodes := makeNodes(5)
	m, err := sharding.NewMigration(rebuild(t, (*sharding.Ring)(nil), nodes[:4]), rebuild(t, (*sharding.Ring)(nil), nodes))
	require.NoError(t, err)
	for _, key := range testKeys(100) {
		if _, _, moving := m.Route(key); moving {
			moves = key
		} else {
			stays = key
		}
	}
	return m, moves, stays
}

func TestMigration(t *testing.T) {
	m, key, _ := newMigration(t)
	s, ctx := newStore(), t.Context()
	from, to, moving := m.Route(key)
	require.True(t, moving)
	require.NoError(t, s.set(from, key, 1, false))

	v, found, err := s.read(ctx, m, key)
	require.NoError(t, err)
	assert.True(t, found, "not copied yet: the old owner has it")
	assert.Equal(t, 1, v)

	require.NoError(t, s.write(ctx, m, key, 2))
	for _, n := range []sharding.Node{from, to} {
		v, _, _ = s.get(n, key)
		assert.Equal(t, 2, v, n.Name)
	}
	require.NoError(t, s.set(to, key, 1, true)) // the copy comes late
	v, _, _ = s.read(ctx, m, key)
	assert.Equal(t, 2, v)

	left := m.Stats().Left
	assert.InDelta(t, m.Plan().Moved, left, 1e-9)
	require.NoError(t, m.Finish(from.Name, to.Name))
	assert.Less(t, m.Stats().Left, left)
	_, _, moving = m.Route(key)
	assert.False(t, moving)
	require.NoError(t, s.write(ctx, m, key, 3))
	v, _, _ = s.get(from, key)
	assert.Equal(t, 2, v, "written to the old owner after the end")
	assert.ErrorIs(t, m.Finish(to.Name, from.Name), sharding.ErrName)
	m.FinishAll()
	for _, key := range testKeys(1000) {
		_, _, moving = m.Route(key)
		assert.False(t, moving)
	}
	assert.Equal(t, sharding.MigrationStats{Moved: m.Plan().Moved, Reads: 2, Fallbacks: 1, Writes: 2, DoubleWrites: 1}, m.Stats())
}

func TestMigrationOfAKeyThatStays(t *testing.T) {
	m, _, key := newMigration(t)
	s, ctx := newStore(), t.Context()
	_, found, err := s.read(ctx, m, key)
	require.NoError(t, err)
	assert.False(t, found)
	require.NoError(t, s.write(ctx, m, key, 1))
	v, _, _ := s.read(ctx, m, key)
	assert.Equal(t, 1, v)
	assert.Zero(t, m.Stats().Fallbacks+m.Stats().DoubleWrites)
}

func TestMigrationFailures(t *testing.T) {
	m, key, _ := newMigration(t)
	s, ctx := newStore(), t.Context()
	from, to, _ := m.Route(key)
	require.NoError(t, s.write(ctx, m, key, 1))
	newDown, oldDown := errors.New("new is down"), errors.New("old is down")

	s.broken[to.Name] = newDown
	v, found, err := s.read(ctx, m, key)
	require.NoError(t, err, "the old owner has all that the new one has")
	assert.True(t, found)
	assert.Equal(t, 1, v)
	require.ErrorIs(t, s.write(ctx, m, key, 2), newDown)
	v, _, _ = s.get(from, key)
	assert.Equal(t, 1, v, "written to one only")

	s.broken[from.Name] = oldDown
	_, _, err = s.read(ctx, m, key)
	require.ErrorIs(t, err, newDown)
	require.ErrorIs(t, err, oldDown)
	delete(s.broken, to.Name)
	require.ErrorIs(t, s.write(ctx, m, key, 3), oldDown)
	_, found, err = s.read(ctx, m, key)
	require.NoError(t, err)
	assert.True(t, found)
}

// That a key is absent is known only if neither owner has failed; and an error comes back as it is.
func TestMigrationReadThatOneOwnerFails(t *testing.T) {
	m, key, _ := newMigration(t)
	_, to, _ := m.Route(key)
	boom := errors.New("boom")
	for _, newFails := range []bool{true, false} {
		found, err := m.Read(t.Context(), key, func(_ context.Context, n sharding.Node) (bool, error) {
			if (n == to) == newFails {
				return false, boom
			}
			return false, nil
		})
		assert.False(t, found)
		assert.True(t, err == boom, "%v, the new owner fails: %v", err, newFails) //nolint:errorlint // the same error, not one that wraps it
	}
}

func TestMigrationReadCancelledWithinACall(t *testing.T) {
	m, key, stays := newMigration(t)
	why := errors.New("why")
	for name, c := range map[string]struct {
		key  uint64
		last int // the call during which the context ends
	}{"no fallback": {stays, 1}, "new owner": {key, 1}, "old owner": {key, 2}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		calls := 0
		_, err := m.Read(ctx, c.key, func(ctx context.Context, _ sharding.Node) (bool, error) {
			if calls++; calls == c.last {
				cancel(why)
			}
			return false, ctx.Err()
		})
		assert.Equal(t, why, err, name)
		assert.Equal(t, c.last, calls, name)
	}
}

// Between the two phases of the end reads ask the new owner only, while writes go to both.
func TestMigrationEndsInTwoPhases(t *testing.T) {
	for _, all := range []bool{false, true} {
		m, key, _ := newMigration(t)
		from, to, _ := m.Route(key)
		s, ctx := newStore(), t.Context()
		require.NoError(t, s.set(from, key, 1, false))
		if all {
			m.FinishAllReads()
		} else {
			require.NoError(t, m.FinishReads(from.Name, to.Name))
			require.ErrorIs(t, m.FinishReads(to.Name, from.Name), sharding.ErrName)
		}
		_, found, err := s.read(ctx, m, key)
		require.NoError(t, err)
		assert.False(t, found, "the old owner was read")
		require.NoError(t, s.write(ctx, m, key, 2))
		v, _, _ := s.get(from, key)
		assert.Equal(t, 2, v, "the old owner was not written to")
		_, _, moving := m.Route(key)
		assert.True(t, moving)
		assert.Positive(t, m.Stats().Left)
		assert.Zero(t, m.Stats().Fallbacks)
		m.FinishAll()
		_, _, moving = m.Route(key)
		assert.False(t, moving)
	}
}

func TestMigrationCancelled(t *testing.T) {
	m, key, _ := newMigration(t)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	_, err := m.Read(ctx, key, func(context.Context, sharding.Node) (bool, error) { calls++; cancel(why); return false, nil })
	require.ErrorIs(t, err, why)
	_, err = m.Read(ctx, key, func(context.Context, sharding.Node) (bool, error) { calls++; return false, nil })
	require.ErrorIs(t, err, why)
	err = m.Write(ctx, key, func(context.Context, sharding.Node) error { calls++; return nil })
	require.ErrorIs(t, err, why)
	assert.Equal(t, 1, calls)

	ctx, cancel = context.WithCancelCause(t.Context())
	err = m.Write(ctx, key, func(context.Context, sharding.Node) error { calls++; cancel(why); return nil })
	require.ErrorIs(t, err, why)
	assert.Equal(t, 2, calls)
}

// While a copier runs and the moves are finished one after the other, each key's own reader sees its last write.
func TestMigrationStress(t *testing.T) {
	nodes := makeNodes(6)
	old, next := rebuild(t, (*sharding.Rendezvous)(nil), nodes[:4]), rebuild(t, (*sharding.Rendezvous)(nil), nodes[1:])
	m, err := sharding.NewMigration(old, next)
	require.NoError(t, err)
	s, ctx := newStore(), t.Context()
	keys := testKeys(400)
	for _, key := range keys {
		require.NoError(t, s.set(old.Nodes()[old.Owner(key)], key, 0, false))
	}
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), 2))
			last := map[uint64]int{}
			for i := range 3000 {
				key := keys[random.IntN(len(keys)/4)*4+c] // nobody else's
				if random.IntN(3) == 0 {
					assert.NoError(t, s.write(ctx, m, key, i))
					last[key] = i
				}
				v, found, err := s.read(ctx, m, key)
				assert.NoError(t, err)
				assert.True(t, found)
				assert.Equal(t, last[key], v)
				runtime.Gosched()
			}
		})
	}
	for _, move := range m.Plan().Moves {
		for _, key := range keys {
			if from, to, moving := m.Route(key); moving && from.Name == move.From.Name && to.Name == move.To.Name {
				v, _, _ := s.get(from, key)
				runtime.Gosched()
				require.NoError(t, s.set(to, key, v, true))
			}
		}
		require.NoError(t, m.Finish(move.From.Name, move.To.Name))
	}
	clients.Wait()
	assert.Zero(t, m.Stats().Left, fmt.Sprint(m.Stats()))
}
