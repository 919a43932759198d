package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// shard is a node: features by user, in memory.
type shard struct {
	features *sharding.Map[uint64, float64]
	down     atomic.Bool
	asked    atomic.Int64 // keys
}

var errDown = errors.New("connection refused")

// cluster are the shards and what reads them.
type cluster struct {
	shards    map[string]*shard // all that there will ever be
	placement sharding.Placement
	migration atomic.Pointer[sharding.Migration] // nil if nothing moves
	reader    *scatter.Scatter[uint64, float64]
	count     counters
}

// counters are of the current phase.
type counters struct {
	requests, partial, keys, answered, fallbacks, loaded atomic.Int64
}

// feature is what the source of truth says, which the shards hold a copy of.
func feature(user uint64) float64 { return float64(user%1000) / 1000 }

// newCluster has shards for all nodes, of which the first so many are members, and all users' features where they belong.
func newCluster(nodes []sharding.Node, members, users int) (*cluster, error) {
	c := &cluster{shards: make(map[string]*shard)}
	for _, n := range nodes {
		features, err := sharding.NewMap[uint64, float64](sharding.MapConfig{})
		if err != nil {
			return nil, err
		}
		c.shards[n.Name] = &shard{features: features}
	}
	var err error
	if c.placement, err = sharding.NewRendezvous(nodes[:members], sharding.RendezvousConfig{}); err != nil {
		return nil, err
	}
	if c.reader, err = scatter.New(c.placement, c.fetch, scatter.Config{}); err != nil {
		return nil, err
	}
	for user := range uint64(users) {
		c.shards[sharding.Owner(c.placement, user).Name].features.Store(user, feature(user))
	}
	return c, nil
}

// fetch asks one shard, as if over a network. While keys move it asks their old owner too; what nobody has it loads from the source.
func (c *cluster) fetch(ctx context.Context, node sharding.Node, users []uint64) ([]float64, error) {
	s := c.shards[node.Name]
	if s.down.Load() {
		return nil, errDown
	}
	s.asked.Add(int64(len(users)))
	values := make([]float64, len(users))
	for i, user := range users {
		v, ok, err := c.read(ctx, s, user)
		if err != nil {
			return nil, err
		}
		if !ok {
			c.count.loaded.Add(1)
			v = feature(user)
			s.features.Store(user, v)
		}
		values[i] = v
	}
	return values, nil
}

func (c *cluster) read(ctx context.Context, s *shard, user uint64) (v float64, ok bool, err error) {
	m := c.migration.Load()
	if m == nil {
		v, ok = s.features.Load(user)
		return v, ok, nil
	}
	calls := 0
	ok, err = m.Read(ctx, sharding.Hash(user), func(_ context.Context, n sharding.Node) (found bool, err error) {
		if calls++; calls == 2 {
			c.count.fallbacks.Add(1)
		}
		v, found = c.shards[n.Name].features.Load(user)
		return found, nil
	})
	return v, ok, err
}

// change is what a change of nodes has moved.
type change struct {
	name           string
	keys, minimum  int
	share, atLeast float64
}

// grow moves to the placement of more nodes while the shards are read. Each move between two nodes is finished as soon as its keys are copied.
func (c *cluster) grow(nodes []sharding.Node, users int) (change, error) {
	next, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
	if err != nil {
		return change{}, err
	}
	m, err := sharding.NewMigration(c.placement, next)
	if err != nil {
		return change{}, err
	}
	c.migration.Store(m)
	if err := c.reader.SetPlacement(next); err != nil {
		return change{}, err
	}
	done := c.changed("a node comes", next, m.Plan(), users)
	for _, move := range m.Plan().Moves {
		from, to := c.shards[move.From.Name].features, c.shards[move.To.Name].features
		for user, v := range from.Range {
			if a, b, moves := m.Route(sharding.Hash(user)); moves && a.Name == move.From.Name && b.Name == move.To.Name {
				to.LoadOrStore(user, v) // what is there already may be newer
			}
		}
		if err := m.Finish(move.From.Name, move.To.Name); err != nil {
			return change{}, err
		}
	}
	c.placement = next
	return done, nil
}

// settle ends the migration and deletes what has moved away. Nothing must be reading.
func (c *cluster) settle() {
	c.migration.Load().FinishAll()
	c.migration.Store(nil)
	for name, s := range c.shards {
		for user := range s.features.Range {
			if sharding.Owner(c.placement, user).Name != name {
				s.features.Delete(user)
			}
		}
	}
}

// replace goes on without a node that is lost: the others load its keys when they are asked for.
func (c *cluster) replace(lost string, users int) (change, error) {
	nodes := slices.DeleteFunc(slices.Clone(c.placement.Nodes()), func(n sharding.Node) bool { return n.Name == lost })
	next, err := sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
	if err != nil {
		return change{}, err
	}
	plan, err := sharding.Diff(c.placement, next)
	if err != nil {
		return change{}, err
	}
	done := c.changed("a node is lost", next, plan, users)
	c.placement = next
	return done, c.reader.SetPlacement(next)
}

// changed counts the keys that move, and those that must: the ones that belong to nodes with more keys than before.
func (c *cluster) changed(name string, next sharding.Placement, plan *sharding.Plan, users int) change {
	done := change{name: name, share: plan.Moved, atLeast: plan.Minimum}
	gains := map[string]int{}
	for user := range uint64(users) {
		from, to, moves := plan.Move(sharding.Hash(user))
		gains[from.Name]--
		gains[to.Name]++
		if moves {
			done.keys++
		}
	}
	for _, n := range next.Nodes() {
		done.minimum += max(0, gains[n.Name])
	}
	return done
}
