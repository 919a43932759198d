package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/scalable-ai/patterns/examples/internal/progress"
	"github.com/scalable-ai/patterns/sharding"
)

// algorithm makes placements. before is the one that is to be changed, for those that start from it.
type algorithm struct {
	name string
	make func(nodes []sharding.Node, before sharding.Placement) (sharding.Placement, error)
}

var algorithms = []algorithm{
	{"Rendezvous", func(nodes []sharding.Node, _ sharding.Placement) (sharding.Placement, error) {
		return sharding.NewRendezvous(nodes, sharding.RendezvousConfig{})
	}},
	{"Ring", func(nodes []sharding.Node, _ sharding.Placement) (sharding.Placement, error) {
		return sharding.NewRing(nodes, sharding.RingConfig{})
	}},
	{"Maglev", func(nodes []sharding.Node, _ sharding.Placement) (sharding.Placement, error) {
		return sharding.NewMaglev(nodes, sharding.MaglevConfig{})
	}},
	{"Table", func(nodes []sharding.Node, before sharding.Placement) (sharding.Placement, error) {
		if table, ok := before.(*sharding.Table); ok {
			return table.Rebalance(nodes)
		}
		return sharding.NewTable(nodes, sharding.TableConfig{})
	}},
	{"Jump", func(nodes []sharding.Node, _ sharding.Placement) (sharding.Placement, error) {
		return sharding.NewJump(nodes)
	}},
}

// result is what was measured of an algorithm.
type result struct {
	name        string
	keys, load  float64 // the fullest node in relation to the mean
	bounded     float64 // the same of requests in flight, at the worst moment
	displaced   float64 // share of the requests that did not go to the owner of their key
	grow, leave movement
}

// movement is a change of nodes.
type movement struct {
	moved, needless float64 // shares of the keys
}

// workload are the keys and how much each is asked for.
type workload struct {
	hashes     []uint64
	cumulative []float64 // load of the keys up to each
}

func newWorkload(o options) workload {
	w := workload{hashes: make([]uint64, o.keys), cumulative: make([]float64, o.keys)}
	total := 0.0
	for i := range w.hashes {
		w.hashes[i] = sharding.Hash(i)
		total += math.Pow(float64(i+1), -o.zipf)
		w.cumulative[i] = total
	}
	return w
}

// load is the load of key i.
func (w *workload) load(i int) float64 {
	if i == 0 {
		return w.cumulative[0]
	}
	return w.cumulative[i] - w.cumulative[i-1]
}

// draw is a key, with a probability in proportion to its load.
func (w *workload) draw(random *rand.Rand) int {
	at := random.Float64() * w.cumulative[len(w.cumulative)-1]
	return min(sort.SearchFloat64s(w.cumulative, at), len(w.cumulative)-1)
}

// simulate returns the results of the algorithms that are done when ctx ends.
func simulate(ctx context.Context, o options, stderr io.Writer) ([]result, error) {
	_, _ = fmt.Fprintf(stderr, "hashing %d keys\n", o.keys)
	w := newWorkload(o)
	nodes := make([]sharding.Node, o.nodes+1)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("node-%05d", i)
	}
	bar := progress.New(stderr, "placing ", len(algorithms))
	defer bar.End()
	var results []result
	for i, a := range algorithms {
		bar.Set(i, a.name)
		r, err := measure(ctx, o, a, nodes, &w)
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	bar.Set(len(algorithms), "")
	return results, nil
}

// measure places all keys on all but the last of the nodes, then on all, then on all but the last and the one in the middle.
func measure(ctx context.Context, o options, a algorithm, nodes []sharding.Node, w *workload) (result, error) {
	r := result{name: a.name}
	base, more := nodes[:o.nodes], nodes
	gone := o.nodes / 2
	less := slices.Delete(slices.Clone(base), gone, gone+1)
	p, err := a.make(base, nil)
	if err != nil {
		return r, err
	}
	grown, err := a.make(more, p)
	if err != nil {
		return r, err
	}
	shrunk, err := a.make(less, p)
	if err != nil {
		return r, err
	}
	keys, load := make([]float64, o.nodes), make([]float64, o.nodes)
	one := 1 / float64(o.keys)
	for i, hash := range w.hashes {
		if i%(1<<16) == 0 && ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		owner := p.Owner(hash)
		keys[owner]++
		load[owner] += w.load(i)
		name := p.Nodes()[owner].Name
		if to := grown.Nodes()[grown.Owner(hash)].Name; to != name {
			r.grow.add(one, to != nodes[o.nodes].Name)
		}
		if to := shrunk.Nodes()[shrunk.Owner(hash)].Name; to != name {
			r.leave.add(one, name != base[gone].Name)
		}
	}
	r.keys, r.load = sharding.Balance(p.Nodes(), keys), sharding.Balance(p.Nodes(), load)
	return r, r.bound(ctx, o, p, w)
}

func (m *movement) add(share float64, needless bool) {
	m.moved += share
	if needless {
		m.needless += share
	}
}

// bound lets requests come and go, so many in flight at a time, with a bound on each node's load.
func (r *result) bound(ctx context.Context, o options, p sharding.Placement, w *workload) error {
	b, err := sharding.NewBounded(p, sharding.BoundedConfig{Factor: o.factor})
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	leases := make([]sharding.Lease, 0, o.inFlight)
	for i := range o.requests {
		if i%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		lease := b.Acquire(w.hashes[w.draw(random)])
		if len(leases) < o.inFlight {
			leases = append(leases, lease)
		} else {
			done := random.IntN(len(leases))
			leases[done].Release()
			leases[done] = lease
		}
		if len(leases) == o.inFlight && i%(o.inFlight/10+1) == 0 || i == o.requests-1 {
			r.bounded = max(r.bounded, b.Stats().Balance)
		}
	}
	st := b.Stats()
	r.displaced = float64(st.Displaced) / float64(st.Acquired)
	return nil
}
