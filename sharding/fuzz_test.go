package sharding_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// FuzzOperations changes a cluster and has requests come and go, and compares with a model that counts in a map and looks at all nodes.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 0, 3, 3, 9, 3, 9, 3, 9, 4, 0, 1, 2, 3, 9, 2, 1})
	f.Add([]byte{0, 200, 3, 1, 3, 1, 3, 1, 3, 1, 0, 100, 3, 1, 3, 1, 4, 1, 1, 0, 3, 1, 3, 2, 2, 0, 3, 2})
	f.Fuzz(func(t *testing.T, ops []byte) {
		nodes := []sharding.Node{{Name: "first", Weight: 1}}
		build := func(nodes []sharding.Node) (*sharding.Ring, error) {
			return sharding.NewRing(nodes, sharding.RingConfig{VirtualNodes: 8})
		}
		ring, err := build(nodes)
		require.NoError(t, err)
		table, err := sharding.NewTable(nodes, sharding.TableConfig{Slots: 64})
		require.NoError(t, err)
		const factor = 1.25
		bounded := newBounded(t, ring, factor)
		inFlight := map[string]int{}
		var leases []sharding.Lease

		for len(ops) >= 2 {
			op, arg := ops[0], int(ops[1])
			ops = ops[2:]
			changed := slices.Clone(nodes)
			switch op % 5 {
			case 0: // a node comes
				changed = append(changed, sharding.Node{Name: itoa(arg % 16), Weight: float64(1+arg%3) / 2, Zone: itoa(arg % 2)})
			case 1: // a node goes
				changed, err = sharding.Scale(changed, nodes[arg%len(nodes)].Name, 0)
				require.NoError(t, err)
			case 2: // a weight changes
				changed, err = sharding.Scale(changed, nodes[arg%len(nodes)].Name, []float64{0.5, 2}[arg%2])
				require.NoError(t, err)
			case 3: // a request comes
				hash := uint64(arg) * 0x0101010101010101
				lease := bounded.Acquire(hash)
				inFlight[lease.Node.Name]++
				leases = append(leases, lease)
				total, weight, name := 0, 0.0, ""
				for _, n := range nodes {
					total += inFlight[n.Name]
					weight += n.Weight
				}
				for _, i := range ring.Owners(nil, hash, len(nodes)) {
					n := ring.Nodes()[i]
					before := inFlight[n.Name]
					if n.Name == lease.Node.Name {
						before--
					}
					if float64(before+1) <= math.Ceil(factor*float64(total)*n.Weight/weight) {
						name = n.Name
						break
					}
				}
				require.Equal(t, name, lease.Node.Name)
				continue
			case 4: // a request ends
				if len(leases) > 0 {
					i := arg % len(leases)
					leases[i].Release()
					inFlight[leases[i].Node.Name]--
					leases = slices.Delete(leases, i, i+1)
				}
				continue
			}
			next, err := build(changed)
			if err != nil {
				continue // the last node, a name twice, a weight that rounds to nothing
			}
			nextTable, err := table.Rebalance(changed)
			if err != nil {
				require.ErrorIs(t, err, sharding.ErrWeight)
				continue
			}
			plan, err := sharding.Diff(table, nextTable)
			require.NoError(t, err)
			require.InDelta(t, plan.Minimum, plan.Moved, 1e-9)
			for hash := uint64(1); hash != 0; hash <<= 1 {
				require.Equal(t, naiveRingOwner(changed, 8, hash), ownerName(next, hash))
			}
			require.NoError(t, bounded.SetPlacement(next))
			nodes, ring, table = changed, next, nextTable
			total := 0
			for _, n := range bounded.Stats().Nodes {
				require.Equal(t, inFlight[n.Node.Name], n.InFlight)
				total += n.InFlight
			}
			require.Equal(t, total, bounded.Stats().InFlight)
		}
	})
}

// FuzzMap compares Map with a map.
func FuzzMap(f *testing.F) {
	f.Add([]byte{0, 1, 2, 1, 3, 1, 4, 1, 5, 1, 0, 2, 6, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m, model := newMap[byte, int](t, 4), map[byte]int{}
		for i := 0; i+1 < len(ops); i += 2 {
			key := ops[i+1]
			want, had := model[key]
			switch ops[i] % 7 {
			case 0:
				m.Store(key, i)
				model[key] = i
			case 1:
				got, ok := m.Load(key)
				require.Equal(t, want, got)
				require.Equal(t, had, ok)
			case 2:
				got, loaded := m.LoadOrStore(key, i)
				if !had {
					want = i
					model[key] = i
				}
				require.Equal(t, want, got)
				require.Equal(t, had, loaded)
			case 3:
				got, loaded := m.LoadAndDelete(key)
				delete(model, key)
				require.Equal(t, want, got)
				require.Equal(t, had, loaded)
			case 4, 5:
				keep := ops[i]%7 == 4
				m.Compute(key, func(old int, loaded bool) (int, bool) {
					require.Equal(t, want, old)
					require.Equal(t, had, loaded)
					return old + 1, keep
				})
				if model[key] = want + 1; !keep {
					delete(model, key)
				}
			case 6:
				if key == 0 {
					m.Clear()
					clear(model)
				}
			}
			require.Equal(t, len(model), m.Len())
		}
		require.Equal(t, model, maps.Collect(m.Range))
	})
}

// FuzzTableJSON reads anything without a panic, and what it accepts it writes as it was.
func FuzzTableJSON(f *testing.F) {
	f.Add([]byte(`{"version":1,"slots":2,"nodes":[{"name":"a","weight":1,"zone":"z","ranges":[[0,1]]},{"name":"b","weight":2,"ranges":[]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var table, again sharding.Table
		if table.UnmarshalJSON(data) != nil {
			return
		}
		written, err := table.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, again.UnmarshalJSON(written))
		require.Equal(t, table.Fingerprint(), again.Fingerprint())
		table.Owners(nil, 7, 3)
	})
}
