package sharding

import (
	"fmt"
	"math/bits"
)

// DefaultRendezvousSlots is the default of RendezvousConfig.Slots: the prime number after 2^18.
const DefaultRendezvousSlots = 262_147

// RendezvousConfig configures a [Rendezvous]. The zero value is usable.
type RendezvousConfig struct {
	// Slots is the number of parts into which the hashes are divided. It is from 2, or the number of nodes, to MaxSlots. More slots make shares
	// more even: a node that gets s slots on average differs from that by about √(s/2). Each takes 2 bytes. Keys move in whole slots, so
	// it must be the same for all placements of a cluster over its life. Default: DefaultRendezvousSlots.
	Slots int
}

// Rendezvous is weighted rendezvous hashing, also called highest random weight (Thaler and Ravishankar, IEEE/ACM ToN 1998), over slots: a hash
// belongs to one of Slots slots, and each slot to the node that scores best for it. All scores are calculated beforehand,
// so that finding an owner takes the same time for any number of nodes.
//
// The score is the time at which the node claims the slot. Each node claims all slots, in a pseudo-random order of its own,
// at a rate that is its weight; the first claim wins. Since claims do not depend on other nodes, a node that
// comes or goes, or whose weight changes, moves only slots to it or from it, and no placement can move fewer. PLACEMENT.md has the formula.
type Rendezvous struct {
	cluster
	owners []uint16 // of the slots
}

// NewRendezvous makes a placement. The order of nodes does not matter. It takes about a tenth of a second with the default number of slots,
// for any number of nodes. The errors are ErrNoNodes, ErrName, ErrWeight (also if the node's share is so small that no slot is its own) and ErrSize.
func NewRendezvous(nodes []Node, cfg RendezvousConfig) (*Rendezvous, error) {
	c, err := newCluster(nodes, false)
	if err != nil {
		return nil, err
	}
	slots, err := checkSlots("RendezvousConfig.Slots", cfg.Slots, DefaultRendezvousSlots, len(nodes))
	if err != nil {
		return nil, err
	}
	r := &Rendezvous{cluster: c, owners: claimSlots(c, uint64(slots))}
	r.sign = c.fingerprint("rendezvous", uint64(slots))
	if err := c.checkCounts(r.owners); err != nil {
		return nil, err
	}
	return r, nil
}

// checkCounts is an error if a node has no slot: it would be left out silently.
func (c *cluster) checkCounts(owners []uint16) error {
	for i, count := range c.counts(owners) {
		if count == 0 {
			return fmt.Errorf("%w: node %q has %v, which gets none of %d slots", ErrWeight, c.nodes[i].Name, c.nodes[i].Weight, len(owners))
		}
	}
	return nil
}

// counts are the numbers of slots by node.
func (c *cluster) counts(owners []uint16) []int {
	counts := make([]int, len(c.nodes))
	for _, owner := range owners {
		counts[owner]++
	}
	return counts
}

// claimSlots lets each slot go to the node that claims it first.
//
// The clock stops when all slots are claimed, so most claims need not be looked at: for s slots it is about s·log(s) of them,
// however many nodes there are. Of a claim that comes later it is known that it comes too late.
func claimSlots(c cluster, slots uint64) []uint16 {
	type claim struct {
		time uint32 // before division by the weight; 0 if there is none
		node uint16
	}
	firsts := make([]claim, slots)
	orders := make([]shuffle, len(c.nodes))
	claimed := make([]uint64, len(c.nodes)) // how many claims of the node were looked at
	total := uint64(0)
	for i := range c.nodes {
		orders[i] = newShuffle(c.ids[i], slots)
		total += c.weights[i]
	}
	var times []uint32
	left := slots
	// At time clock/total the claims leave about 2^-clock of the slots.
	for clock := log2(slots); left > 0; clock += clock / 8 {
		for i := range c.nodes {
			weight := c.weights[i]
			hi, lo := bits.Mul64(clock, weight)
			until, _ := bits.Div64(hi, lo, total)
			for claimed[i] < slots {
				if claimed[i] == uint64(len(times)) {
					times = append(times, claimTime(claimed[i], slots))
				}
				time := times[claimed[i]]
				if uint64(time) > until {
					break
				}
				first := &firsts[orders[i].at(claimed[i])]
				claimed[i]++
				switch {
				case first.time == 0:
					left--
					*first = claim{time, uint16(i)}
				// Times have 29 bits and weights 33. Of equal times the first in the order of names wins.
				case uint64(time)*c.weights[first.node] < uint64(first.time)*weight:
					*first = claim{time, uint16(i)}
				}
			}
		}
	}
	owners := make([]uint16, slots)
	for i, first := range firsts {
		owners[i] = first.node
	}
	return owners
}

// claimTime is when a node of weight 1 makes its claim i, in units of 2^-logBits: -log2(1 - (i+1/2)/slots). That spreads the claims like
// exponentially distributed times, for which the first of several comes from each node with a probability in proportion to its rate.
func claimTime(i, slots uint64) uint32 {
	return uint32(log2(2*slots) - log2(2*(slots-i)-1))
}

// Owner is the index of the node that owns the hash.
func (r *Rendezvous) Owner(hash uint64) int {
	return int(r.owners[slotOf(hash, uint64(len(r.owners)))])
}

// Owners appends the first k owners, see [Placement].
func (r *Rendezvous) Owners(dst []int, hash uint64, k int) []int {
	return r.spread(dst, hash, k, r)
}

func (r *Rendezvous) draw(hash uint64, i int) int { return r.Owner(rehash(hash, i)) }
