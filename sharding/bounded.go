package sharding

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
)

// DefaultFactor is the default of BoundedConfig.Factor.
const DefaultFactor = 1.25

// maxFactor is the largest BoundedConfig.Factor.
const maxFactor = 1024

// BoundedConfig configures a [Bounded]. The zero value is usable.
type BoundedConfig struct {
	// Factor is how much more than the average a node may have in flight: 1.25 is 25 percent more. It must be from 1 to 1024, and is rounded
	// to a multiple of 1/1024. A small one is fairer, a large one leaves more requests with the owner of their key. Default: DefaultFactor.
	Factor float64
}

// Bounded sends a request to the owner of its key, unless that has too much in flight already: then to the next in the order of preference that has
// not. It is consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018), applied to live load. When a
// request is let in, the node it is sent to has then no more than ceil(Factor·average) in flight, itself included, where the average is that of the
// moment and in proportion to the weights. The bound falls as other requests end, so a node can be over it for a while; a node over the bound gets
// nothing until it is below.
//
// It is for work that any node can do and the owner does best: one with the key in its cache, or the adapter loaded. It is safe
// for concurrent use, has no goroutine, and Acquire does not allocate as long as the owner has room.
type Bounded struct {
	factor uint64 // in units of 1/1024

	mu        sync.Mutex
	state     *boundedState // replaced, not changed
	loads     map[string]*load
	total     uint64 // in flight on the members of the placement
	acquired  uint64
	displaced uint64
}

// boundedState is what belongs to one placement.
type boundedState struct {
	placement Placement
	nodes     []Node
	loads     []*load // by index
	weights   []uint64
	weight    uint64 // their sum
}

// load is what a node has in flight.
type load struct {
	n      uint64
	member bool // of the placement
}

// NewBounded makes a Bounded over a placement. The errors are ErrNoNodes, ErrWeight, and one for a Factor out of range.
func NewBounded(p Placement, cfg BoundedConfig) (*Bounded, error) {
	if cfg.Factor == 0 {
		cfg.Factor = DefaultFactor
	}
	if !(cfg.Factor >= 1 && cfg.Factor <= maxFactor) { // so that a NaN is an error
		return nil, fmt.Errorf("sharding: BoundedConfig.Factor is %v, it must be from 1 to %d", cfg.Factor, maxFactor)
	}
	b := &Bounded{factor: uint64(math.Round(cfg.Factor * 1024)), loads: make(map[string]*load)}
	if err := b.SetPlacement(p); err != nil {
		return nil, err
	}
	return b, nil
}

// SetPlacement replaces the placement. Nodes that are in both keep their count of work in flight; work on nodes that are
// gone does not count any more. If it returns an error, which is ErrNoNodes or ErrWeight, nothing has changed.
func (b *Bounded) SetPlacement(p Placement) error {
	if err := checkPlacement(p); err != nil {
		return err
	}
	s := &boundedState{placement: p, nodes: p.Nodes()}
	for _, n := range s.nodes {
		n.Weight = weightOf(n)
		units, err := weightUnits(n)
		if err != nil {
			return err
		}
		s.weights = append(s.weights, units)
		s.weight += units
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, l := range b.loads {
		if l.member = false; l.n == 0 {
			delete(b.loads, name)
		}
	}
	b.total = 0
	for _, n := range s.nodes {
		l := b.loads[n.Name]
		if l == nil {
			l = new(load)
			b.loads[n.Name] = l
		}
		l.member = true
		b.total += l.n
		s.loads = append(s.loads, l)
	}
	b.state = s
	return nil
}

// Lease is a request's place on a node. It is used by one goroutine at a time, and not copied.
type Lease struct {
	Node Node

	bounded *Bounded
	load    *load
}

// Release says that the request is over. Only the first call does anything, so it may be deferred and also called early.
func (l *Lease) Release() {
	b := l.bounded
	if b == nil {
		return
	}
	l.bounded = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.load.n == 0 {
		return // a copy was released too; there is nothing left to take from
	}
	l.load.n--
	if l.load.member {
		b.total--
	}
}

// Acquire finds a node for a request for the key with that hash, and counts it as in flight there until the lease is released. There is
// always one, for the node with the least load for its weight is below the bound. If Owners of a custom placement leaves nodes out, and those that it
// names have no room, it is any other node.
func (b *Bounded) Acquire(hash uint64) Lease {
	for {
		b.mu.Lock()
		s := b.state
		b.mu.Unlock()
		// The placement may be anyone's, so it is asked without the lock.
		owner := [1]int{s.placement.Owner(hash)}
		lease, ok, stale := b.try(s, owner[0], owner[:])
		for k := 8; !ok && !stale; k *= 4 {
			k = min(k, len(s.nodes))
			lease, ok, stale = b.try(s, owner[0], s.placement.Owners(make([]int, 0, k), hash, k))
			if k == len(s.nodes) && !ok && !stale {
				lease, ok, _ = b.try(s, owner[0], s.all(hash))
				break
			}
		}
		if ok {
			return lease
		}
	}
}

// all are all nodes, from some node on. They are for a placement whose Owners leaves nodes out, and for when loads have changed since it was asked.
func (s *boundedState) all(hash uint64) []int {
	nodes, first := make([]int, len(s.nodes)), slotOf(mix(hash), uint64(len(s.nodes)))
	for i := range nodes {
		nodes[i] = (int(first) + i) % len(nodes)
	}
	return nodes
}

// try takes the first of the candidates that has room. It reports whether the placement is not the current one any more.
func (b *Bounded) try(s *boundedState, owner int, candidates []int) (lease Lease, ok, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != s {
		return Lease{}, false, true
	}
	for _, node := range candidates {
		if node < 0 || node >= len(s.nodes) {
			continue // a custom placement's mistake
		}
		l := s.loads[node]
		if l.n >= b.bound(s, node, b.total+1) {
			continue
		}
		l.n++
		b.total++
		b.acquired++
		if node != owner {
			b.displaced++
		}
		return Lease{s.nodes[node], b, l}, true, false
	}
	return Lease{}, false, false
}

// bound is ceil(factor·total·weight/weights).
func (b *Bounded) bound(s *boundedState, node int, total uint64) uint64 {
	hi, lo := bits.Mul64(b.factor*total, s.weights[node])
	lo, carry := bits.Add64(lo, 1024*s.weight-1, 0)
	bound, _ := bits.Div64(hi+carry, lo, 1024*s.weight)
	return bound
}

// BoundedStats are the gauges and counters of a [Bounded].
type BoundedStats struct {
	Nodes     []NodeLoad // by index
	InFlight  int        // on these nodes
	Balance   float64    // of the loads in flight, see [Balance]
	Acquired  uint64     // requests let in so far
	Displaced uint64     // those of them that did not go to the owner of their key
}

// NodeLoad is a node's load.
type NodeLoad struct {
	Node     Node
	InFlight int
	Bound    int // ceil(Factor·average) of what is in flight now
}

// Stats are the gauges and counters at this moment.
func (b *Bounded) Stats() BoundedStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := BoundedStats{InFlight: int(b.total), Acquired: b.acquired, Displaced: b.displaced}
	loads := make([]float64, len(b.state.loads))
	for i, l := range b.state.loads {
		st.Nodes = append(st.Nodes, NodeLoad{b.state.nodes[i], int(l.n), int(b.bound(b.state, i, b.total))})
		loads[i] = float64(l.n)
	}
	st.Balance = Balance(b.state.nodes, loads)
	return st
}
