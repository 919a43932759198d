package sharding_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// The vectors of XXH64.
func TestHashReference(t *testing.T) {
	assert.Equal(t, uint64(0xef46db3751d8e999), sharding.Hash(""))
	assert.Equal(t, uint64(0xd24ec4f1a98c6e5b), sharding.Hash("a"))
	assert.Equal(t, uint64(0x44bc2cf5ad770999), sharding.Hash([]byte("abc")))
}

// Guava's Hashing.consistentHash and the paper's authors.
func TestJumpReference(t *testing.T) {
	p, err := sharding.NewJump(makeNodes(100))
	require.NoError(t, err)
	for key, want := range []int{0, 55, 62, 8, 45, 59, 86, 97} {
		assert.Equal(t, want, p.Owner(uint64(key)))
	}
	assert.Equal(t, 6, sharding.JumpBucket(10863919174838991, 11))
	assert.Equal(t, 22152, sharding.JumpBucket(2201, 100001))
}

func envoyNodes(n int, weights ...float64) []sharding.Node {
	nodes := make([]sharding.Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("127.0.0.1:%d", 90+i)
		if weights != nil {
			nodes[i].Weight = weights[i]
		}
	}
	return nodes
}

// The tables that Envoy's own tests expect.
func TestMaglevReference(t *testing.T) {
	for _, c := range []struct {
		nodes []sharding.Node
		want  []int
	}{
		{envoyNodes(6), []int{2, 4, 0, 1, 5, 0, 3}},
		{envoyNodes(2, 1, 2), []int{1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1}},
	} {
		p, err := sharding.NewMaglev(c.nodes, sharding.MaglevConfig{Slots: len(c.want)})
		require.NoError(t, err)
		for i := range 3 * len(c.want) {
			assert.Equal(t, c.want[i%len(c.want)], p.Owner(uint64(i)), i)
		}
	}
}

// The ring that Envoy's own test expects for 12 points.
func TestRingReference(t *testing.T) {
	p, err := sharding.NewRing(envoyNodes(6), sharding.RingConfig{VirtualNodes: 2})
	require.NoError(t, err)
	points := []struct {
		at   uint64
		node int
	}{
		{833437586790550860, 4}, {928266305478181108, 2}, {1033482794131418490, 0}, {3551244743356806947, 5},
		{3851675632748031481, 3}, {5583722120771150861, 1}, {6311230543546372928, 1}, {7700377290971790572, 3},
		{13144177310400110813, 5}, {13444792449719432967, 2}, {15516499411664133160, 4}, {16117243373044804889, 0},
	}
	for i, point := range points {
		next := points[(i+1)%len(points)]
		assert.Equal(t, point.node, p.Owner(point.at))
		assert.Equal(t, next.node, p.Owner(point.at+1))
	}
	assert.Equal(t, 4, p.Owner(0))
	assert.Equal(t, 4, p.Owner(math.MaxUint64))
	assert.Equal(t, []int{5, 3, 1, 2, 4, 0}, p.Owners(nil, 3551244743356806947, 6), "the order along the circle")
}
