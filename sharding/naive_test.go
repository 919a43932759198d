package sharding_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// The functions here are PLACEMENT.md once more, without any thought of speed.

func seededHash(s string, seed uint64) uint64 {
	d := xxhash.NewWithSeed(seed)
	_, _ = d.WriteString(s)
	return d.Sum64()
}

// naiveLog2 is floor(log2(v)·2^24), from the bits of repeated squares.
func naiveLog2(v uint64) uint64 {
	whole := uint64(bits.Len64(v) - 1)
	m, frac := v<<(63-whole), uint64(0)
	for i := range 24 {
		hi, _ := bits.Mul64(m, m)
		if hi >= 1<<63 {
			frac += 1 << (23 - i)
			m = hi
		} else {
			m = hi << 1
		}
	}
	return whole<<24 + frac
}

func naiveMix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// naiveRanks are the ranks of the slots for a node.
func naiveRanks(name string, slots uint64) []uint64 {
	a := uint64(1)
	for a*a < slots {
		a++
	}
	b, key := (slots+a-1)/a, seededHash(name, 0)
	f := func(i, n uint64) uint64 {
		hi, _ := bits.Mul64(naiveMix(key+i*0x9e3779b97f4a7c15), n)
		return hi
	}
	ranks := make([]uint64, slots)
	for rank := range slots {
		x := rank
		for again := true; again; again = x >= slots {
			l, r := x/b, x%b
			l = (l + f(4*r+1, a)) % a
			r = (r + f(4*l+2, b)) % b
			l = (l + f(4*r+3, a)) % a
			r = (r + f(4*l+4, b)) % b
			x = l*b + r
		}
		ranks[x] = rank
	}
	return ranks
}

// naiveRendezvousTable scores every node for every slot.
func naiveRendezvousTable(nodes []sharding.Node, slots uint64) []string {
	table := make([]string, slots)
	ranks := map[string][]uint64{}
	for _, n := range nodes {
		ranks[n.Name] = naiveRanks(n.Name, slots)
	}
	for slot := range table {
		var best sharding.Node
		var bestTime, bestWeight uint64
		for _, n := range nodes {
			rank := ranks[n.Name][slot]
			time := naiveLog2(2*slots) - naiveLog2(2*(slots-rank)-1)
			weight := uint64(n.Weight * 65536)
			ours, theirs := time*bestWeight, bestTime*weight
			if best.Name == "" || ours < theirs || ours == theirs && n.Name < best.Name {
				best, bestTime, bestWeight = n, time, weight
			}
		}
		table[slot] = best.Name
	}
	return table
}

// naiveMaglevTable goes through all rounds, as Envoy does.
func naiveMaglevTable(nodes []sharding.Node, slots uint64) []string {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b sharding.Node) int { return cmpStrings(a.Name, b.Name) })
	table := make([]string, slots)
	next, target := make([]uint64, len(nodes)), make([]float64, len(nodes))
	heaviest := 0.0
	for _, n := range nodes {
		heaviest = max(heaviest, n.Weight)
	}
	filled := uint64(0)
	for round := 1; ; round++ {
		for i, n := range nodes {
			if float64(round)*n.Weight < target[i] {
				continue
			}
			target[i] += heaviest
			for {
				slot := (seededHash(n.Name, 0)%slots + next[i]*(seededHash(n.Name, 1)%(slots-1)+1)) % slots
				next[i]++
				if table[slot] == "" {
					table[slot] = n.Name
					break
				}
			}
			if filled++; filled == slots {
				return table
			}
		}
	}
}

func cmpStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// naiveRingOwner looks at all points.
func naiveRingOwner(nodes []sharding.Node, virtual int, hash uint64) string {
	var first, lowest string
	var firstAt, lowestAt uint64
	for _, n := range nodes {
		for i := range int(n.Weight*float64(virtual) + 0.5) {
			at := xxhash.Sum64String(n.Name + "_" + itoa(i))
			if lowest == "" || at < lowestAt {
				lowest, lowestAt = n.Name, at
			}
			if at >= hash && (first == "" || at < firstAt) {
				first, firstAt = n.Name, at
			}
		}
	}
	if first == "" {
		return lowest
	}
	return first
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

// randomNodes have weights that are exact in the units in which placements calculate.
func randomNodes(random *rand.Rand) []sharding.Node {
	nodes := makeNodes(1 + random.IntN(12))
	for i := range nodes {
		nodes[i].Weight = float64(1+random.IntN(40)) / 8
	}
	random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes
}

// naiveJump is figure 1 of the paper, with its integers.
func naiveJump(key uint64, buckets int) int {
	b, j := int64(-1), int64(0)
	for j < int64(buckets) {
		b = j
		key = key*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(int64(1)<<31) / float64((key>>33)+1)))
	}
	return int(b)
}

func TestJumpFollowsThePaper(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300_000 {
		key, buckets := random.Uint64(), 1+random.IntN(1<<random.IntN(31))
		require.Equal(t, naiveJump(key, buckets), sharding.JumpBucket(key, buckets), "%d %d", key, buckets)
	}
}

func TestPlacementsFollowTheirDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	primes := []int{13, 61, 251, 509}
	for range 150 {
		nodes := randomNodes(random)
		slots := primes[random.IntN(len(primes))]
		name := func(p sharding.Placement, hash uint64) string { return p.Nodes()[p.Owner(hash)].Name }

		m, err := sharding.NewMaglev(nodes, sharding.MaglevConfig{Slots: slots})
		require.NoError(t, err)
		for slot, want := range naiveMaglevTable(nodes, uint64(slots)) {
			require.Equal(t, want, name(m, uint64(slot)), "%v %v", nodes, slot)
		}

		if slots += random.IntN(12); random.IntN(4) == 0 { // a Rendezvous takes any number
			slots = 256
		}
		if r, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{Slots: slots}); err == nil {
			for slot, want := range naiveRendezvousTable(nodes, uint64(slots)) {
				first, _ := bits.Div64(uint64(slot), 1<<63, uint64(slots)) // somewhere in the slot
				require.Equal(t, want, name(r, first), "%v %v", nodes, slot)
			}
		} else {
			require.ErrorIs(t, err, sharding.ErrWeight)
		}

		ring, err := sharding.NewRing(nodes, sharding.RingConfig{VirtualNodes: 16})
		require.NoError(t, err)
		for range 50 {
			hash := random.Uint64()
			assert.Equal(t, naiveRingOwner(nodes, 16, hash), name(ring, hash))
		}
	}
}
