package ensemble

import (
	"context"
	"fmt"
)

// MajorityVote is the label that most members answer, whatever their weights. It need not have more than half: Agreement.Share tells. Of equals it is the one
// whose first vote is by the earliest member, so that the best model should be the first. A label that is not equal to itself (a NaN) is
// a bad answer. Agreement: Share, Entropy.
func MajorityVote[L comparable]() Combiner[L, L] {
	return labels[L](func(Vote[L]) float64 { return 1 })
}

// WeightedVote is MajorityVote by the weights of the members.
func WeightedVote[L comparable]() Combiner[L, L] {
	return labels(func(v Vote[L]) float64 { return v.Weight })
}

func labels[L comparable](weight func(Vote[L]) float64) Combiner[L, L] {
	return Combiner[L, L]{Check: selfEqual[L], Combine: func(_ context.Context, votes []Vote[L]) (L, Agreement, error) {
		all := 0.0
		for i := range votes {
			all += weight(votes[i])
		}
		winner, a := votes[0].Value, Agreement{}
		for i := range votes {
			share, counted := 0.0, false
			for j := range votes {
				if votes[j].Value == votes[i].Value {
					counted = counted || j < i
					share += weight(votes[j]) / all
				}
			}
			if counted {
				continue
			}
			a.Entropy += surprise(share)
			if share > a.Share && !near(share, a.Share) {
				winner, a.Share = votes[i].Value, share
			}
		}
		a.Share = min(a.Share, 1) // but for rounding
		return winner, a, nil
	}}
}

func selfEqual[L comparable](label L) error {
	if label != label { // that is what a NaN is known by
		return fmt.Errorf("%w: %v is not equal to itself", ErrBadAnswer, label)
	}
	return nil
}
