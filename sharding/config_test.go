package sharding_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func TestBadNodes(t *testing.T) {
	node := func(weight float64) []sharding.Node {
		return []sharding.Node{{Name: "a", Weight: weight}}
	}
	for _, c := range []struct {
		nodes []sharding.Node
		want  error
		says  string
	}{
		{nil, sharding.ErrNoNodes, "sharding: no nodes"},
		{[]sharding.Node{{}}, sharding.ErrName, "it is empty"},
		{[]sharding.Node{{Name: "a"}, {Name: "b"}, {Name: "a"}}, sharding.ErrName, `two nodes are named "a"`},
		{node(-1), sharding.ErrWeight, `node "a" has -1`},
		{node(math.NaN()), sharding.ErrWeight, "NaN"},
		{node(math.Inf(1)), sharding.ErrWeight, "+Inf"},
		{node(math.Inf(-1)), sharding.ErrWeight, "-Inf"},
		{node(1e300), sharding.ErrWeight, "1e+300"},
		{node(sharding.MaxWeight + 1), sharding.ErrWeight, "65537"},
		{node(math.Nextafter(sharding.MinWeight, 0)), sharding.ErrWeight, "which is not from"},
		{node(sharding.MinWeight / 3), sharding.ErrWeight, "which is not from"},
		{node(math.SmallestNonzeroFloat64), sharding.ErrWeight, "which is not from"},
		{make([]sharding.Node, sharding.MaxNodes+1), sharding.ErrSize, "are more than MaxNodes"},
	} {
		for _, like := range allPlacements(t, makeNodes(1)) {
			_, err := rebuilt(like, c.nodes)
			require.ErrorContains(t, err, c.says, placementName(like))
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		}
	}
}

func TestBadSizes(t *testing.T) {
	nodes := makeNodes(10)
	is := func(err, want error, says string) {
		t.Helper()
		require.ErrorIs(t, err, want)
		assert.ErrorContains(t, err, says)
	}
	for _, c := range []struct {
		slots int
		says  string
	}{
		{-7, "is -7"}, {1, "is 1"}, {sharding.MaxSlots + 2, "is 5000013"}, {math.MaxInt, "it must be from 2"},
		{7, "too few for 10 nodes"},
	} {
		_, err := sharding.NewMaglev(nodes, sharding.MaglevConfig{Slots: c.slots})
		is(err, sharding.ErrSize, c.says)
		_, err = sharding.NewRendezvous(nodes, sharding.RendezvousConfig{Slots: c.slots})
		is(err, sharding.ErrSize, c.says)
	}
	_, err := sharding.NewMaglev(nodes, sharding.MaglevConfig{Slots: 100})
	is(err, sharding.ErrSize, "is 100, which is not a prime number; the next is 101")
	for _, slots := range []int{-1, 9, sharding.MaxSlots + 1} {
		_, err := sharding.NewTable(nodes, sharding.TableConfig{Slots: slots})
		is(err, sharding.ErrSize, "TableConfig.Slots is")
	}
	for _, virtual := range []int{-1, math.MaxInt} {
		_, err := sharding.NewRing(nodes, sharding.RingConfig{VirtualNodes: virtual})
		is(err, sharding.ErrSize, "RingConfig.VirtualNodes is")
	}
	_, err = sharding.NewRing(nodes, sharding.RingConfig{VirtualNodes: 1 << 24})
	is(err, sharding.ErrSize, "the ring has more than")
	_, err = sharding.NewRing([]sharding.Node{{Name: "a", Weight: sharding.MaxWeight}}, sharding.RingConfig{VirtualNodes: 1 << 24})
	is(err, sharding.ErrSize, "the ring has more than")
}

// A weight that is so small that the node would be left out is an error, not a node that gets nothing.
func TestWeightsThatRoundToNothing(t *testing.T) {
	nodes := []sharding.Node{{Name: "large", Weight: 1000}, {Name: "small", Weight: 2 * sharding.MinWeight}}
	for _, like := range allPlacements(t, makeNodes(1)) {
		_, err := rebuilt(like, nodes)
		if placementName(like) == "Maglev" {
			require.NoError(t, err) // each node chooses in the first round
			continue
		}
		require.ErrorIs(t, err, sharding.ErrWeight, placementName(like))
	}
}

func TestTheSmallestTables(t *testing.T) {
	nodes := makeNodes(2)
	m, err := sharding.NewMaglev(nodes, sharding.MaglevConfig{Slots: 2})
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{0.5, 0.5}, sharding.Shares(m), 1e-12)
	_, err = sharding.NewRendezvous(nodes[:1], sharding.RendezvousConfig{Slots: 2})
	require.NoError(t, err)
	r, err := sharding.NewRing(nodes[:1], sharding.RingConfig{VirtualNodes: 1})
	require.NoError(t, err)
	assert.Equal(t, 0, r.Owner(math.MaxUint64))
	assert.Equal(t, 0, r.Owner(0))
	table, err := sharding.NewTable(nodes, sharding.TableConfig{Slots: 2})
	require.NoError(t, err)
	assert.Equal(t, 0, table.Owner(1<<63-1))
	assert.Equal(t, 1, table.Owner(1<<63))
}

