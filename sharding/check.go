package sharding

import (
	"fmt"
	"slices"
)

// Check is for whoever writes a placement, to be called in its test: it looks whether a [Placement] does what the interface says. It asks for the owners of some
// thousand hashes, so it finds what is always or often wrong. The error is ErrNoNodes, ErrName for nodes without a name or with the same one, or an
// [ErrPlacement] that says what was found.
func Check(p Placement) error {
	if err := checkPlacement(p); err != nil {
		return err
	}
	nodes := p.Nodes()
	names := make(map[string]bool, len(nodes))
	for i, n := range nodes {
		if n.Name == "" || names[n.Name] {
			return fmt.Errorf("%w: node %d is named %q, which is empty or taken", ErrName, i, n.Name)
		}
		names[n.Name] = true
	}
	const few, many = 64, 4096
	for i := range many {
		hash := sample(i)
		owner := p.Owner(hash)
		if _, err := nodeAt(nodes, owner, hash); err != nil {
			return err
		}
		if again := p.Owner(hash); again != owner {
			return fmt.Errorf("%w: the owner of hash %d is node %d, and then node %d", ErrPlacement, hash, owner, again)
		}
		if err := checkOwners(p, hash, owner, 3); err != nil {
			return err
		}
		if i < few {
			for _, k := range []int{-1, 0, 1, 2, len(nodes), len(nodes) + 1} {
				if err := checkOwners(p, hash, owner, k); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkOwners looks at the first k owners of a hash.
func checkOwners(p Placement, hash uint64, owner, k int) error {
	before := []int{-2, -3}
	all := p.Owners(slices.Clone(before), hash, k)
	wrong := func(what string) error {
		return fmt.Errorf("%w: Owners of hash %d, k %d, appended to %v, is %v: %s", ErrPlacement, hash, k, before, all, what)
	}
	if len(all) < len(before) || !slices.Equal(all[:len(before)], before) {
		return wrong("it does not begin with what was there")
	}
	owners := all[len(before):]
	if want := max(0, min(k, len(p.Nodes()))); len(owners) != want {
		return wrong(fmt.Sprintf("it should append %d", want))
	}
	if len(owners) > 0 && owners[0] != owner {
		return wrong(fmt.Sprintf("the first should be Owner, %d", owner))
	}
	seen := make(map[int]bool, len(owners))
	for _, o := range owners {
		if o < 0 || o >= len(p.Nodes()) || seen[o] {
			return wrong(fmt.Sprintf("%d is no node or occurs twice", o))
		}
		seen[o] = true
	}
	if !evenlySpread(p.Nodes(), owners) {
		return wrong("they could be spread over the zones more evenly")
	}
	return nil
}

// evenlySpread says whether no zone has two owners more than another one that has nodes left.
func evenlySpread(nodes []Node, owners []int) bool {
	have, left, most := map[string]int{}, map[string]int{}, 0
	for _, n := range nodes {
		left[n.Zone]++
	}
	for _, o := range owners {
		zone := nodes[o].Zone
		have[zone]++
		left[zone]--
		most = max(most, have[zone])
	}
	for zone, n := range left {
		if n > 0 && have[zone] < most-1 {
			return false
		}
	}
	return true
}

// nodeAt is the node that a placement says owns the hash.
func nodeAt(nodes []Node, owner int, hash uint64) (Node, error) {
	if owner < 0 || owner >= len(nodes) {
		return Node{}, fmt.Errorf("%w: the owner of hash %d is node %d of %d", ErrPlacement, hash, owner, len(nodes))
	}
	return nodes[owner], nil
}
