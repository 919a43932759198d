package sharding

import (
	"fmt"
	"math"
)

// Jump is jump consistent hashing (Lamping and Veach, arXiv 1406.2294): no table at all, and the most even shares there are.
//
// The price is that nodes are numbered, in the order in which they are given: nodes can be added and removed only at the end of
// the list. Another node that leaves takes its number from all that follow, and most keys move. To replace a node, put the new one in its
// place; to remove one in the middle, put the last one in its place: that moves the keys of those two only. All weights must be equal.
type Jump struct{ cluster }

// NewJump makes a placement in which bucket i is nodes[i]. The errors are ErrNoNodes, ErrName, and ErrWeight for weights that
// differ.
func NewJump(nodes []Node) (*Jump, error) {
	c, err := newCluster(nodes, true)
	if err != nil {
		return nil, err
	}
	for i, weight := range c.weights {
		if weight != c.weights[0] {
			return nil, fmt.Errorf("%w: Jump has no weights, but nodes %q and %q differ", ErrWeight, c.nodes[0].Name, c.nodes[i].Name)
		}
	}
	c.sign = c.fingerprint("jump")
	return &Jump{c}, nil
}

// Owner is the index of the node that owns the hash.
func (j *Jump) Owner(hash uint64) int { return jump(hash, len(j.nodes)) }

// Owners appends the first k owners, see [Placement].
func (j *Jump) Owners(dst []int, hash uint64, k int) []int { return j.spread(dst, hash, k, j) }

func (j *Jump) draw(hash uint64, i int) int { return j.Owner(rehash(hash, i)) }

// jump is the function of the paper's figure 1. All its numbers stay floats, which are exact here: to make an integer of each, only to get rid of its fraction,
// and a float of that again, takes a fifth longer. Its products and quotients are rounded alike on all machines: none of them is added to anything before it
// is rounded down, so there is nothing that a compiler could fuse.
func jump(key uint64, buckets int) int {
	n := float64(buckets)
	b, next := -1.0, 0.0
	for next < n {
		b = next
		key = key*2862933555777941757 + 1
		next = math.Floor((b + 1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int(b)
}
