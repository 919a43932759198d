package ensemble

import (
	"fmt"
	"time"
)

// Answer is what [Ensemble.Ask] returns.
type Answer[Out any] struct {
	Value     Out
	Agreement Agreement
	Members   []Outcome // of all members, in their order
}

// Partial says whether the answer lacks a member.
func (a Answer[Out]) Partial() bool {
	for i := range a.Members {
		if a.Members[i].Status != Answered {
			return true
		}
	}
	return false
}

// Missing are the outcomes of the members that are not in the answer.
func (a Answer[Out]) Missing() []Outcome {
	var missing []Outcome
	for _, m := range a.Members {
		if m.Status != Answered {
			missing = append(missing, m)
		}
	}
	return missing
}

// Outcome is what became of one member in a call.
type Outcome struct {
	Name    string
	Status  Status
	Err     error         // why it is missing; nil if it has answered
	Weight  float64       // in the answer; the sum over the members that have answered is 1
	Latency time.Duration // of Do, if it has answered or failed; how long it was waited for, if it is TimedOut; otherwise 0
}

// Status says why a member is missing, or that it is not.
type Status uint8

// The statuses.
const (
	NotCalled Status = iota // the call was decided before its turn came; only with Config.Concurrency
	Answered                // its answer was there in time
	Failed                  // it returned an error or a bad answer, panicked, or called runtime.Goexit
	TimedOut                // its Timeout was over
	Late                    // the call's deadline was reached first
	Cancelled               // the call was decided, or its caller went away, while it ran
)

// String is the status's name.
func (s Status) String() string {
	switch s {
	case NotCalled:
		return "not called"
	case Answered:
		return "answered"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	case Late:
		return "late"
	case Cancelled:
		return "cancelled"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}
