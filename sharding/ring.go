package sharding

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// DefaultVirtualNodes is the default of RingConfig.VirtualNodes.
const DefaultVirtualNodes = 256

// maxPoints is the largest ring.
const maxPoints = 1 << 24

// RingConfig configures a [Ring]. The zero value is usable.
type RingConfig struct {
	// VirtualNodes is the number of points on the ring of a node of weight 1. More points make shares more even: they
	// differ by about 1/√VirtualNodes. Each takes 14 to 18 bytes. Default: DefaultVirtualNodes.
	VirtualNodes int
}

// Ring is consistent hashing with virtual nodes (Karger et al., STOC 1997): each node has points on a circle of all hashes, and owns
// those that lie before its points. A node of weight w has w·VirtualNodes points, rounded.
//
// A node that comes or goes, or whose weight changes, moves only keys to it or from it. The positions are those of Envoy's
// ring_hash with XX_HASH: point i of a node is at XXH64(name + "_" + i).
type Ring struct {
	cluster
	points []uint64 // ascending
	owners []uint16 // of the points
	first  []uint32 // by the leading bits of a hash: the first point that is not before them
	shift  uint
}

// NewRing makes a ring. The order of nodes does not matter. The errors are ErrNoNodes, ErrName, ErrWeight (also for a weight so small
// that the node has no point) and ErrSize.
func NewRing(nodes []Node, cfg RingConfig) (*Ring, error) {
	c, err := newCluster(nodes, false)
	if err != nil {
		return nil, err
	}
	if cfg.VirtualNodes < 0 || cfg.VirtualNodes > maxPoints {
		return nil, fmt.Errorf("%w: RingConfig.VirtualNodes is %d, it must be from 1 to %d", ErrSize, cfg.VirtualNodes, maxPoints)
	}
	if cfg.VirtualNodes == 0 {
		cfg.VirtualNodes = DefaultVirtualNodes
	}
	type point struct {
		at    uint64
		owner uint16
	}
	var points []point
	var name []byte
	for i, n := range c.nodes {
		count := roundedShare(uint64(cfg.VirtualNodes), c.weights[i])
		if count == 0 {
			return nil, fmt.Errorf("%w: node %q has %v, which is less than half a point with %d virtual nodes", ErrWeight, n.Name, n.Weight, cfg.VirtualNodes)
		}
		if count > maxPoints-uint64(len(points)) {
			return nil, fmt.Errorf("%w: the ring has more than %d points: choose smaller weights or fewer virtual nodes", ErrSize, maxPoints)
		}
		for j := range count {
			name = append(append(name[:0], n.Name...), '_')
			name = strconv.AppendUint(name, j, 10)
			points = append(points, point{xxhash.Sum64(name), uint16(i)})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.owner, b.owner)) })
	c.sign = c.fingerprint("ring", uint64(cfg.VirtualNodes))
	r := &Ring{cluster: c, points: make([]uint64, len(points)), owners: make([]uint16, len(points))}
	for i, p := range points {
		r.points[i], r.owners[i] = p.at, p.owner
	}
	r.index()
	return r, nil
}

// roundedShare is n·weight, rounded to the nearest number, where the weight is in units of MinWeight.
func roundedShare(n, weight uint64) uint64 { return (n*weight + 1<<15) >> 16 }

// index prepares the search: with about as many buckets as points there are few points between a bucket's beginning and any hash
// in it, however many points there are.
func (r *Ring) index() {
	log := uint(max(1, bits.Len(uint(len(r.points)-1))))
	r.shift = 64 - log
	r.first = make([]uint32, 1<<log)
	next := 0
	for b := range r.first {
		for next < len(r.points) && r.points[next]>>r.shift < uint64(b) {
			next++
		}
		r.first[b] = uint32(next)
	}
}

// at is the index of the point that owns the hash: the first that is not before it, around the circle.
func (r *Ring) at(hash uint64) int {
	i := int(r.first[hash>>r.shift])
	for i < len(r.points) && r.points[i] < hash {
		i++
	}
	if i == len(r.points) {
		return 0
	}
	return i
}

// Owner is the index of the node that owns the hash.
func (r *Ring) Owner(hash uint64) int { return int(r.owners[r.at(hash)]) }

// Owners appends the first k owners, see [Placement]: the nodes of the points that follow on the circle.
func (r *Ring) Owners(dst []int, hash uint64, k int) []int { return r.spread(dst, hash, k, r) }

// draw goes along the circle.
func (r *Ring) draw(hash uint64, i int) int { return int(r.owners[(r.at(hash)+i)%len(r.owners)]) }
