package sharding_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// Whatever the names of two nodes are, their shares are near their weights: the orders of no two names go together.
func TestRendezvousSharesOfPairs(t *testing.T) {
	const slots = 1009 // about: it need not be a prime number
	pairs := 4000
	if raceEnabled {
		pairs = 400
	}
	// A share of 1/4 of 1009 slots has a standard deviation of at most √(1009·3/16)/1009, which is 0.0136.
	const deviation = 0.0136
	sum := 0.0
	for i := range pairs {
		for _, weight := range []float64{1, 3} {
			p, err := sharding.NewRendezvous([]sharding.Node{
				{Name: fmt.Sprint("a", i)}, {Name: fmt.Sprint("b", i), Weight: weight},
			}, sharding.RendezvousConfig{Slots: slots + i%16})
			require.NoError(t, err)
			off := sharding.Shares(p)[0] - 1/(1+weight)
			require.Less(t, math.Abs(off), 0.075, "%v: pair %d, weight %v", sharding.Shares(p), i, weight)
			sum += off * off
		}
	}
	assert.Less(t, math.Sqrt(sum/float64(2*pairs)), 1.1*deviation)
}

// The pair and the size of which an arithmetic progression gave the first node a twentieth instead of a quarter.
func TestRendezvousSharesOfABadPair(t *testing.T) {
	p, err := sharding.NewRendezvous([]sharding.Node{{Name: "a2640"}, {Name: "b2640", Weight: 3}}, sharding.RendezvousConfig{Slots: 4099})
	require.NoError(t, err)
	assert.InDelta(t, 0.25, sharding.Shares(p)[0], 0.03)
}

// A node alone claims every slot exactly once, of any number of slots: the order is a permutation.
func TestShuffleIsAPermutation(t *testing.T) {
	for slots := uint64(1); slots < 300; slots++ {
		for key := range uint64(10) {
			seen := make([]bool, slots)
			for rank := range slots {
				slot := sharding.Shuffled(sharding.Hash(key), slots, rank)
				require.Less(t, slot, slots)
				require.False(t, seen[slot], "%d slots", slots)
				seen[slot] = true
			}
		}
	}
}
