package route

import (
	"math"
	"math/rand/v2"
	"time"
)

// Candidate is a member that may be picked.
type Candidate struct {
	Name     string
	Weight   float64       // positive
	Cost     float64       // of this request
	Latency  time.Duration // the estimate, 0 if nothing is known; in a Streamer, until the first chunk
	InFlight int           // requests that it works on

	hash uint64 // of the name
}

// load is the latency to expect if the member works on one request at a time, as in Finagle's peak EWMA: each
// of those before this one takes the estimate. A member of which nothing is known, and that has a request already, is worse than any that is known: its first
// answer shall come before it gets more.
func (c *Candidate) load() float64 {
	switch {
	case c.Latency > 0:
		return float64(c.Latency) * (1 + float64(c.InFlight))
	case c.InFlight > 0:
		return math.MaxInt64 * (1 + float64(c.InFlight))
	}
	return 0
}

// Choice is what a picker chooses from.
type Choice struct {
	// Candidates are the members that are capable, not put aside and have not been tried, in the order of the table or of the rule. There is at least one. It
	// is valid during the call only.
	Candidates []Candidate

	// Key is the hash of the request's key, 0 without WithKey.
	Key uint64

	// Left is the time until the caller's deadline, the largest Duration if there is none.
	Left time.Duration

	// Attempt is the number of attempts before this one.
	Attempt int
}

// Picker chooses a member. It is called for each attempt, on the caller's goroutine, outside locks, and must be safe for concurrent use. What it is to know of the
// request beyond its key, cost and capabilities belongs into a [Rule].
type Picker interface {
	// Pick returns the index of one of c.Candidates.
	Pick(c *Choice) int
}

// PickFunc is a function that is a [Picker].
type PickFunc func(c *Choice) int

// Pick calls f.
func (f PickFunc) Pick(c *Choice) int { return f(c) }

// InOrder picks the first: a primary and its fallbacks.
func InOrder() Picker { return PickFunc(first) }

func first(*Choice) int { return 0 }

// Weighted picks at random, each with a probability in proportion to its weight.
func Weighted() Picker { return PickFunc(weighted) }

func weighted(c *Choice) int {
	// Weights are divided by the largest, so that the sum is finite.
	largest := 0.0
	for i := range c.Candidates {
		largest = max(largest, c.Candidates[i].Weight)
	}
	sum := 0.0
	for i := range c.Candidates {
		sum += c.Candidates[i].Weight / largest
	}
	at := rand.Float64() * sum
	for i := range c.Candidates {
		if at -= c.Candidates[i].Weight / largest; at < 0 {
			return i
		}
	}
	return len(c.Candidates) - 1
}

// Fastest picks the least expected latency: the estimate, times one more than the requests in flight. Ties go to the first.
//
// The estimate is a peak EWMA as in Finagle: it jumps up to a latency that is higher, comes down gradually to those that are lower, and decays with
// time, so that a member that was slow is tried again. An attempt that failed, or that its caller gave up, counts as twice its time. A member
// of which nothing is known gets one request first.
func Fastest() Picker { return PickFunc(fastest) }

func fastest(c *Choice) int {
	best := 0
	for i := 1; i < len(c.Candidates); i++ {
		if c.Candidates[i].load() < c.Candidates[best].load() {
			best = i
		}
	}
	return best
}

// TwoChoices picks two at random and takes the one with less expected latency (as [Fastest]) for its weight: "the power of two choices" (Mitzenmacher, IEEE TPDS 2001).
// Callers, and processes, that know the same do not all run to the same member.
func TwoChoices() Picker { return PickFunc(twoChoices) }

func twoChoices(c *Choice) int {
	n := len(c.Candidates)
	if n == 1 {
		return 0
	}
	a, b := rand.IntN(n), rand.IntN(n-1)
	if b >= a {
		b++
	}
	if loadFor(&c.Candidates[b]) < loadFor(&c.Candidates[a]) {
		return b
	}
	return a
}

func loadFor(c *Candidate) float64 { return c.load() / c.Weight }

// Cheapest picks the least cost among those whose estimated latency, not counting requests in flight, fits into the time that is left. Those of which
// nothing is known fit. Ties go to the [Fastest]. If none fits it picks the least estimate: that is the best chance, and news.
func Cheapest() Picker { return PickFunc(cheapest) }

func cheapest(c *Choice) int {
	best := -1
	for i := range c.Candidates {
		m := &c.Candidates[i]
		if m.Latency > c.Left {
			continue
		}
		if best < 0 || m.Cost < c.Candidates[best].Cost ||
			m.Cost == c.Candidates[best].Cost && m.load() < c.Candidates[best].load() {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	best = 0
	for i := range c.Candidates {
		if c.Candidates[i].Latency < c.Candidates[best].Latency {
			best = i
		}
	}
	return best
}
