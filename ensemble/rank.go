package ensemble

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// DefaultRankConstant is the k of [ReciprocalRank] that Cormack et al. fixed after a pilot study.
const DefaultRankConstant = 60

// Ranked is a candidate with its score after rank fusion.
type Ranked[ID comparable] struct {
	ID    ID
	Score float64
}

// ReciprocalRank fuses rankings, best first, by the sum of 1/(k + rank) over those that have a candidate, ranks from 1 (reciprocal rank fusion; Cormack,
// Clarke and Büttcher, SIGIR 2009). k says how little the first places count beside the later; 0 is DefaultRankConstant. Each term is multiplied by
// the member's weight, scaled so that it is 1 if all are equal.
//
// The result has all candidates, best first; of equals, the one that was met first, member by member. A candidate that is in a ranking twice makes it a bad
// answer; a ranking may be empty. Agreement: Share and Entropy of the weights by which candidate is ranked first.
func ReciprocalRank[ID comparable](k float64) Combiner[[]ID, []Ranked[ID]] {
	if k == 0 {
		k = DefaultRankConstant
	}
	c := fuse[ID](func(rank, _, _ int) float64 { return 1 / (k + float64(rank)) }, func(int, int) float64 { return 0 })
	if !(k > 0) || math.IsInf(k, 0) {
		c.err = fmt.Errorf("ensemble: ReciprocalRank: k must be positive: %v", k)
	}
	return c
}

// Borda fuses rankings, best first, by Borda counts: among n different candidates the first gets n points, the next n-1, and so on; what a ranking
// leaves over is divided evenly among the candidates that it lacks (Borda-fuse; Aslam and Montague, Models for Metasearch, SIGIR 2001). Weights, order, errors
// and Agreement are those of [ReciprocalRank].
func Borda[ID comparable]() Combiner[[]ID, []Ranked[ID]] {
	return fuse[ID](
		func(rank, _, n int) float64 { return float64(n - rank + 1) },
		func(length, n int) float64 { return float64(n-length+1) / 2 }, // the mean of 1 to n-length
	)
}

// fuse adds up points for a rank, and for being absent, given the length of the ranking and the number n of candidates.
func fuse[ID comparable](points func(rank, length, n int) float64, absent func(length, n int) float64) Combiner[[]ID, []Ranked[ID]] {
	return Combiner[[]ID, []Ranked[ID]]{Check: distinct[ID], Combine: func(_ context.Context, votes []Vote[[]ID]) ([]Ranked[ID], Agreement, error) {
		places := make(map[ID]int)
		var all []Ranked[ID]
		for i := range votes {
			for _, id := range votes[i].Value {
				if _, ok := places[id]; !ok {
					places[id] = len(all)
					all = append(all, Ranked[ID]{ID: id})
				}
			}
		}
		n := len(all)
		first := make([]float64, n) // weight of the rankings that begin with the candidate
		for i := range votes {
			v := &votes[i]
			w, length := v.Weight*float64(len(votes)), len(v.Value)
			none := w * absent(length, n)
			for j := range all {
				all[j].Score += none
			}
			for r, id := range v.Value {
				all[places[id]].Score += w*points(r+1, length, n) - none
			}
			if length > 0 {
				first[places[v.Value[0]]] += v.Weight
			}
		}
		var a Agreement
		for _, share := range first {
			a.Share = min(max(a.Share, share), 1)
			a.Entropy += surprise(share)
		}
		order(all, places)
		return all, a, nil
	}}
}

func distinct[ID comparable](ranking []ID) error {
	seen := make(map[ID]struct{}, len(ranking))
	for i, id := range ranking {
		if err := selfEqual(id); err != nil {
			return err
		}
		if _, ok := seen[id]; ok {
			return fmt.Errorf("%w: candidate %v is ranked twice, the second time at rank %d", ErrBadAnswer, id, i+1)
		}
		seen[id] = struct{}{}
	}
	return nil
}

// order sorts by score, best first, and those whose scores differ by no more than rounding by place.
func order[ID comparable](all []Ranked[ID], places map[ID]int) {
	slices.SortFunc(all, func(x, y Ranked[ID]) int { return cmp.Compare(y.Score, x.Score) })
	for len(all) > 0 {
		tied := 1
		for tied < len(all) && near(all[tied].Score/all[0].Score, 1) {
			tied++
		}
		slices.SortFunc(all[:tied], func(x, y Ranked[ID]) int { return cmp.Compare(places[x.ID], places[y.ID]) })
		all = all[tied:]
	}
}
