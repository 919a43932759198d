package sharding_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

func newTable(t *testing.T, nodes []sharding.Node, slots int) *sharding.Table {
	t.Helper()
	table, err := sharding.NewTable(nodes, sharding.TableConfig{Slots: slots})
	require.NoError(t, err)
	return table
}

func TestTableAssign(t *testing.T) {
	old := newTable(t, makeNodes(2), 10)
	next, err := old.Assign(2, 3, old.Nodes()[1].Name)
	require.NoError(t, err)
	for slot := range 10 {
		before := 0
		if slot >= 5 {
			before = 1
		}
		assert.Equal(t, before, old.SlotOwner(slot), "a table has changed")
		if slot == 2 || slot == 3 {
			before = 1
		}
		assert.Equal(t, before, next.SlotOwner(slot))
	}
	assert.Equal(t, 10, next.Slots())
	assert.Equal(t, -1, next.SlotOwner(10))
	assert.Equal(t, -1, next.SlotOwner(-1))
	for _, bad := range [][2]int{{-1, 3}, {3, 2}, {3, 10}} {
		_, err = old.Assign(bad[0], bad[1], old.Nodes()[0].Name)
		require.ErrorIs(t, err, sharding.ErrSize)
	}
	_, err = old.Assign(0, 0, "nobody")
	require.ErrorIs(t, err, sharding.ErrName)

	// A node may own nothing; it is still among the owners.
	all, err := old.Assign(0, 9, old.Nodes()[0].Name)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1}, all.Owners(nil, 7, 2))
}

// Rebalance moves what nodes lose that are gone, and what others have too much; no table could be made with less.
func TestTableRebalance(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	table := newTable(t, makeNodes(3), 1000)
	for range 100 {
		next, err := table.Rebalance(randomNodes(random))
		require.NoError(t, err)
		plan, err := sharding.Diff(table, next)
		require.NoError(t, err)
		assert.InDelta(t, plan.Minimum, plan.Moved, 1e-9)
		total := 0.0
		for _, n := range next.Nodes() {
			total += n.Weight
		}
		for i, share := range sharding.Shares(next) {
			assert.InDelta(t, next.Nodes()[i].Weight/total, share, 0.001)
		}
		table = next
	}
	// Ten slots for three nodes: the one that has the fourth keeps it.
	uneven, err := newTable(t, makeNodes(3), 10).Assign(0, 0, makeNodes(3)[2].Name)
	require.NoError(t, err)
	kept, err := uneven.Rebalance(makeNodes(3))
	require.NoError(t, err)
	assert.Equal(t, uneven.Fingerprint(), kept.Fingerprint())

	same, err := table.Rebalance(table.Nodes())
	require.NoError(t, err)
	assert.Equal(t, table.Fingerprint(), same.Fingerprint())
	_, err = newTable(t, makeNodes(3), 3).Rebalance(makeNodes(4))
	require.ErrorIs(t, err, sharding.ErrSize)
}

func TestTableJSON(t *testing.T) {
	nodes := makeNodes(3)
	nodes[1].Weight = 2.5
	table := newTable(t, nodes, 100)
	table, err := table.Assign(50, 50, nodes[0].Name)
	require.NoError(t, err)
	data, err := json.Marshal(table)
	require.NoError(t, err)
	var read sharding.Table
	require.NoError(t, json.Unmarshal(data, &read))
	assert.Equal(t, table, &read)

	data, err = json.Marshal(newTable(t, []sharding.Node{{Name: "a", Zone: "z"}, {Name: "b"}}, 4))
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":1,"slots":4,"nodes":[{"name":"a","weight":1,"zone":"z","ranges":[[0,1]]},{"name":"b","weight":1,"ranges":[[2,3]]}]}`, string(data))
}

// A name that JSON would change is an error, and a table is saved alike wherever it is.
func TestTableJSONOfValuesAndNames(t *testing.T) {
	table := newTable(t, makeNodes(3), 10)
	want, err := json.Marshal(table)
	require.NoError(t, err)
	got, err := json.Marshal(struct{ T sharding.Table }{*table})
	require.NoError(t, err)
	assert.JSONEq(t, `{"T":`+string(want)+`}`, string(got))
	for _, n := range []sharding.Node{{Name: "a\xff"}, {Name: "a", Zone: "\xff"}} {
		_, err = json.Marshal(newTable(t, []sharding.Node{n}, 10))
		require.ErrorIs(t, err, sharding.ErrName)
	}
	var read sharding.Table
	err = read.UnmarshalJSON([]byte("{\"version\":1,\"slots\":1,\"nodes\":[{\"name\":\"\xff\",\"ranges\":[[0,0]]}]}"))
	require.ErrorIs(t, err, sharding.ErrName)
}

func TestBadTableJSON(t *testing.T) {
	for data, says := range map[string]string{
		`{`:                        "unexpected end",
		`{"version":2,"slots":1}`:  "version 2, this is version 1",
		`{"version":1,"slots":0}`:  "0 slots",
		`{"version":1,"slots":-1}`: "-1 slots",
		`{"version":1,"slots":99999999,"nodes":[{"name":"a"}]}`:                                         "99999999 slots",
		`{"version":1,"slots":1}`:                                                                       "no nodes",
		`{"version":1,"slots":2,"nodes":[{"name":"a","ranges":[[0,0]]}]}`:                               "1 slots of the table have no owner",
		`{"version":1,"slots":2,"nodes":[{"name":"a","ranges":[[0,2]]}]}`:                               "slots 0 to 2",
		`{"version":1,"slots":2,"nodes":[{"name":"a","ranges":[[1,0]]}]}`:                               "slots 1 to 0",
		`{"version":1,"slots":2,"nodes":[{"name":"a","ranges":[[-1,0]]}]}`:                              "slots -1 to 0",
		`{"version":1,"slots":2,"nodes":[{"name":"a","ranges":[[0,1]]},{"name":"b","ranges":[[1,1]]}]}`: "slot 1 of the table has two owners",
		`{"version":1,"slots":1,"nodes":[{"name":"a","ranges":[[0,0]]},{"name":"a"}]}`:                  `two nodes are named "a"`,
		`{"version":1,"slots":1,"nodes":[{"name":"a","weight":-1,"ranges":[[0,0]]}]}`:                   "bad weight",
		`{"version":1,"slots":1,"nodes":[{"name":"a","weight":"x","ranges":[[0,0]]}]}`:                  "reading a table",
	} {
		var table sharding.Table
		assert.ErrorContains(t, table.UnmarshalJSON([]byte(data)), says, data)
		assert.Zero(t, table.Slots())
	}
}
