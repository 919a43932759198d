package sharding

import (
	"math"
	"math/bits"
)

// span is a range of hashes with one owner, up to and including last; it begins where the one before it ends.
type span struct {
	last  uint64
	owner int
}

// spansOf are the ranges of a placement that divides the hashes into ranges. It asks for the types themselves: one that embeds them
// may have an Owner of its own.
func spansOf(p Placement) (spans []span, ok bool) {
	switch p := p.(type) {
	case *Ring:
		return p.spans(), true
	case *Rendezvous:
		return slotSpans(p.owners), true
	case *Table:
		return slotSpans(p.owners), true
	}
	return nil, false
}

func (r *Ring) spans() []span {
	spans := make([]span, 0, len(r.points)+1)
	for i, last := range r.points {
		spans = append(spans, span{last, int(r.owners[i])})
	}
	return append(spans, span{math.MaxUint64, int(r.owners[0])})
}

// slotSpans are the ranges of hashes of the slots, see slotOf.
func slotSpans(owners []uint16) []span {
	slots := uint64(len(owners))
	spans := make([]span, len(owners))
	for i, owner := range owners {
		last := uint64(math.MaxUint64)
		if next := uint64(i) + 1; next < slots {
			// The hashes of the next slot begin at next·2^64/slots, rounded up.
			quotient, rest := bits.Div64(next, 0, slots)
			last = quotient
			if rest == 0 {
				last--
			}
		}
		spans[i] = span{last, int(owner)}
	}
	return spans
}

// share is the part of all hashes that are from first to last.
func share(first, last uint64) float64 { return (float64(last-first) + 1) / (1 << 64) }

// samples is the number of hashes by which a placement of an unknown type is judged.
const samples = 1 << 20

// sample is one of them.
func sample(i int) uint64 { return mix(uint64(i+1) * 0x9e3779b97f4a7c15) }

// Shares are the parts of all hashes that the nodes own, by index; their sum is 1. They are exact for the placements of this package, and
// otherwise found from 2^20 hashes, which leaves an error of about a thousandth. Hashes whose Owner is no index of a node count for none. A
// placement that is nil or has no nodes has no shares.
func Shares(p Placement) []float64 {
	if checkPlacement(p) != nil {
		return nil
	}
	shares := make([]float64, len(p.Nodes()))
	switch p := p.(type) {
	case *Jump:
		for i := range shares {
			shares[i] = 1 / float64(len(shares))
		}
	case *Maglev:
		for i, count := range p.counts(p.owners) {
			shares[i] = float64(count) / float64(len(p.owners))
		}
	default:
		if spans, ok := spansOf(p); ok {
			addSpanShares(shares, spans)
			break
		}
		for i := range samples {
			if owner := p.Owner(sample(i)); owner >= 0 && owner < len(shares) {
				shares[owner] += 1.0 / samples
			}
		}
	}
	return shares
}

func addSpanShares(shares []float64, spans []span) {
	first := uint64(0)
	for _, s := range spans {
		// Two points of a ring can be at the same place; the second has nothing then.
		if s.last >= first {
			shares[s.owner] += share(first, s.last)
			first = s.last + 1
		}
		if s.last == math.MaxUint64 {
			return
		}
	}
}

// Balance is the largest load in relation to the mean, weights considered: 1 is perfectly even, 1.2 means that the node
// that has most for its weight has 20 percent more than its share. The loads are by index, of whatever kind: Shares, numbers of keys,
// requests in flight. It is 1 if there is no load, and NaN if there are not as many loads as nodes.
func Balance(nodes []Node, loads []float64) float64 {
	if len(nodes) != len(loads) {
		return math.NaN()
	}
	weight, total := 0.0, 0.0
	for i, n := range nodes {
		weight += weightOf(n)
		total += loads[i]
	}
	if total == 0 {
		return 1
	}
	most := 0.0
	for i, n := range nodes {
		most = max(most, loads[i]/weightOf(n))
	}
	return most * weight / total
}

// weightOf is the weight of a node that may not have been through a constructor.
func weightOf(n Node) float64 {
	if n.Weight == 0 {
		return 1
	}
	return n.Weight
}
