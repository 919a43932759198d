package ensemble

import (
	"sync/atomic"
	"time"
)

// CascadeStats are the counters of a [Cascade]. While requests run, they need not agree with each other; when none does, Calls = Answered + Abstained +
// Failed + Cancelled + those in which a stage or Confidence has panicked or called runtime.Goexit.
type CascadeStats struct {
	Calls     uint64 // of Do and DoResult that called a stage
	Answered  uint64 // with an answer
	Fallbacks uint64 // of these; an unsure answer stood because the stages after it were skipped or failed
	Abstained uint64
	Failed    uint64 // with the error of stages
	Cancelled uint64 // with the cause of the caller's context
	Stages    []StageStats
}

// StageStats are the counters and gauges of one stage. Of its calls that are over, some answered surely, and the others are Unsure, Failed or Cancelled.
type StageStats struct {
	Name      string
	Threshold float64
	Calls     uint64
	Unsure    uint64 // answers under the threshold; of a last stage without one, all answers
	Failed    uint64 // calls that failed, time-outs and panics included
	TimedOut  uint64 // of these; failed after Stage.Timeout
	Cancelled uint64 // calls that ended with an error because the caller's context or the Reserve ended them
	Escalated uint64 // unsure answers after which a later stage was called
	Answered  uint64 // requests that got this stage's answer
	Fallbacks uint64 // of these; unsure, because the stages after it were skipped or failed
	Abstained uint64 // requests that got an AbstainError with this stage's answer
	Skipped   uint64 // times it was not called because the caller's deadline was too near

	RunTime time.Duration // that the calls took, summed up
	Latency time.Duration // that a call is expected to take: Stage.Latency or what was learned; 0 if nothing is known, and for the first stage
}

// MeanRunTime is the mean duration of a call, 0 before the first. Calls that still run count, with no time.
func (s StageStats) MeanRunTime() time.Duration {
	if s.Calls == 0 {
		return 0
	}
	return s.RunTime / time.Duration(s.Calls)
}

type stageCounters struct {
	calls, unsure, errors, timeouts, cut              atomic.Uint64
	escalated, answered, fallback, abstained, skipped atomic.Uint64
	time                                              atomic.Int64
}

// Stats are the counters and gauges at this moment.
func (c *Cascade[Req, Resp]) Stats() CascadeStats {
	st := CascadeStats{Failed: c.failed.Load(), Cancelled: c.ended.Load(), Calls: c.count[0].calls.Load()}
	thresholds := *c.thresholds.Load()
	for i := range c.stages {
		n := &c.count[i]
		s := StageStats{
			Name: c.stages[i].Name, Threshold: thresholds[i],
			Calls: n.calls.Load(), Unsure: n.unsure.Load(), Failed: n.errors.Load(), TimedOut: n.timeouts.Load(), Cancelled: n.cut.Load(),
			Escalated: n.escalated.Load(), Answered: n.answered.Load(), Fallbacks: n.fallback.Load(), Abstained: n.abstained.Load(),
			Skipped: n.skipped.Load(), RunTime: time.Duration(n.time.Load()),
		}
		if i > 0 {
			s.Latency = c.expected(i)
		}
		st.Answered += s.Answered
		st.Fallbacks += s.Fallbacks
		st.Abstained += s.Abstained
		st.Stages = append(st.Stages, s)
	}
	return st
}
