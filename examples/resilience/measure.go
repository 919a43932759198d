package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/scalable-ai/patterns/examples/internal/stats"
)

// count is the number of calls that came in [from, to) and had the result.
func (t *trial) count(want result, from, to time.Duration) int {
	n := 0
	for _, c := range t.between(from, to) {
		if c.result == want {
			n++
		}
	}
	return n
}

// between returns the calls that came in [from, to). They are in order of time.
func (t *trial) between(from, to time.Duration) []asked {
	return t.calls[t.index(from):t.index(to)]
}

// index is that of the first call at or after a time.
func (t *trial) index(at time.Duration) int {
	i, _ := slices.BinarySearchFunc(t.calls, at, func(c asked, at time.Duration) int { return cmp.Compare(c.due, at) })
	return i
}

// latencies returns, in ascending order, how long the calls took whose result is as wanted.
func latencies(calls []asked, wanted func(result) bool) []time.Duration {
	var took []time.Duration
	for _, c := range calls {
		if wanted(c.result) {
			took = append(took, c.took)
		}
	}
	slices.Sort(took)
	return took
}

// lateness is how late the machine was with the calls: the 99th percentile.
func (t *trial) lateness() time.Duration {
	var late []time.Duration
	for _, c := range t.calls {
		late = append(late, c.late)
	}
	slices.Sort(late)
	return stats.Percentile(late, 99)
}

// normalShare of the calls are answered in time, for a normalWindow, when times are normal.
const normalShare = 0.95

// normalWindow is five columns of the timeline.
func normalWindow(s schedule) time.Duration { return 5 * s.total() / columns }

// backToNormal returns the time from the beginning of the recovery until the first call with which normal times begin.
func (t *trial) backToNormal(s schedule) (time.Duration, bool) {
	window := normalWindow(s)
	first := t.index(s.start(recovering))
	good, next := 0, first // good counts the calls of [i, next)
	for i := first; i < len(t.calls) && t.calls[i].due+window <= s.total(); i++ {
		for next < len(t.calls) && t.calls[next].due < t.calls[i].due+window {
			if t.calls[next].result == answered {
				good++
			}
			next++
		}
		if float64(good) >= normalShare*float64(next-i) {
			return t.calls[i].due - s.start(recovering), true
		}
		if t.calls[i].result == answered {
			good--
		}
	}
	return 0, false
}
