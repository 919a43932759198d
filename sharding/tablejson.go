package sharding

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// savedTable is the JSON form of a table.
type savedTable struct {
	Version int         `json:"version"`
	Slots   int         `json:"slots"`
	Nodes   []savedNode `json:"nodes"`
}

// savedNode is a node in it with its slots, as ranges of first and last.
type savedNode struct {
	Name   string   `json:"name"`
	Weight float64  `json:"weight"`
	Zone   string   `json:"zone,omitempty"`
	Ranges [][2]int `json:"ranges"`
}

// MarshalJSON is the form in which a table is saved and sent: its nodes, each with its slots as ranges of first and last.
// Names and zones must be valid UTF-8, for JSON cannot express others.
func (t Table) MarshalJSON() ([]byte, error) {
	saved := savedTable{Version: Version, Slots: len(t.owners)}
	for _, n := range t.nodes {
		if !utf8.ValidString(n.Name) || !utf8.ValidString(n.Zone) {
			return nil, fmt.Errorf("%w: node %q of zone %q is not valid UTF-8", ErrName, n.Name, n.Zone)
		}
		saved.Nodes = append(saved.Nodes, savedNode{Name: n.Name, Weight: n.Weight, Zone: n.Zone, Ranges: [][2]int{}})
	}
	for first := 0; first < len(t.owners); {
		last := first
		for last+1 < len(t.owners) && t.owners[last+1] == t.owners[first] {
			last++
		}
		n := &saved.Nodes[t.owners[first]]
		n.Ranges = append(n.Ranges, [2]int{first, last})
		first = last + 1
	}
	return json.Marshal(saved)
}

// UnmarshalJSON reads what MarshalJSON wrote. It is an error if a slot has no owner or two, or if the version is another than Version. Use it on a new
// Table only: a table that others see does not change.
func (t *Table) UnmarshalJSON(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: the table is not valid UTF-8", ErrName)
	}
	var saved savedTable
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("sharding: reading a table: %w", err)
	}
	if saved.Version != Version {
		return fmt.Errorf("sharding: the table has version %d, this is version %d", saved.Version, Version)
	}
	if saved.Slots < 1 || saved.Slots > MaxSlots {
		return fmt.Errorf("%w: the table has %d slots, it must have from 1 to %d", ErrSize, saved.Slots, MaxSlots)
	}
	nodes := make([]Node, len(saved.Nodes))
	for i, n := range saved.Nodes {
		nodes[i] = Node{Name: n.Name, Weight: n.Weight, Zone: n.Zone}
	}
	c, err := newCluster(nodes, false)
	if err != nil {
		return err
	}
	owners, taken := make([]uint16, saved.Slots), make([]bool, saved.Slots)
	left := saved.Slots
	for _, n := range saved.Nodes {
		node := c.indexOf(n.Name)
		for _, r := range n.Ranges {
			if r[0] < 0 || r[1] < r[0] || r[1] >= saved.Slots {
				return fmt.Errorf("%w: slots %d to %d of a table of %d", ErrSize, r[0], r[1], saved.Slots)
			}
			for slot := r[0]; slot <= r[1]; slot++ {
				if taken[slot] {
					return fmt.Errorf("sharding: slot %d of the table has two owners", slot)
				}
				taken[slot] = true
				owners[slot] = uint16(node)
				left--
			}
		}
	}
	if left > 0 {
		return fmt.Errorf("sharding: %d slots of the table have no owner", left)
	}
	*t = *newTable(c, owners)
	return nil
}
