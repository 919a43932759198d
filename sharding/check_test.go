package sharding_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/internal/reject"
	"github.com/scalable-ai/patterns/sharding"
)

func TestCheckAcceptsThePlacementsOfThisPackage(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 20} {
		for _, p := range allPlacements(t, makeNodes(n)) {
			require.NoError(t, sharding.Check(p), "%s of %d", placementName(p), n)
			require.NoError(t, sharding.Check(custom{p}), "%s of %d", placementName(p), n)
		}
	}
	weighted := makeNodes(9)
	weighted[0].Weight, weighted[3].Zone, weighted[6].Zone = 20, "b", "b"
	p, err := sharding.NewRendezvous(weighted, sharding.RendezvousConfig{Slots: 5000})
	require.NoError(t, err)
	require.NoError(t, sharding.Check(p))
}

// broken is a placement some of whose methods are replaced.
type broken struct {
	sharding.Placement
	owner  func(uint64) int
	owners func(dst []int, hash uint64, k int) []int
	nodes  []sharding.Node
}

func (b broken) Owner(hash uint64) int {
	if b.owner != nil {
		return b.owner(hash)
	}
	return b.Placement.Owner(hash)
}

func (b broken) Owners(dst []int, hash uint64, k int) []int {
	if b.owners != nil {
		return b.owners(dst, hash, k)
	}
	return b.Placement.Owners(dst, hash, k)
}

func (b broken) Nodes() []sharding.Node {
	if b.nodes != nil {
		return b.nodes
	}
	return b.Placement.Nodes()
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	p, turn := rebuild(t, (*sharding.Ring)(nil), makeNodes(6)), 0
	for name, c := range map[string]struct {
		b    broken
		want error
		says string
	}{
		"negative":      {broken{owner: func(uint64) int { return -1 }}, sharding.ErrPlacement, "is node -1 of 6"},
		"too large":     {broken{owner: func(uint64) int { return 6 }}, sharding.ErrPlacement, "is node 6 of 6"},
		"by turns":      {broken{owner: func(uint64) int { turn++; return turn % 6 }}, sharding.ErrPlacement, "and then node"},
		"overwrites":    {broken{owners: func(dst []int, hash uint64, k int) []int { return p.Owners(dst[:0], hash, k) }}, sharding.ErrPlacement, "does not begin with"},
		"too few":       {broken{owners: func(dst []int, hash uint64, k int) []int { return p.Owners(dst, hash, min(k, 2)) }}, sharding.ErrPlacement, "should append 3"},
		"another first": {broken{owners: func(dst []int, hash uint64, k int) []int { return p.Owners(dst, ^hash, k) }}, sharding.ErrPlacement, "the first should be Owner"},
		"twice": {broken{owners: func(dst []int, hash uint64, k int) []int {
			for range min(k, 6) {
				dst = append(dst, p.Owner(hash))
			}
			return dst
		}}, sharding.ErrPlacement, "occurs twice"},
		"one zone": {broken{owners: func(dst []int, hash uint64, k int) []int {
			first := p.Owner(hash)
			for i := range min(k, 6) {
				dst = append(dst, (first+i*3+i/2)%6)
			}
			return dst
		}}, sharding.ErrPlacement, "more evenly"},
		"no name":    {broken{nodes: make([]sharding.Node, 6)}, sharding.ErrName, "empty or taken"},
		"equal name": {broken{nodes: []sharding.Node{{Name: "a"}, {Name: "a"}}}, sharding.ErrName, `"a"`},
		"no nodes":   {broken{nodes: []sharding.Node{}}, sharding.ErrNoNodes, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.b.Placement = p
			err := sharding.Check(c.b)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
		})
	}
	require.ErrorIs(t, sharding.Check(nil), sharding.ErrNoNodes)
	require.ErrorIs(t, sharding.Check((*sharding.Jump)(nil)), sharding.ErrNoNodes)
}

// A hash without an owner that no sample has met is an error of a migration where it can return one, and nobody is called.
func TestMigrationWithoutAnOwner(t *testing.T) {
	const hash = 7
	ring := rebuild(t, (*sharding.Ring)(nil), makeNodes(4))
	astray := broken{Placement: ring, owner: func(h uint64) int {
		if h == hash {
			return 4
		}
		return ring.Owner(h)
	}}
	for _, pair := range [][2]sharding.Placement{{ring, astray}, {astray, ring}} {
		m, err := sharding.NewMigration(pair[0], pair[1])
		require.NoError(t, err)
		_, err = m.Read(t.Context(), hash, func(context.Context, sharding.Node) (bool, error) { t.Error("called"); return true, nil })
		require.ErrorIs(t, err, sharding.ErrPlacement)
		assert.True(t, reject.Is(err))
		err = m.Write(t.Context(), hash, func(context.Context, sharding.Node) error { t.Error("called"); return nil })
		require.ErrorIs(t, err, sharding.ErrPlacement)
		assert.Panics(t, func() { m.Route(hash) })
		assert.Panics(t, func() { m.Plan().Move(hash) })
		_, err = m.Read(t.Context(), hash+1, func(context.Context, sharding.Node) (bool, error) { return true, nil })
		require.NoError(t, err)
		assert.Equal(t, uint64(1), m.Stats().Reads)
		assert.Zero(t, m.Stats().Writes)
	}
}
