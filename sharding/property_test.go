package sharding_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func testKeys(n int) []uint64 {
	if raceEnabled {
		n = max(100, n/20)
	}
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = sharding.Hash(i)
	}
	return keys
}

func ownerName(p sharding.Placement, hash uint64) string { return p.Nodes()[p.Owner(hash)].Name }

// minimal are the placements that move only what they must. nodes must not change but at their end for Jump.
func minimal(t *testing.T, nodes []sharding.Node) []sharding.Placement {
	all := allPlacements(t, nodes)
	return []sharding.Placement{all[0], all[1], all[4]}
}

// Adding one of n nodes moves at most (1+ε)/(n+1) of the keys, and only to the new node; removing it again moves them back. ε
// covers how uneven the placement is and how many keys there are.
func TestAddingANodeMovesOnlyToIt(t *testing.T) {
	keys := testKeys(200_000)
	for _, n := range []int{1, 2, 4, 10, 50} {
		nodes := makeNodes(n + 1)
		slices.SortFunc(nodes, func(a, b sharding.Node) int { return cmpStrings(a.Name, b.Name) })
		for _, before := range minimal(t, nodes[:n]) {
			after := rebuild(t, before, nodes)
			moved := 0
			for _, key := range keys {
				if from, to := ownerName(before, key), ownerName(after, key); from != to {
					if moved++; to != nodes[n].Name {
						require.Fail(t, "moved elsewhere", "%s: %s to %s", placementName(before), from, to)
					}
				}
			}
			epsilon := 0.05
			if raceEnabled {
				epsilon = 0.3 // few keys
			}
			if placementName(before) == "Ring" {
				epsilon += 0.2 // 3 times 1/√256
			}
			assert.LessOrEqual(t, float64(moved)/float64(len(keys)), (1+epsilon)/float64(n+1), "%s, %d nodes", placementName(before), n)
			assert.Positive(t, moved)
		}
	}
}

func TestRemovingANodeMovesOnlyFromIt(t *testing.T) {
	nodes := makeNodes(20)
	for _, before := range allPlacements(t, nodes)[:4] {
		if placementName(before) == "Maglev" {
			continue // is not minimal
		}
		after := rebuild(t, before, slices.Delete(slices.Clone(nodes), 7, 8))
		for _, key := range testKeys(20_000) {
			if from, to := ownerName(before, key), ownerName(after, key); from != to {
				require.Equal(t, nodes[7].Name, from, placementName(before))
			}
		}
	}
}

func TestAWeightThatChangesMovesOnlyThatNodesKeys(t *testing.T) {
	nodes := makeNodes(20)
	for _, factor := range []float64{0.1, 0.5, 1.7, 5} {
		changed, err := sharding.Scale(nodes, nodes[3].Name, factor)
		require.NoError(t, err)
		for _, before := range allPlacements(t, nodes)[:2] {
			after := rebuild(t, before, changed)
			for _, key := range testKeys(20_000) {
				from, to := ownerName(before, key), ownerName(after, key)
				if from != to && factor < 1 {
					require.Equal(t, nodes[3].Name, from)
				} else if from != to {
					require.Equal(t, nodes[3].Name, to)
				}
			}
		}
	}
}

func TestTheOrderOfNodesDoesNotMatter(t *testing.T) {
	nodes := makeNodes(30)
	shuffled := slices.Clone(nodes)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(nodes), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, p := range allPlacements(t, nodes)[:4] {
		q, err := rebuilt(p, shuffled)
		require.NoError(t, err)
		for _, key := range testKeys(1000) {
			assert.Equal(t, ownerName(p, key), ownerName(q, key))
		}
		assert.Equal(t, p.(interface{ Fingerprint() uint64 }).Fingerprint(), q.(interface{ Fingerprint() uint64 }).Fingerprint())
	}
}