// The most nodes, large tables and the most different weights take no more than a second or two.
func TestExtremes(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes seconds")
	}
	nodes := make([]sharding.Node, sharding.MaxNodes)
	for i := range nodes {
		nodes[i].Name = itoa(i)
	}
	nodes[5].Weight = sharding.MaxWeight
	m, err := sharding.NewMaglev(nodes, sharding.MaglevConfig{Slots: 1_000_003})
	require.NoError(t, err)
	assert.Len(t, m.Owners(nil, 7, len(nodes)), len(nodes))
	nodes[5].Weight = 100
	_, err = sharding.NewRendezvous(nodes, sharding.RendezvousConfig{Slots: 1_000_003})
	require.NoError(t, err)
}

func TestWeightsAreKept(t *testing.T) {
	weights := []float64{0.5, 1, 2, 4.5}
	nodes := makeNodes(len(weights))
	total := 8.0
	for i, w := range weights {
		nodes[i].Weight = w
	}
	for _, p := range allPlacements(t, makeNodes(1))[:4] {
		p = rebuild(t, p, nodes)
		for i, share := range sharding.Shares(p) {
			tolerance := 0.02
			if placementName(p) == "Ring" {
				tolerance = 0.25
			}
			assert.InEpsilon(t, p.Nodes()[i].Weight/total, share, tolerance, placementName(p))
		}
	}
	_, err := sharding.NewJump(nodes)
	require.ErrorIs(t, err, sharding.ErrWeight)
}

func TestThePlacementHasItsOwnNodes(t *testing.T) {
	nodes := makeNodes(3)
	for _, p := range allPlacements(t, nodes) {
		names := slices.Clone(p.Nodes())
		nodes[0].Name = "changed"
		assert.Equal(t, names, p.Nodes())
		nodes[0].Name = names[0].Name
	}
}

func TestFingerprint(t *testing.T) {
	nodes := makeNodes(3)
	seen := map[uint64]string{}
	add := func(name string, p sharding.Placement, err error) {
		require.NoError(t, err)
		sign := p.(interface{ Fingerprint() uint64 }).Fingerprint()
		assert.Empty(t, seen[sign], name)
		seen[sign] = name
	}
	for _, p := range allPlacements(t, nodes) {
		add(placementName(p), p, nil)
	}
	p, err := sharding.NewRing(nodes, sharding.RingConfig{VirtualNodes: 10})
	add("points", p, err)
	nodes[1].Weight = 2
	p, err = sharding.NewRing(nodes, sharding.RingConfig{})
	add("weights", p, err)
	nodes[1].Zone = "elsewhere"
	p, err = sharding.NewRing(nodes, sharding.RingConfig{})
	add("zones", p, err)
	table, err := sharding.NewTable(nodes, sharding.TableConfig{})
	add("table", table, err)
	table, err = table.Assign(0, 0, nodes[2].Name)
	add("assigned", table, err)
}

func TestRamp(t *testing.T) {
	r, err := sharding.NewRamp(sharding.RampConfig{Duration: 10 * time.Second, Steps: 5, Floor: 0.2})
	require.NoError(t, err)
	for _, c := range []struct {
		elapsed  time.Duration
		up, down float64
	}{
		{-time.Second, 0.2, 1}, {0, 0.2, 1}, {1999 * time.Millisecond, 0.2, 1}, {2 * time.Second, 0.36, 0.8}, {5 * time.Second, 0.52, 0.6},
		{9999 * time.Millisecond, 0.84, 0.2}, {10 * time.Second, 1, 0}, {time.Hour, 1, 0}, {math.MaxInt64, 1, 0},
	} {
		assert.InDelta(t, c.up, r.Up(c.elapsed), 1e-12, c.elapsed)
		assert.InDelta(t, c.down, r.Down(c.elapsed), 1e-12, c.elapsed)
	}
	var zero sharding.Ramp
	assert.Equal(t, 1.0, zero.Up(0))
	assert.Equal(t, 1.0, zero.Up(-1))
	r, err = sharding.NewRamp(sharding.RampConfig{Duration: 100 * time.Second, Steps: 100})
	require.NoError(t, err)
	for i := range 101 {
		assert.InDelta(t, 1-float64(i)/100, r.Down(time.Duration(i)*time.Second), 1e-12, "after %d s", i)
	}
	r, err = sharding.NewRamp(sharding.RampConfig{Duration: math.MaxInt64, Steps: math.MaxInt})
	require.NoError(t, err)
	assert.InDelta(t, 0.5, r.Down(math.MaxInt64/2), 1e-6)
	for _, cfg := range []sharding.RampConfig{
		{}, {Duration: -1}, {Duration: 1, Steps: -1}, {Duration: 1, Floor: -0.1}, {Duration: 1, Floor: 1.1}, {Duration: 1, Floor: math.NaN()},
	} {
		_, err := sharding.NewRamp(cfg)
		assert.ErrorContains(t, err, "sharding: RampConfig.", "%+v", cfg)
	}
}

func TestScale(t *testing.T) {
	nodes := makeNodes(3)
	scaled, err := sharding.Scale(nodes, nodes[1].Name, 0.5)
	require.NoError(t, err)
	assert.Equal(t, 0.5, scaled[1].Weight)
	assert.Zero(t, nodes[1].Weight, "the caller's list has changed")
	drained, err := sharding.Scale(nodes, nodes[1].Name, 0)
	require.NoError(t, err)
	assert.Equal(t, []sharding.Node{nodes[0], nodes[2]}, drained)
	assert.Len(t, nodes, 3)
	_, err = sharding.Scale(nodes, "nobody", 1)
	require.ErrorIs(t, err, sharding.ErrName)
	for _, factor := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err = sharding.Scale(nodes, nodes[0].Name, factor)
		require.ErrorIs(t, err, sharding.ErrWeight)
	}
}
