package ensemble

import (
	"cmp"
	"math"
	"slices"
)

// thresholdPoint is a choice of thresholds with what it does to the samples.
type thresholdPoint struct {
	thresholds []float64
	correct    int
	cost       float64 // of all samples
}

// thresholdSearch looks for the choices that no other beats in both accuracy and cost.
type thresholdSearch struct {
	samples []ThresholdSample
	costs   []float64
	order   [][]int // of each stage but the last: the samples by rising confidence, without those that have NaN
}

const (
	thresholdGrid     = 4096 // choices in the grid, at most
	thresholdImproved = 50   // choices of the frontier that are improved
)

func newThresholdSearch(samples []ThresholdSample, costs []float64) *thresholdSearch {
	s := &thresholdSearch{samples: samples, costs: costs}
	for i := range len(costs) - 1 {
		var order []int
		for n := range samples {
			if !math.IsNaN(samples[n].Confidence[i]) {
				order = append(order, n)
			}
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(samples[a].Confidence[i], samples[b].Confidence[i]) })
		s.order = append(s.order, order)
	}
	return s
}

// frontier has the choices that no other beats, from the cheapest and least accurate up.
func (s *thresholdSearch) frontier() []thresholdPoint {
	free := len(s.order)
	start := make([]float64, free)
	for i := range start {
		start[i] = math.Inf(-1)
	}
	if free == 1 {
		return pareto(s.sweep(0, start))
	}
	points := pareto(s.grid(start))
	for range 2 {
		for _, p := range thin(points, thresholdImproved) {
			for i := range free {
				points = append(points, pareto(s.sweep(i, p.thresholds))...)
			}
		}
		points = pareto(points)
	}
	return points
}

// sweep has the points for all values of threshold i, the others as they are.
func (s *thresholdSearch) sweep(i int, thresholds []float64) []thresholdPoint {
	correct, cost := 0, 0.0
	lost, gained := make([]bool, len(s.samples)), make([]bool, len(s.samples)) // by going on from stage i: a right answer here, one later
	extra := make([]float64, len(s.samples))                                   // what that costs; negative if stage i is not reached
	for n, sample := range s.samples {
		at := 0
		for at < i && !(sample.Confidence[at] >= thresholds[at]) {
			cost += s.costs[at]
			at++
		}
		cost += s.costs[at]
		if at < i {
			extra[n] = -1
			if sample.Correct[at] {
				correct++
			}
			continue
		}
		later := i + 1
		for later < len(thresholds) && !(sample.Confidence[later] >= thresholds[later]) {
			extra[n] += s.costs[later]
			later++
		}
		extra[n] += s.costs[later]
		lost[n], gained[n] = sample.Correct[i], sample.Correct[later]
		if math.IsNaN(sample.Confidence[i]) { // goes on whatever the threshold
			lost[n] = false
			cost += extra[n]
			if gained[n] {
				correct++
			}
		} else if lost[n] {
			correct++
		}
	}
	var points []thresholdPoint
	add := func(threshold float64) {
		if threshold == 0 {
			threshold = -math.SmallestNonzeroFloat64 // 0 would mean that there is none
		}
		points = append(points, thresholdPoint{correct: correct, cost: cost, thresholds: []float64{threshold}})
	}
	add(math.Inf(-1))
	order := s.order[i]
	for n := 0; n < len(order); {
		value := s.samples[order[n]].Confidence[i]
		moved := false
		for ; n < len(order) && s.samples[order[n]].Confidence[i] == value; n++ {
			j := order[n]
			if extra[j] < 0 {
				continue
			}
			moved = true
			cost += extra[j]
			if lost[j] {
				correct--
			}
			if gained[j] {
				correct++
			}
		}
		switch {
		case !moved:
		case n < len(order):
			add(s.samples[order[n]].Confidence[i])
		default:
			add(math.Inf(1))
		}
	}
	for p := range points {
		all := slices.Clone(thresholds)
		all[i] = points[p].thresholds[0]
		points[p].thresholds = all
	}
	return points
}

// grid has the points for all combinations of some quantiles of each stage's confidences and of answering all and nothing.
func (s *thresholdSearch) grid(thresholds []float64) []thresholdPoint {
	size := max(2, int(math.Floor(math.Pow(thresholdGrid, 1/float64(len(s.order)))+1e-9)))
	choices := make([][]float64, len(s.order))
	for i, order := range s.order {
		var values []float64
		for _, n := range order {
			if c := s.samples[n].Confidence[i]; len(values) == 0 || c > values[len(values)-1] {
				values = append(values, c)
			}
		}
		choices[i] = []float64{math.Inf(-1), math.Inf(1)}
		inner := min(size-2, len(values)-1)
		for j := range max(0, inner) {
			value := values[1+(2*j+1)*(len(values)-1)/(2*inner)]
			if value == 0 {
				value = -math.SmallestNonzeroFloat64
			}
			choices[i] = append(choices[i], value)
		}
	}
	var points []thresholdPoint
	current := slices.Clone(thresholds)
	var walk func(i int)
	walk = func(i int) {
		if i < len(choices) {
			for _, value := range choices[i] {
				current[i] = value
				walk(i + 1)
			}
			return
		}
		point := thresholdPoint{thresholds: slices.Clone(current)}
		for _, sample := range s.samples {
			at := 0
			for at < len(current) && !(sample.Confidence[at] >= current[at]) {
				point.cost += s.costs[at]
				at++
			}
			point.cost += s.costs[at]
			if sample.Correct[at] {
				point.correct++
			}
		}
		points = append(points, point)
	}
	walk(0)
	return points
}

// pareto drops the points that another beats, and sorts by rising cost.
func pareto(points []thresholdPoint) []thresholdPoint {
	slices.SortStableFunc(points, func(a, b thresholdPoint) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.correct, a.correct))
	})
	kept := points[:0]
	for _, p := range points {
		if len(kept) == 0 || p.correct > kept[len(kept)-1].correct {
			kept = append(kept, p)
		}
	}
	return kept
}

// thin keeps at most n points, evenly, the first and the last among them.
func thin(points []thresholdPoint, n int) []thresholdPoint {
	if len(points) <= n {
		return points
	}
	kept := make([]thresholdPoint, n)
	for i := range kept {
		kept[i] = points[i*(len(points)-1)/(n-1)]
	}
	return kept
}
