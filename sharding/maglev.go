package sharding

// DefaultMaglevSlots is the default of MaglevConfig.Slots, that of the paper and of Envoy.
const DefaultMaglevSlots = 65_537

// MaglevConfig configures a [Maglev]. The zero value is usable.
type MaglevConfig struct {
	// Slots is the size of the lookup table. It must be a prime number of at most MaxSlots, and should be a hundred times the
	// number of nodes or more. Each takes 2 bytes. Default: DefaultMaglevSlots.
	Slots int
}

// Maglev is Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): the nodes take turns to choose slots of a lookup table, each in an
// order of its own. Shares are as even as the number of slots allows, to which the price is that a change of nodes also moves some
// keys between nodes that stay; [Diff] says how many.
//
// The table is that of Envoy's maglev, weights included: the heaviest node chooses in each round, one of a third of its weight
// in every third round.
type Maglev struct {
	cluster
	owners []uint16 // of the slots
}

// NewMaglev makes a placement. The order of nodes does not matter. The errors are ErrNoNodes, ErrName, ErrWeight and ErrSize.
func NewMaglev(nodes []Node, cfg MaglevConfig) (*Maglev, error) {
	c, err := newCluster(nodes, false)
	if err != nil {
		return nil, err
	}
	slots, err := checkSlots("MaglevConfig.Slots", cfg.Slots, DefaultMaglevSlots, len(nodes))
	if err != nil {
		return nil, err
	}
	if err := checkPrime("MaglevConfig.Slots", slots); err != nil {
		return nil, err
	}
	m := &Maglev{cluster: c, owners: chooseSlots(c, uint64(slots))}
	m.sign = c.fingerprint("maglev", uint64(slots))
	return m, nil
}

// turn says in which round a node chooses next.
type turn struct {
	round uint64
	node  int
}

func (t turn) before(u turn) bool {
	return t.round < u.round || t.round == u.round && t.node < u.node
}

// chooseSlots lets the nodes choose until no slot is left. There are at least as many slots as nodes.
func chooseSlots(c cluster, slots uint64) []uint16 {
	orders := make([]permutation, len(c.nodes))
	chosen := make([]uint64, len(c.nodes))
	turns := make([]turn, len(c.nodes)) // a heap: nodes whose turn is far off cost nothing
	heaviest := uint64(0)
	for i, n := range c.nodes {
		orders[i] = newPermutation(n.Name, slots)
		turns[i] = turn{1, i}
		heaviest = max(heaviest, c.weights[i])
	}
	owners := make([]uint16, slots)
	taken := make([]bool, slots)
	for range slots {
		node := turns[0].node
		order := &orders[node]
		for taken[order.at] {
			order.advance(slots)
		}
		taken[order.at] = true
		owners[order.at] = uint16(node)
		order.advance(slots)
		// Its choice number i, from 0, is due in the first round that is not before i·heaviest/weight.
		chosen[node]++
		due := (chosen[node]*heaviest + c.weights[node] - 1) / c.weights[node]
		turns[0].round = max(turns[0].round+1, due)
		siftDown(turns)
	}
	return owners
}

// siftDown restores the heap after its root has got larger.
func siftDown(h []turn) {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].before(h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// Owner is the index of the node that owns the hash.
func (m *Maglev) Owner(hash uint64) int { return int(m.owners[hash%uint64(len(m.owners))]) }

// Owners appends the first k owners, see [Placement].
func (m *Maglev) Owners(dst []int, hash uint64, k int) []int { return m.spread(dst, hash, k, m) }

func (m *Maglev) draw(hash uint64, i int) int { return m.Owner(rehash(hash, i)) }
