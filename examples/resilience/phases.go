package main

import "time"

// phase is how the back-end does.
type phase int

const (
	healthy    phase = iota
	slow             // each request takes several times as long
	failing          // so it does, and then it fails
	recovering       // no more failures; the time a request takes falls to what it was
)

// phases are in the order in which they come.
var phases = []phase{healthy, slow, failing, recovering}

func (p phase) String() string { return [...]string{"healthy", "slow", "failing", "recovering"}[p] }

// slowdown is how many times as long a request takes while the back-end is slow or failing.
const slowdown = 3

// schedule says how the back-end does at each time of a run. Its value is the length of a phase; the last phase is three times as long, and in
// the first sixth of it the back-end gets back to its usual speed.
type schedule time.Duration

func (s schedule) start(p phase) time.Duration { return time.Duration(p) * time.Duration(s) }

func (s schedule) total() time.Duration { return s.start(recovering) + 3*time.Duration(s) }

// at says which phase it is when so much time has passed.
func (s schedule) at(elapsed time.Duration) phase {
	return phase(min(max(elapsed/time.Duration(s), 0), time.Duration(recovering)))
}

// condition is what a phase means for a request.
type condition struct {
	slowdown float64 // it takes so many times as long
	fails    bool
}

func (s schedule) condition(elapsed time.Duration) condition {
	switch s.at(elapsed) {
	case slow:
		return condition{slowdown: slowdown}
	case failing:
		return condition{slowdown: slowdown, fails: true}
	case recovering:
		recovered := float64(elapsed-s.start(recovering)) / float64(time.Duration(s)/2)
		return condition{slowdown: max(1, slowdown-(slowdown-1)*recovered)}
	}
	return condition{slowdown: 1}
}
