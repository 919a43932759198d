package sharding_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
)

// makeNodes makes nodes of equal weight in three zones.
func makeNodes(n int) []sharding.Node {
	nodes := make([]sharding.Node, n)
	for i := range nodes {
		nodes[i] = sharding.Node{Name: fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256), Zone: string(rune('a' + i%3))}
	}
	return nodes
}

// allPlacements makes one placement of each kind. Jump is the last, since it has no weights.
func allPlacements(tb testing.TB, nodes []sharding.Node) []sharding.Placement {
	tb.Helper()
	var all []sharding.Placement
	for _, like := range []sharding.Placement{
		(*sharding.Ring)(nil), (*sharding.Rendezvous)(nil), (*sharding.Maglev)(nil), (*sharding.Table)(nil), (*sharding.Jump)(nil),
	} {
		all = append(all, rebuild(tb, like, nodes))
	}
	return all
}

// rebuild makes a placement of the same kind for other nodes.
func rebuild(tb testing.TB, like sharding.Placement, nodes []sharding.Node) sharding.Placement {
	tb.Helper()
	p, err := rebuilt(like, nodes)
	require.NoError(tb, err)
	return p
}

func rebuilt(like sharding.Placement, nodes []sharding.Node) (sharding.Placement, error) {
	switch like := like.(type) {
	case *sharding.Ring:
		return sharding.NewRing(nodes, sharding.RingConfig{})
	case *sharding.Rendezvous:
		cfg := sharding.RendezvousConfig{}
		if raceEnabled {
			cfg.Slots = 32_771 // building takes long
		}
		return sharding.NewRendezvous(nodes, cfg)
	case *sharding.Maglev:
		return sharding.NewMaglev(nodes, sharding.MaglevConfig{})
	case *sharding.Jump:
		return sharding.NewJump(nodes)
	case *sharding.Table:
		if like != nil {
			return like.Rebalance(nodes)
		}
		return sharding.NewTable(nodes, sharding.TableConfig{})
	}
	panic(like)
}

func placementName(p sharding.Placement) string {
	return strings.TrimPrefix(reflect.TypeOf(p).String(), "*sharding.")
}
