package route

import (
	"fmt"
	"time"
)

// State says whether a member may be asked.
type State uint8

// The states.
const (
	Up      State = iota // it may be asked
	Cooling              // it is put aside, for MemberStats.Wait; when that is 0 the next request is the probe
	Probing              // one request probes it, others are not let in
)

var stateNames = [...]string{"up", "cooling", "probing"}

// String returns the state's name in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// StateEvent is a change of a member's state, for [Config].OnStateChange.
type StateEvent struct {
	Member   string
	From, To State
	Wait     time.Duration // the cool-down, when To is Cooling; 0 after a probe that decided nothing
	Err      error         // what the member failed with, when To is Cooling
}

// Stats are counters since New and gauges of now, of the members in the order of the table.
type Stats struct {
	Calls       uint64 // requests, those whose context had ended before included
	Answered    uint64 // those that got an answer; of streams, that ended without an error or were stopped by their consumer
	Unavailable uint64 // those that failed with ErrNoMember
	Members     []MemberStats
}

// MemberStats are those of one member. Each is taken at one moment. Calls = Answered + Failed + Busy + RequestFailed + Cancelled + InFlight.
// They belong to the name and end with an Update that does not have it.
type MemberStats struct {
	Name          string
	Calls         uint64 // attempts
	Answered      uint64
	Failed        uint64 // MemberFailed, panics included; also a stream that failed after its first chunk
	Busy          uint64 // MemberBusy
	RequestFailed uint64 // RequestFailed
	Cancelled     uint64 // the caller's context ended
	Fallbacks     uint64 // attempts that were made because another member had failed
	Cooldowns     uint64 // times it was put aside
	Probes        uint64 // attempts that were probes

	InFlight int           // requests that it works on; streams until they end
	Latency  time.Duration // the estimate, 0 if nothing is known
	State    State
	Wait     time.Duration // what is left of the cool-down
}

func (s *MemberStats) count(out outcome) {
	switch out {
	case answered:
		s.Answered++
	case failed:
		s.Failed++
	case busy:
		s.Busy++
	case rejected:
		s.RequestFailed++
	case gaveUp:
		s.Cancelled++
	}
}
