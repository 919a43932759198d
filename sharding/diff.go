package sharding

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// Move is a part of a [Plan]: what one node hands over to another.
type Move struct {
	From, To Node
	Share    float64 // of all hashes, from 0 to 1
}

// Plan says what moves when one placement takes the place of another.
type Plan struct {
	// Moves are the moves between nodes, by the names of From and To. A node is the same if its name is.
	Moves []Move

	// Moved is the share of all hashes whose owner changes.
	Moved float64

	// Minimum is the least that must move so that each node gets its share after the change: the sum of what is added to the shares
	// of those whose share grows. Moved - Minimum is what the algorithm moves for nothing.
	Minimum float64

	// Exact is false if the shares were found from a sample of 2^20 hashes. They then have an error of about a thousandth, and moves
	// smaller than that may be missing. It is true for two placements of this package if both are Jump, or both Maglev with the same
	// number of slots, or neither is one of these.
	Exact bool

	before, after Placement
}

// Diff is the plan to get from one placement to another. For Jump the shares are those of the algorithm's theory. It takes time in proportion to the
// slots or points, or to the square of the number of nodes for Jump. A placement that is nil or
// has no nodes is ErrNoNodes; a custom one whose Owner is found to be no index of a node is an [ErrPlacement].
func Diff(before, after Placement) (*Plan, error) {
	if err := errors.Join(checkPlacement(before), checkPlacement(after)); err != nil {
		return nil, err
	}
	d := &differ{
		plan:   &Plan{before: before, after: after, Exact: true},
		before: make([]float64, len(before.Nodes())),
		after:  make([]float64, len(after.Nodes())),
		moves:  make(map[[2]int]float64),
	}
	if !d.exact(before, after) {
		d.plan.Exact = false
		if err := d.sample(before, after); err != nil {
			return nil, err
		}
	}
	return d.finish(), nil
}

func checkPlacement(p Placement) error {
	if p == nil {
		return ErrNoNodes
	}
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && v.IsNil() {
		return ErrNoNodes
	}
	if len(p.Nodes()) == 0 {
		return ErrNoNodes
	}
	return nil
}

// Move says whether the hash moves, and if so from which node to which; if not, both are its owner. It panics if a custom placement has no owner for the hash, see [Check].
func (p *Plan) Move(hash uint64) (from, to Node, moves bool) {
	from, to, err := p.move(hash)
	if err != nil {
		panic(err)
	}
	return from, to, from.Name != to.Name
}

func (p *Plan) move(hash uint64) (from, to Node, err error) {
	if from, err = nodeAt(p.before.Nodes(), p.before.Owner(hash), hash); err == nil {
		to, err = nodeAt(p.after.Nodes(), p.after.Owner(hash), hash)
	}
	return from, to, err
}

// differ adds up who had what and who gets it.
type differ struct {
	plan          *Plan
	before, after []float64
	moves         map[[2]int]float64 // by index of the old owner and of the new
}

func (d *differ) add(from, to int, share float64) {
	d.before[from] += share
	d.after[to] += share
	d.moves[[2]int{from, to}] += share
}

// exact adds up all hashes, or returns false if that takes a sample.
func (d *differ) exact(before, after Placement) bool {
	switch before := before.(type) {
	case *Jump:
		if after, ok := after.(*Jump); ok {
			d.addJump(len(before.nodes), len(after.nodes))
			return true
		}
	case *Maglev:
		if after, ok := after.(*Maglev); ok && len(before.owners) == len(after.owners) {
			for i, from := range before.owners {
				d.add(int(from), int(after.owners[i]), 1/float64(len(before.owners)))
			}
			return true
		}
	}
	from, ok := spansOf(before)
	to, also := spansOf(after)
	if ok && also {
		d.addSpans(from, to)
	}
	return ok && also
}

// sample adds up a sample of the hashes.
func (d *differ) sample(before, after Placement) error {
	for i := range samples {
		from, to := before.Owner(sample(i)), after.Owner(sample(i))
		if from < 0 || from >= len(d.before) || to < 0 || to >= len(d.after) {
			return fmt.Errorf("%w: the owner of hash %d is node %d of %d before and %d of %d after", ErrPlacement, sample(i), from, len(d.before), to, len(d.after))
		}
		d.add(from, to, 1.0/samples)
	}
	return nil
}

// addJump adds what happens between two numbers of buckets: of the larger number each bucket has the same share. The buckets that the smaller one
// has too keep theirs, and the shares of the rest are from, or go to, all of them evenly.
func (d *differ) addJump(from, to int) {
	fewer, more := min(from, to), max(from, to)
	for i := range fewer {
		d.add(i, i, 1/float64(more))
		for j := fewer; j < more; j++ {
			part := 1 / (float64(more) * float64(fewer))
			if from < to {
				d.add(i, j, part)
			} else {
				d.add(j, i, part)
			}
		}
	}
}

// addSpans walks along both lists of ranges. Both end with the largest hash.
func (d *differ) addSpans(before, after []span) {
	first, i, j := uint64(0), 0, 0
	for {
		last := min(before[i].last, after[j].last)
		d.add(before[i].owner, after[j].owner, share(first, last))
		if last == math.MaxUint64 {
			return
		}
		first = last + 1
		for before[i].last < first {
			i++
		}
		for after[j].last < first {
			j++
		}
	}
}

func (d *differ) finish() *Plan {
	p := d.plan
	oldNodes, newNodes := p.before.Nodes(), p.after.Nodes()
	had := make(map[string]float64, len(oldNodes))
	for i, n := range oldNodes {
		had[n.Name] += d.before[i]
	}
	for i, n := range newNodes {
		p.Minimum += max(0, d.after[i]-had[n.Name])
	}
	for pair, share := range d.moves {
		from, to := oldNodes[pair[0]], newNodes[pair[1]]
		if from.Name != to.Name {
			p.Moves = append(p.Moves, Move{from, to, share})
		}
	}
	slices.SortFunc(p.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.From.Name, b.From.Name), cmp.Compare(a.To.Name, b.To.Name))
	})
	for _, m := range p.Moves {
		p.Moved += m.Share
	}
	return p
}
