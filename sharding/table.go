package sharding

import (
	"cmp"
	"fmt"
	"slices"
)

// DefaultTableSlots is the default of TableConfig.Slots, that of Redis Cluster.
const DefaultTableSlots = 16_384

// TableConfig configures a [Table]. The zero value is usable.
type TableConfig struct {
	// Slots is the number of parts into which the hashes are divided, from the number of nodes to MaxSlots. It cannot change over the life
	// of a cluster. Default: DefaultTableSlots.
	Slots int
}

// Table assigns each of a fixed number of slots to a node explicitly, as Redis Cluster and most databases do. Who owns what is not
// calculated but decided, so it can follow load or disks; the table has to be saved and agreed upon, which is what its JSON form is for.
//
// A table does not change: Assign and Rebalance return another.
type Table struct {
	cluster
	owners []uint16 // of the slots
}

// NewTable divides the slots among the nodes in proportion to their weights, each node's in one range, in the order of their names. The
// errors are ErrNoNodes, ErrName, ErrWeight (also for a weight that rounds to no slot) and ErrSize.
func NewTable(nodes []Node, cfg TableConfig) (*Table, error) {
	c, err := newCluster(nodes, false)
	if err != nil {
		return nil, err
	}
	slots := cfg.Slots
	if slots == 0 {
		slots = DefaultTableSlots
	}
	if slots < len(nodes) || slots > MaxSlots {
		return nil, fmt.Errorf("%w: TableConfig.Slots is %d, it must be from %d, the number of nodes, to %d", ErrSize, cfg.Slots, len(nodes), MaxSlots)
	}
	quotas, err := c.quotas(slots, make([]int, len(nodes)))
	if err != nil {
		return nil, err
	}
	owners := make([]uint16, 0, slots)
	for i, quota := range quotas {
		for range quota {
			owners = append(owners, uint16(i))
		}
	}
	return newTable(c, owners), nil
}

func newTable(c cluster, owners []uint16) *Table {
	params := []uint64{uint64(len(owners))}
	for _, owner := range owners {
		params = append(params, uint64(owner))
	}
	c.sign = c.fingerprint("table", params...)
	return &Table{c, owners}
}

// quotas divides the slots by weight. Those that are left over by rounding go to the nodes that lost most by it and, if that is the same, that
// have most now.
func (c *cluster) quotas(slots int, counts []int) ([]int, error) {
	total := uint64(0)
	for _, weight := range c.weights {
		total += weight
	}
	quotas, order := make([]int, len(c.nodes)), make([]int, len(c.nodes))
	rests := make([]uint64, len(c.nodes))
	left := slots
	for i, weight := range c.weights {
		order[i] = i
		quotas[i] = int(uint64(slots) * weight / total)
		rests[i] = uint64(slots) * weight % total
		left -= quotas[i]
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(rests[j], rests[i]), cmp.Compare(counts[j], counts[i]))
	})
	for _, i := range order[:left] {
		quotas[i]++
	}
	for i, quota := range quotas {
		if quota == 0 {
			return nil, fmt.Errorf("%w: node %q has %v, which rounds to none of %d slots", ErrWeight, c.nodes[i].Name, c.nodes[i].Weight, slots)
		}
	}
	return quotas, nil
}

// Slots is the number of slots.
func (t *Table) Slots() int { return len(t.owners) }

// Slot is the slot of a hash: slot s of n has the hashes from s/n to (s+1)/n of all.
func (t *Table) Slot(hash uint64) int { return int(slotOf(hash, uint64(len(t.owners)))) }

// SlotOwner is the index of the node that owns the slot, or -1 if there is no such slot.
func (t *Table) SlotOwner(slot int) int {
	if slot < 0 || slot >= len(t.owners) {
		return -1
	}
	return int(t.owners[slot])
}

// Owner is the index of the node that owns the hash.
func (t *Table) Owner(hash uint64) int { return int(t.owners[slotOf(hash, uint64(len(t.owners)))]) }

// Owners appends the first k owners, see [Placement].
func (t *Table) Owners(dst []int, hash uint64, k int) []int { return t.spread(dst, hash, k, t) }

func (t *Table) draw(hash uint64, i int) int { return t.Owner(rehash(hash, i)) }

// Assign is the table with the slots from first to last, both included, given to the node of that name. The errors are ErrName and, for a
// range that is not in the table, ErrSize. A node may be left without slots.
func (t *Table) Assign(first, last int, name string) (*Table, error) {
	if first < 0 || last < first || last >= len(t.owners) {
		return nil, fmt.Errorf("%w: slots %d to %d of a table of %d", ErrSize, first, last, len(t.owners))
	}
	node := t.indexOf(name)
	if node < 0 {
		return nil, fmt.Errorf("%w: no node is named %q", ErrName, name)
	}
	owners := slices.Clone(t.owners)
	for i := first; i <= last; i++ {
		owners[i] = uint16(node)
	}
	return newTable(t.cluster, owners), nil
}

func (c *cluster) indexOf(name string) int {
	return slices.IndexFunc(c.nodes, func(n Node) bool { return n.Name == name })
}

// Rebalance is the table for other nodes or weights, with as few slots moved as possible: those of nodes that are not in the list any
// more, and those that nodes have beyond their share. The order of nodes does not matter. The errors are those of NewTable.
func (t *Table) Rebalance(nodes []Node) (*Table, error) {
	c, err := newCluster(nodes, false)
	if err != nil {
		return nil, err
	}
	if len(t.owners) < len(nodes) {
		return nil, fmt.Errorf("%w: %d slots are too few for %d nodes", ErrSize, len(t.owners), len(nodes))
	}
	stays := make([]int, len(t.nodes)) // old index to new
	names := make(map[string]int, len(nodes))
	for i, n := range c.nodes {
		names[n.Name] = i
	}
	for i, n := range t.nodes {
		stays[i] = -1
		if j, ok := names[n.Name]; ok {
			stays[i] = j
		}
	}
	counts := make([]int, len(c.nodes))
	for _, owner := range t.owners {
		if i := stays[owner]; i >= 0 {
			counts[i]++
		}
	}
	quotas, err := c.quotas(len(t.owners), counts)
	if err != nil {
		return nil, err
	}
	owners := make([]uint16, len(t.owners))
	kept, needy := make([]int, len(c.nodes)), 0
	for slot, owner := range t.owners {
		if i := stays[owner]; i >= 0 && kept[i] < quotas[i] {
			kept[i]++
			owners[slot] = uint16(i)
			continue
		}
		for counts[needy] >= quotas[needy] {
			needy++
		}
		counts[needy]++
		owners[slot] = uint16(needy)
	}
	return newTable(c, owners), nil
}
