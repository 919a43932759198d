package ensemble

import (
	"context"
	"fmt"
	"math"
)

// Float is what scalars and vectors are made of.
type Float interface{ ~float32 | ~float64 }

// Vote is the answer of one member, for a [Combiner].
type Vote[In any] struct {
	Member int     // its index among the members
	Name   string  // its name
	Weight float64 // its share: the sum over the votes is 1
	Value  In
}

// Combiner makes one answer of the members' answers. The functions of this package make the usual ones; one's own is
//
//	ensemble.Combiner[Resp, Out]{Combine: func(ctx context.Context, votes []ensemble.Vote[Resp]) (Out, ensemble.Agreement, error) { ... }}
type Combiner[In, Out any] struct {
	// Check, if not nil, looks at each answer when it comes. An error makes it a failure of that member. It is called on the member's goroutine; calls
	// overlap, and a panic in it is one of the member's.
	Check func(In) error

	// Combine is given at least one vote, in the order of the members. It must not keep the slice nor change the values. It is called on the
	// caller's goroutine with the caller's context; calls overlap.
	Combine func(ctx context.Context, votes []Vote[In]) (Out, Agreement, error)

	err     error // of its parameters
	members int   // that it is for; 0 is any number
}

// Agreement says how far the votes agree. Which fields are set depends on the combiner; the others are 0.
type Agreement struct {
	// Share of the winner, from 0 to 1: of the weight of the votes for a label, or of those that rank it first; for class
	// probabilities its mean probability.
	Share float64

	// Entropy, in nats, of the distribution of which Share is the largest part: 0 if all are of one mind, ln(k) if k are equal.
	Entropy float64

	// Variance of scalars about their mean, with the weights of the combiner; of vectors, the mean of that over the elements. For SoftVote
	// that of the winner's probability.
	Variance float64
}

// Preferred returns the answer of the first member, in their order, that has one: under Partial the best model that was in time, under First
// the one that answered. It has no Agreement.
func Preferred[T any]() Combiner[T, T] {
	return Combiner[T, T]{Combine: func(_ context.Context, votes []Vote[T]) (T, Agreement, error) {
		return votes[0].Value, Agreement{}, nil
	}}
}

// finite is an error for a NaN or an infinity.
func finite[F Float](x F) error {
	if v := float64(x); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%w: %v", ErrBadAnswer, v)
	}
	return nil
}

// finiteVector is an error for an empty vector and for a NaN or an infinity in it.
func finiteVector[F Float](x []F) error {
	if len(x) == 0 {
		return fmt.Errorf("%w: no values", ErrBadAnswer)
	}
	for i, v := range x {
		if v-v != 0 { // NaN for a NaN and for an infinity, and never equal to 0
			return fmt.Errorf("%w: value %d of %d is %v", ErrBadAnswer, i, len(x), v)
		}
	}
	return nil
}

// sameLength returns the length that all vectors have, or an error that names one whose length is not that of most.
func sameLength[F any](votes []Vote[[]F]) (int, error) {
	length, most := 0, 0
	for i := range votes {
		count := 0
		for j := range votes {
			if len(votes[j].Value) == len(votes[i].Value) {
				count++
			}
		}
		if count > most {
			length, most = len(votes[i].Value), count
		}
		if most == len(votes) {
			return length, nil
		}
	}
	for i := range votes {
		if n := len(votes[i].Value); n != length {
			return 0, &MemberError{votes[i].Name, fmt.Errorf("%w: %d values, others have %d", ErrBadAnswer, n, length)}
		}
	}
	return length, nil
}
