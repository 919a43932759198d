package ensemble

import (
	"sync/atomic"
	"time"
)

// Stats are the counters and gauges of an [Ensemble].
type Stats struct {
	Calls    uint64 // of Do and Ask that asked members; each is one of the following when it is over
	Answered uint64 // with an answer of all members
	Partial  uint64 // with an answer of some
	Failed   uint64 // with a QuorumError, or an error or a panic of the combiner
	GaveUp   uint64 // because the caller's context ended

	Abandoned int           // member calls that have not returned though their call is over
	Members   []MemberStats // in the order of the members
}

// MemberStats are the counters and gauges of a member. They are counted when the call is over.
type MemberStats struct {
	Name      string
	Calls     uint64 // that were made; each is one of the following four
	Answers   uint64 // that were in time and good
	Errors    uint64 // bad answers, panics and Goexit included
	Timeouts  uint64 // by its Timeout, or the call's deadline
	Cancelled uint64 // because the call was decided without it, or its caller went away

	Latency   time.Duration // sum over Answers
	Abandoned int           // calls that have not returned though the call they were made for is over
}

// MeanLatency is the mean time that an answer took, 0 before the first.
func (m MemberStats) MeanLatency() time.Duration {
	if m.Answers == 0 {
		return 0
	}
	return m.Latency / time.Duration(m.Answers)
}

type counters struct{ calls, answered, partial, failed, gaveUp atomic.Uint64 }

type memberCounters struct {
	answers, errors, timeouts, cancelled atomic.Uint64
	latency, abandoned                   atomic.Int64
}

// Stats are the counters and gauges at this moment.
func (e *Ensemble[Req, In, Out]) Stats() Stats {
	s := Stats{
		Answered: e.count.answered.Load(), Partial: e.count.partial.Load(),
		Failed: e.count.failed.Load(), GaveUp: e.count.gaveUp.Load(), Calls: e.count.calls.Load(),
		Members: make([]MemberStats, len(e.members)),
	}
	for i := range e.members {
		c, m := &e.counts[i], &s.Members[i]
		*m = MemberStats{
			Name: e.members[i].Name, Answers: c.answers.Load(), Errors: c.errors.Load(), Timeouts: c.timeouts.Load(),
			Cancelled: c.cancelled.Load(), Latency: time.Duration(c.latency.Load()), Abandoned: int(c.abandoned.Load()),
		}
		m.Calls = m.Answers + m.Errors + m.Timeouts + m.Cancelled
		s.Abandoned += m.Abandoned
	}
	return s
}
