package sharding

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Version is the version of the placement functions: which node owns a hash, and which hash a key has. Any change in
// either would raise it, and comes only with a new major version of the module. PLACEMENT.md describes version 1 byte by byte.
const Version = 1

// The bounds of a node's weight.
const (
	MinWeight = 1.0 / 65536
	MaxWeight = 65536.0
)

// MaxNodes is the most nodes that a placement may have. A table with its default number of slots has not enough of them for so many: Table
// needs one for each node, and with fewer than about ten for each Rendezvous is likely to leave a node without any, which is an error.
const MaxNodes = 1 << 16

// Node is a member of a cluster.
type Node struct {
	// Name identifies the node: two nodes are the same if their names are. It must not be empty. What a node owns
	// depends on its name, so a node that comes back under its old name gets its old keys back.
	Name string

	// Weight is the node's capacity relative to the others, from MinWeight to MaxWeight. Default: 1.
	Weight float64

	// Zone is what fails together with other nodes: a rack, an availability zone, a GPU host. The owners of one
	// key are spread over as many zones as possible. Nodes without a zone share the zone "".
	Zone string
}

// Placement says which node owns which hash. It does not change and is safe for concurrent use. [Ring], [Rendezvous], [Jump], [Maglev] and
// [Table] are placements; anything else with these methods is one too, and [Check] tests it.
//
// Nodes are given as indexes into Nodes, so that callers can count by node in a slice. The functions [Owner] and [Owners] take
// keys and return nodes.
type Placement interface {
	// Owner is the index in Nodes of the node that owns the hash, always the same. Functions of this package that cannot return an error panic at any other number.
	Owner(hash uint64) int

	// Owners appends to dst the indexes of the first k different owners of the hash, in order of preference, and returns it.
	// The first is Owner. The others are spread over the zones as evenly as possible. If there are fewer than k
	// nodes it appends them all, and nothing if k is not positive. It does not allocate if dst has room, unless k is more than some tens, there are more than 1,024 nodes, or a
	// node's share is so small that it has to be searched for.
	Owners(dst []int, hash uint64, k int) []int

	// Nodes are the nodes by their indexes, always the same. The caller must not change them.
	Nodes() []Node
}

// Owner is the node that owns the key. Who has something of their own for each node, a client or a counter, keeps it in a slice in the order of p.Nodes(), and
// takes p.Owner(Hash(key)) as its index, which is a little faster.
func Owner[K Key](p Placement, key K) Node { return *owner(p, key) }

// owner leaves to Owner, which is inlined, to copy of the node what its caller looks at: a whole Node in a result costs more than most look-ups. Our own placements
// are called directly and not through the interface, which is a sixth of the time of Jump.
func owner[K Key](p Placement, key K) *Node {
	hash := Hash(key)
	switch p := p.(type) {
	case *Jump:
		return &p.nodes[p.Owner(hash)]
	case *Rendezvous:
		return &p.nodes[p.Owner(hash)]
	case *Ring:
		return &p.nodes[p.Owner(hash)]
	case *Maglev:
		return &p.nodes[p.Owner(hash)]
	case *Table:
		return &p.nodes[p.Owner(hash)]
	}
	return &p.Nodes()[p.Owner(hash)]
}

// Owners are the first k owners of the key in order of preference, or all nodes if there are fewer. A key with three replicas has
// them on Owners(p, key, 3).
func Owners[K Key](p Placement, key K, k int) []Node {
	all := p.Nodes()
	var room [8]int
	indexes := p.Owners(room[:0], Hash(key), k)
	nodes := make([]Node, len(indexes))
	for i, index := range indexes {
		nodes[i] = all[index]
	}
	return nodes
}

// cluster is what all placements know of their nodes.
type cluster struct {
	nodes   []Node
	weights []uint64 // in units of MinWeight
	zones   []int    // of the nodes; equal numbers are equal zones
	ids     []uint64 // xxh64 of the names
	inZone  []int    // nodes by zone
	sign    uint64
}

// newCluster checks the nodes and copies them, with their default weights. They are sorted by name, so that their order does not
// matter, unless ordered is set.
func newCluster(nodes []Node, ordered bool) (cluster, error) {
	c := cluster{nodes: slices.Clone(nodes)}
	if len(nodes) == 0 {
		return c, ErrNoNodes
	}
	if len(nodes) > MaxNodes {
		return c, fmt.Errorf("%w: %d nodes are more than MaxNodes, %d", ErrSize, len(nodes), MaxNodes)
	}
	if !ordered {
		slices.SortStableFunc(c.nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	}
	names := make(map[string]struct{}, len(nodes))
	zones := make(map[string]int)
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.Name == "" {
			return c, fmt.Errorf("%w: it is empty", ErrName)
		}
		if _, ok := names[n.Name]; ok {
			return c, fmt.Errorf("%w: two nodes are named %q", ErrName, n.Name)
		}
		names[n.Name] = struct{}{}
		if n.Weight == 0 {
			n.Weight = 1
		}
		units, err := weightUnits(*n)
		if err != nil {
			return c, err
		}
		zone, ok := zones[n.Zone]
		if !ok {
			zone = len(zones)
			zones[n.Zone] = zone
			c.inZone = append(c.inZone, 0)
		}
		c.inZone[zone]++
		c.weights = append(c.weights, units)
		c.zones = append(c.zones, zone)
		c.ids = append(c.ids, xxhash.Sum64String(n.Name))
	}
	return c, nil
}

// weightUnits is the weight in whole units of MinWeight: placements calculate in integers, so that they are the same on each machine.
func weightUnits(n Node) (uint64, error) {
	if !(n.Weight >= MinWeight && n.Weight <= MaxWeight) { // so that a NaN is an error
		return 0, fmt.Errorf("%w: node %q has %v, which is not from %v to %v", ErrWeight, n.Name, n.Weight, MinWeight, MaxWeight)
	}
	return uint64(math.RoundToEven(n.Weight / MinWeight)), nil
}

// Nodes are those that the placement was made of, by the indexes that Owner and Owners give, with default weights filled in. They are sorted by name, but for Jump.
// The caller must not change them.
func (c *cluster) Nodes() []Node { return c.nodes }

// Fingerprint is equal for placements that place alike: the same algorithm, version and parameters over the same nodes.
// Peers that each build their own placement compare it to find out whether their lists agree.
func (c *cluster) Fingerprint() uint64 { return c.sign }

// fingerprint calculates the fingerprint of a placement.
func (c *cluster) fingerprint(algorithm string, params ...uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(Version)
	writeString(&d, algorithm)
	for _, p := range params {
		writeUint64(&d, p)
	}
	for i, n := range c.nodes {
		writeString(&d, n.Name)
		writeUint64(&d, c.weights[i])
		writeString(&d, n.Zone)
	}
	return d.Sum64()
}
