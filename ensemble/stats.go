package ensemble

import (
	"slices"
	"time"
)

// Stats are the counters and gauges of an [Ensemble]. A call, and what its members did, is counted when it is over.
type Stats struct {
	Calls     uint64 // of Do and Ask that asked members; each is one of the following four
	Answered  uint64 // with an answer of all members
	Partial   uint64 // with an answer of some
	Failed    uint64 // with a QuorumError, or an error or a panic of the combiner
	Cancelled uint64 // because the caller's context ended

	Stragglers int           // member calls that have not returned though their call is over
	Members    []MemberStats // in the order of the members
}

// MemberStats are the counters and gauges of a member.
type MemberStats struct {
	Name      string
	Calls     uint64 // that were begun; each is Answered, Failed or Cancelled. Do is not called if the call was decided before the member's goroutine got its turn
	Answered  uint64 // that were in time and good
	Failed    uint64 // bad answers, panics, Goexit and time-outs included
	TimedOut  uint64 // of these; by its Timeout, or the call's deadline
	Cancelled uint64 // because the call was decided without it, or its caller went away

	RunTime    time.Duration // sum over Answered
	Stragglers int           // calls that have not returned though the call they were made for is over
}

// MeanRunTime is the mean time that an answer took, 0 before the first.
func (m MemberStats) MeanRunTime() time.Duration {
	if m.Answered == 0 {
		return 0
	}
	return m.RunTime / time.Duration(m.Answered)
}

// Stats are the counters and gauges at this moment.
func (e *Ensemble[Req, In, Out]) Stats() Stats {
	e.counting.Lock()
	defer e.counting.Unlock()
	s := e.stats
	s.Members = slices.Clone(s.Members)
	return s
}

// abandon adds to the calls of a member that are left behind.
func (e *Ensemble[Req, In, Out]) abandon(member, n int) {
	e.counting.Lock()
	defer e.counting.Unlock()
	e.stats.Stragglers += n
	e.stats.Members[member].Stragglers += n
}

// tally counts a call that is over.
func (c *call[Req, In, Out]) tally(answered bool) {
	c.e.counting.Lock()
	defer c.e.counting.Unlock()
	st := &c.e.stats
	st.Calls++
	switch {
	case answered && c.answered == len(c.slots):
		st.Answered++
	case answered:
		st.Partial++
	case c.gaveUp():
		st.Cancelled++
	default:
		st.Failed++
	}
	for i := range c.slots {
		m := &st.Members[i]
		status := c.slots[i].status
		if status != NotCalled {
			m.Calls++
		}
		switch status {
		case Answered:
			m.Answered++
			m.RunTime += c.slots[i].took
		case Failed:
			m.Failed++
		case TimedOut, Late:
			m.Failed++
			m.TimedOut++
		case Cancelled:
			m.Cancelled++
		}
	}
}