// Owners are distinct, begin with Owner, are spread over the zones as evenly as possible, and those for k begin those for k+1.
func TestOwners(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		nodes := makeNodes(1 + random.IntN(30))
		perZone := map[string]int{}
		for i := range nodes {
			nodes[i].Zone = fmt.Sprint(random.IntN(1 + random.IntN(6))) // small numbers are more frequent
			perZone[nodes[i].Zone]++
		}
		for _, p := range allPlacements(t, nodes) {
			hash := random.Uint64()
			var last []int
			for k := range len(nodes) + 2 {
				owners := p.Owners(nil, hash, k)
				require.Len(t, owners, min(k, len(nodes)))
				require.True(t, slices.Equal(last, owners[:len(last)]))
				if last = owners; k > 0 {
					require.Equal(t, p.Owner(hash), owners[0])
				}
				seen, held := map[int]bool{}, map[string]int{}
				for _, owner := range owners {
					require.False(t, seen[owner])
					seen[owner] = true
					held[p.Nodes()[owner].Zone]++
				}
				for a, inA := range perZone {
					for b := range perZone {
						// A zone holds more than one with room left by one at most.
						require.False(t, held[b] > held[a]+1 && held[a] < inA, "%s: %v of %v", placementName(p), held, perZone)
					}
				}
			}
		}
	}
}

func TestOwnersAppend(t *testing.T) {
	for _, p := range allPlacements(t, makeNodes(5)) {
		assert.Equal(t, -1, p.Owners([]int{-1}, 7, 2)[0])
		assert.Len(t, p.Owners([]int{-1}, 7, 2), 3)
		assert.Empty(t, p.Owners(nil, 7, -1))
	}
}

// A zone of one node among many must be found, though the draws hardly ever hit it.
func TestOwnersInARareZone(t *testing.T) {
	nodes := makeNodes(1500) // more than the state on the stack has room for
	for i := range nodes {
		nodes[i].Zone = "many"
	}
	nodes[77].Zone = "rare"
	for _, p := range allPlacements(t, nodes) {
		for _, key := range testKeys(20) {
			zones := []string{}
			for _, owner := range p.Owners(nil, key, 2) {
				zones = append(zones, p.Nodes()[owner].Zone)
			}
			assert.ElementsMatch(t, []string{"many", "rare"}, zones)
		}
	}
}

func TestOwnersInManyZones(t *testing.T) {
	nodes := makeNodes(100)
	for i := range nodes {
		nodes[i].Zone = fmt.Sprint(i / 2)
	}
	for _, p := range allPlacements(t, nodes) {
		zones := map[string]bool{}
		for _, owner := range p.Owners(nil, 1, 50) {
			zones[p.Nodes()[owner].Zone] = true
		}
		assert.Len(t, zones, 50)
		assert.Len(t, p.Owners(nil, 1, 100), 100)
	}
}

// A node that comes displaces one owner of a key at the most, but for rare coincidences; on a ring without exception.
func TestANewNodeDisplacesOneReplica(t *testing.T) {
	nodes := makeNodes(21)
	slices.SortFunc(nodes, func(a, b sharding.Node) int { return cmpStrings(a.Name, b.Name) })
	for i := range nodes {
		nodes[i].Zone = ""
	}
	for _, before := range minimal(t, nodes[:20]) {
		after := rebuild(t, before, nodes)
		coincidences, keys := 0, testKeys(5000)
		for _, key := range keys {
			lost := 0
			replicas := after.Owners(nil, key, 3)
			for _, owner := range before.Owners(nil, key, 3) {
				if !slices.Contains(replicas, owner) { // the indexes are the same: the new node is the last
					lost++
				}
			}
			if lost > 1 {
				coincidences++
			}
		}
		if placementName(before) == "Ring" {
			assert.Zero(t, coincidences)
		}
		assert.Less(t, coincidences, len(keys)*2*9/(2*400)+1, placementName(before)) // twice (k/n)²/2
	}
}

func TestGenericOwners(t *testing.T) {
	nodes := makeNodes(9)
	p := allPlacements(t, nodes)[1]
	owners := sharding.Owners(p, "key", 20)
	assert.ElementsMatch(t, nodes, withoutWeights(owners))
	assert.Equal(t, sharding.Owner(p, "key"), owners[0])
	assert.Equal(t, sharding.Owner(p, "key"), sharding.Owner(p, []byte("key")))
}

// The node of a key is that of its hash, for our placements and for those of others.
func TestOwnerIsThatOfTheHash(t *testing.T) {
	for _, p := range allPlacements(t, makeNodes(20)) {
		foreign := struct{ sharding.Placement }{p}
		for key := range 1000 {
			want := p.Nodes()[p.Owner(sharding.Hash(key))]
			require.Equal(t, want, sharding.Owner(p, key), placementName(p))
			require.Equal(t, want, sharding.Owner(foreign, key), placementName(p))
		}
	}
}

func withoutWeights(nodes []sharding.Node) []sharding.Node {
	nodes = slices.Clone(nodes)
	for i := range nodes {
		nodes[i].Weight = 0
	}
	return nodes
}
