package rollout

import (
	"context"
	"fmt"
	"time"
)

// CanaryOption sets a callback that depends on the type of the requests.
type CanaryOption[Req any] func(*canaryOptions[Req]) error

type canaryOptions[Req any] struct {
	key     func(context.Context, Req) string
	failure any // func(Req, Resp, error) bool; NewCanary knows Resp and checks it
}

// WithKey gives requests a key: the user, the account, the device. Requests of one key get the same arm. The empty key is an anonymous request, which gets any arm, in proportion, or the champion if there is
// a Namespace. It runs on the caller's goroutine, while a ramp runs. Default: all requests are anonymous.
func WithKey[Req any](key func(context.Context, Req) string) CanaryOption[Req] {
	return func(o *canaryOptions[Req]) error {
		if key == nil {
			return fmt.Errorf("rollout: WithKey: nil function")
		}
		o.key = key
		return nil
	}
}

// WithFailure says what counts as a failure for the metric Errors. It runs on the caller's goroutine, outside locks, for both arms. Default: err is not nil. Whatever it says, a
// request that its caller has cancelled is no sample (one whose deadline has passed is), and one that panics has failed, as has one for which this panics, which goes to the caller.
func WithFailure[Req, Resp any](failed func(Req, Resp, error) bool) CanaryOption[Req] {
	return func(o *canaryOptions[Req]) error {
		if failed == nil {
			return fmt.Errorf("rollout: WithFailure: nil function")
		}
		o.failure = failed
		return nil
	}
}

// Phase is where a ramp is.
type Phase uint8

// The phases.
const (
	Ramping    Phase = iota // the challenger gets the share of the step
	Promoting               // CanaryConfig.Promote runs, the share is still that of the last step
	Promoted                // ended: the challenger gets everything
	RolledBack              // ended: it gets nothing
)

var phaseNames = [...]string{"ramping", "promoting", "promoted", "rolled back"}

// String is the phase's name in lower case.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// CanaryEventKind says what happened.
type CanaryEventKind uint8

// The kinds of events of a Canary.
const (
	CanaryStep          CanaryEventKind = iota // a step has begun; the first is 0
	CanaryPromoted                             // the ramp has ended
	CanaryPromoteFailed                        // CanaryConfig.Promote has failed, see Why
	CanaryRolledBack                           // the ramp has ended
)

var canaryEventNames = [...]string{"step", "promoted", "promote failed", "rolled back"}

// String is the kind's name in lower case.
func (k CanaryEventKind) String() string {
	if int(k) < len(canaryEventNames) {
		return canaryEventNames[k]
	}
	return fmt.Sprintf("CanaryEventKind(%d)", uint8(k))
}

// CanaryEvent is a change of a ramp.
type CanaryEvent struct {
	Time  time.Time
	Kind  CanaryEventKind
	Step  int // the present one, or the last
	Share float64
	Gate  string // that has failed, if it is that
	Why   string
}

// CanaryStats are the counters and gauges of a Canary. Requests that come when no ramp runs are not counted.
type CanaryStats struct {
	Phase Phase
	Step  int // index in CanaryConfig.Steps of the present step, or the last
	Share float64
	Since time.Time // when the step began
	Why   string    // the ramp has ended

	Samples    uint64      // requests that the challenger has answered in the step, failures included
	Gates      []GateStats // in the step
	RatioShare float64     // the challenger's share of the samples of the RatioTest in the step; 0 if there are none
	RatioP     float64     // its p-value

	// Over all ramps.
	Champion, Challenger ArmStats
	Anonymous            uint64 // requests without a key that were in an arm
	Ineligible           uint64 // requests in no arm: outside the range of the namespace, or without a key where there is one
	Promotions           uint64
	RollBacks            uint64
}

// ArmStats are the counters of an arm: requests that have ended.
type ArmStats struct {
	Calls     uint64
	Failed    uint64 // of these
	Cancelled uint64 // of these, by the caller
}

type canaryCounters struct {
	arms                             [2]ArmStats
	anonymous, promotions, rollBacks uint64
}

// Stats are the counters and gauges at this moment.
func (c *Canary[Req, Resp]) Stats() CanaryStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats()
}

// stats is Stats with the lock held.
func (c *Canary[Req, Resp]) stats() CanaryStats {
	s := c.stage
	st := CanaryStats{
		Phase: c.phase, Step: s.index, Share: s.share, Since: s.began, Why: c.why, Samples: s.samples, RatioP: 1,
		Champion: c.count.arms[champion], Challenger: c.count.arms[challenger],
		Anonymous: c.count.anonymous, Ineligible: c.ineligible.Load(), Promotions: c.count.promotions, RollBacks: c.count.rollBacks,
	}
	for _, g := range s.gauges {
		st.Gates = append(st.Gates, g.stats())
	}
	if s.ratio != nil {
		st.RatioShare, st.RatioP = s.ratio.Share(), s.ratio.PValue()
	}
	return st
}
