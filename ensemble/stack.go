package ensemble

import (
	"context"
	"fmt"
)

// Stack hands the numbers of the members, in their order, to a meta-model: stacked generalisation (Wolpert, Neural Networks 1992). members is how many the
// ensemble has, another number is an error from [New]. fill has, for each, what stands for it when it is missing, such as its mean, or a NaN if meta knows what that means; if fill is nil an answer
// with a member missing is an error, which under the policy All without Optional members cannot be. meta runs on the caller's goroutine with the caller's context and
// may keep its slice. For a meta-model fitted from samples see [FitLinear] and [FitLogistic]. No Agreement.
func Stack[F Float, Out any](members int, fill []float64, meta func(ctx context.Context, outputs []float64) (Out, error)) Combiner[F, Out] {
	widths := make([]int, max(members, 0))
	for i := range widths {
		widths[i] = 1
	}
	l, err := newLayout(widths, fill, meta == nil)
	return Combiner[F, Out]{err: err, members: members, Check: finite[F], Combine: func(ctx context.Context, votes []Vote[F]) (Out, Agreement, error) {
		x, err := l.blank(len(votes))
		for i := 0; i < len(votes) && err == nil; i++ {
			var at []float64
			if at, err = l.place(x, votes[i].Member, votes[i].Name, 1); err == nil {
				at[0] = float64(votes[i].Value)
			}
		}
		if err != nil {
			var none Out
			return none, Agreement{}, err
		}
		out, err := meta(ctx, x)
		return out, Agreement{}, err
	}}
}

// VectorStack is [Stack] for members that answer vectors, one after the other in what meta is given. widths are their lengths; fill has as many
// values as they have together.
func VectorStack[F Float, Out any](widths []int, fill []float64, meta func(ctx context.Context, outputs []float64) (Out, error)) Combiner[[]F, Out] {
	l, err := newLayout(widths, fill, meta == nil)
	return Combiner[[]F, Out]{err: err, members: len(widths), Check: finiteVector[F], Combine: func(ctx context.Context, votes []Vote[[]F]) (Out, Agreement, error) {
		x, err := l.blank(len(votes))
		for i := 0; i < len(votes) && err == nil; i++ {
			var at []float64
			if at, err = l.place(x, votes[i].Member, votes[i].Name, len(votes[i].Value)); err == nil {
				for j, v := range votes[i].Value {
					at[j] = float64(v)
				}
			}
		}
		if err != nil {
			var none Out
			return none, Agreement{}, err
		}
		out, err := meta(ctx, x)
		return out, Agreement{}, err
	}}
}

// layout says where the outputs of each member go.
type layout struct {
	starts []int // of each member, and the end
	fill   []float64
}

func newLayout(widths []int, fill []float64, noMeta bool) (layout, error) {
	l := layout{starts: []int{0}, fill: append([]float64(nil), fill...)}
	if noMeta {
		return l, fmt.Errorf("ensemble: Stack: the meta-model is nil")
	}
	if len(widths) == 0 {
		return l, fmt.Errorf("ensemble: Stack: no members")
	}
	for i, w := range widths {
		if w < 1 {
			return l, fmt.Errorf("ensemble: Stack: member %d has the width %d", i, w)
		}
		l.starts = append(l.starts, l.starts[i]+w)
	}
	if n := l.starts[len(widths)]; fill != nil && len(fill) != n {
		return l, fmt.Errorf("ensemble: Stack: %d values to fill in for %d outputs", len(fill), n)
	}
	return l, nil
}

// blank is the input of the meta-model without any answer.
func (l *layout) blank(votes int) ([]float64, error) {
	members := len(l.starts) - 1
	if votes < members && len(l.fill) == 0 {
		return nil, fmt.Errorf("ensemble: Stack: %d of %d members answered, and there is nothing to fill in for the others", votes, members)
	}
	x := make([]float64, l.starts[members])
	copy(x, l.fill)
	return x, nil
}

// place is where the outputs of a member go.
func (l *layout) place(x []float64, member int, name string, width int) ([]float64, error) {
	if members := len(l.starts) - 1; member >= members {
		return nil, &MemberError{name, fmt.Errorf("%w: the meta-model is for %d members", ErrBadAnswer, members)}
	}
	at := x[l.starts[member]:l.starts[member+1]]
	if len(at) != width {
		return nil, &MemberError{name, fmt.Errorf("%w: %d values, the meta-model expects %d", ErrBadAnswer, width, len(at))}
	}
	return at, nil
}
