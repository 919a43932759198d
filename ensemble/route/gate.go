package route

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// choose fills r.calls with the experts to ask, the highest score first, and takes a place in each.
func (r *run[Req, Resp]) choose(scores []float64) error {
	m := r.Mixture
	if len(scores) != len(m.experts) {
		return fmt.Errorf("%w: %d scores for %d experts", ErrGate, len(scores), len(m.experts))
	}
	for i, score := range scores {
		if math.IsNaN(score) || math.IsInf(score, 1) {
			return fmt.Errorf("%w: %v for expert %q", ErrGate, score, m.experts[i].Name)
		}
		if !math.IsInf(score, -1) {
			r.ranked = append(r.ranked, i)
		}
	}
	slices.SortFunc(r.ranked, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	if len(r.ranked) < m.cfg.MinAnswers {
		return fmt.Errorf("%w: the gate excludes %d of %d experts", ErrNoMember, len(m.experts)-len(r.ranked), len(m.experts))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for place, i := range r.ranked {
		if len(r.calls) == m.cfg.TopK || m.cfg.Overflow == OverflowDrop && place == m.cfg.TopK {
			break
		}
		s := &m.stats.Experts[i]
		if m.capacity > 0 && s.InFlight >= m.capacity {
			s.Overflows++
			continue
		}
		r.calls = append(r.calls, call[Resp]{expert: i, score: scores[i]})
	}
	if len(r.calls) < m.cfg.MinAnswers {
		m.stats.Overflows++
		return ErrOverflow
	}
	m.stats.Calls++
	softmax(r.calls, func(*call[Resp]) bool { return true })
	for i := range r.calls {
		s := &m.stats.Experts[r.calls[i].expert]
		s.Calls++
		s.InFlight++
		s.Importance += r.calls[i].weight
	}
	return nil
}

// softmax sets the weights of those that count. The largest score is subtracted, so that nothing overflows and at least one weight is not zero.
func softmax[Resp any](calls []call[Resp], counts func(*call[Resp]) bool) {
	largest, sum := math.Inf(-1), 0.0
	for i := range calls {
		if c := &calls[i]; counts(c) {
			largest = max(largest, c.score)
		}
	}
	for i := range calls {
		if c := &calls[i]; counts(c) {
			c.weight = math.Exp(c.score - largest)
			sum += c.weight
		}
	}
	for i := range calls {
		if c := &calls[i]; counts(c) {
			c.weight /= sum
		}
	}
}
