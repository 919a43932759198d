package sharding_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func newBounded(t testing.TB, p sharding.Placement, factor float64) *sharding.Bounded {
	t.Helper()
	b, err := sharding.NewBounded(p, sharding.BoundedConfig{Factor: factor})
	require.NoError(t, err)
	return b
}

// All requests are for one key, which is the worst that can happen.
func TestBoundedHoldsWithOneHotKey(t *testing.T) {
	for _, factor := range []float64{1, 1.25, 2, 1000} {
		for _, p := range allPlacements(t, makeNodes(20)) {
			b := newBounded(t, p, factor)
			var leases []sharding.Lease
			for i := range 500 {
				leases = append(leases, b.Acquire(12345))
				for _, n := range b.Stats().Nodes {
					require.LessOrEqual(t, n.InFlight, int(math.Ceil(factor*float64(i+1)/20)))
					require.LessOrEqual(t, n.InFlight, n.Bound)
				}
			}
			st := b.Stats()
			assert.Equal(t, 500, st.InFlight)
			assert.Equal(t, uint64(500), st.Acquired)
			if factor == 1 {
				assert.Equal(t, 1.0, st.Balance)
			}
			if factor == 1000 {
				assert.Zero(t, st.Displaced)
			} else {
				assert.Positive(t, st.Displaced)
			}
			for _, l := range leases {
				l.Release()
			}
			assert.Zero(t, b.Stats().InFlight)
			assert.Equal(t, ownerName(p, 12345), b.Acquire(12345).Node.Name, "does not return to the owner")
		}
	}
}

func TestBoundedKeepsToTheOrderOfPreference(t *testing.T) {
	p := allPlacements(t, makeNodes(4))[1]
	b := newBounded(t, p, 1)
	owners := p.Owners(nil, 99, 4)
	for _, owner := range owners {
		assert.Equal(t, p.Nodes()[owner], b.Acquire(99).Node)
	}
}

func TestBoundedByWeight(t *testing.T) {
	nodes := makeNodes(3)
	nodes[1].Weight = 2
	b := newBounded(t, rebuild(t, (*sharding.Ring)(nil), nodes), 1)
	for range 400 {
		b.Acquire(7)
	}
	for _, n := range b.Stats().Nodes {
		assert.Equal(t, int(100*n.Node.Weight), n.InFlight)
	}
}

func TestBoundedPlacementChanges(t *testing.T) {
	nodes := makeNodes(3)
	b := newBounded(t, rebuild(t, (*sharding.Ring)(nil), nodes), 1)
	var leases []sharding.Lease
	for range 30 {
		leases = append(leases, b.Acquire(7))
	}
	require.NoError(t, b.SetPlacement(rebuild(t, (*sharding.Ring)(nil), nodes[1:])))
	assert.Equal(t, 20, b.Stats().InFlight, "what the others have in flight is kept")
	require.NoError(t, b.SetPlacement(rebuild(t, (*sharding.Ring)(nil), nodes)))
	assert.Equal(t, 30, b.Stats().InFlight, "the node is back before its work was over")
	require.ErrorIs(t, b.SetPlacement(nil), sharding.ErrNoNodes)
	for _, l := range leases {
		l.Release()
	}
	assert.Zero(t, b.Stats().InFlight)
	assert.Equal(t, 1.0, b.Stats().Balance)
}

// changing is a placement that is replaced while it is asked.
type changing struct {
	sharding.Placement
	change func()
}

func (c changing) Owner(hash uint64) int {
	c.change()
	return c.Placement.Owner(hash)
}

// A request is never sent by a placement that has been replaced before it was let in.
func TestBoundedPlacementChangesWhileItIsAsked(t *testing.T) {
	before, after := allPlacements(t, makeNodes(3))[0], allPlacements(t, []sharding.Node{{Name: "new"}})[0]
	var b *sharding.Bounded
	b = newBounded(t, changing{before, func() { assert.NoError(t, b.SetPlacement(after)) }}, 0)
	assert.Equal(t, "new", b.Acquire(7).Node.Name)
	assert.Equal(t, 1, b.Stats().InFlight)
}

// A custom placement may name fewer nodes than there are, or none that exists: a request finds its place all the same.
func TestBoundedWithAPlacementThatLeavesNodesOut(t *testing.T) {
	p := allPlacements(t, makeNodes(20))[0]
	for _, owner := range []int{3, -1, 20} {
		b := newBounded(t, astray{p, owner}, 1)
		for range 100 {
			b.Acquire(7)
		}
		for _, n := range b.Stats().Nodes {
			assert.Equal(t, 5, n.InFlight)
		}
	}
}

func TestBoundedReleaseTwice(t *testing.T) {
	b := newBounded(t, allPlacements(t, makeNodes(2))[0], 0)
	l := b.Acquire(1)
	other := b.Acquire(1)
	copied := l
	l.Release()
	l.Release()
	assert.Equal(t, 1, b.Stats().InFlight, "the second does not take the place of another")
	other.Release()
	copied.Release()
	new(sharding.Lease).Release()
	assert.Zero(t, b.Stats().InFlight)
}

func TestBadBounded(t *testing.T) {
	p := allPlacements(t, makeNodes(2))[0]
	for _, factor := range []float64{-1, 0.99, 1025, math.NaN(), math.Inf(1)} {
		_, err := sharding.NewBounded(p, sharding.BoundedConfig{Factor: factor})
		assert.ErrorContains(t, err, "BoundedConfig.Factor is", factor)
	}
	_, err := sharding.NewBounded(nil, sharding.BoundedConfig{})
	require.ErrorIs(t, err, sharding.ErrNoNodes)
}

// The bound holds when many goroutines come and go while the placement changes, and nothing is left in flight.
func TestBoundedStress(t *testing.T) {
	nodes := makeNodes(6)
	placements := []sharding.Placement{
		rebuild(t, (*sharding.Ring)(nil), nodes), rebuild(t, (*sharding.Maglev)(nil), nodes[:4]), rebuild(t, (*sharding.Rendezvous)(nil), nodes[2:]),
	}
	b := newBounded(t, placements[0], 1.25)
	var callers sync.WaitGroup
	for g := range 8 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			var held []sharding.Lease
			for range 2000 {
				if random.IntN(2) == 0 || len(held) == 0 {
					held = append(held, b.Acquire(uint64(random.IntN(4))))
				} else {
					held[len(held)-1].Release()
					held = held[:len(held)-1]
				}
				if random.IntN(50) == 0 {
					assert.NoError(t, b.SetPlacement(placements[random.IntN(len(placements))]))
				}
				runtime.Gosched()
			}
			for _, l := range held {
				l.Release()
			}
		})
	}
	callers.Wait()
	for _, p := range placements {
		require.NoError(t, b.SetPlacement(p))
		for _, n := range b.Stats().Nodes {
			assert.Zero(t, n.InFlight)
		}
	}
}
