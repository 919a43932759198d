package rollout

import (
	"fmt"
	"time"
)

// outcome is how a request of a ramp has ended.
type outcome struct {
	arm       arm
	keyed     bool
	took      time.Duration
	failed    bool
	cancelled bool // by the caller, which says nothing about the model, but that it had not answered by then
}

// record takes the samples of a request, and rolls back if they make a gate fail. What comes from a former step is not mixed in with the present one.
func (c *Canary[Req, Resp]) record(s *stage, o outcome) {
	c.mu.Lock()
	n := &c.count.arms[o.arm]
	n.Calls++
	switch {
	case o.cancelled:
		n.Cancelled++
	case o.failed:
		n.Failed++
	}
	if !o.keyed {
		c.count.anonymous++
	}
	c.judge(s, func() {
		for _, g := range s.gauges {
			switch {
			case g.Metric == Errors && !o.cancelled:
				g.add(o.arm, bit(o.failed))
			case g.Metric == Abandoned:
				g.add(o.arm, bit(o.cancelled))
			case g.Metric == Slow && (!o.cancelled || o.took > g.SlowAfter):
				g.add(o.arm, bit(o.took > g.SlowAfter))
			}
		}
		if o.cancelled {
			return
		}
		if o.arm == challenger {
			s.samples++
		}
	})
}

// assign takes a sample for the RatioTest. It is taken when a request begins, not when it ends: those of the slower arm end later, and would seem to be too few.
func (c *Canary[Req, Resp]) assign(s *stage, a arm, hash uint64) {
	if s.ratio == nil || !s.seen.first(hash) {
		return
	}
	c.mu.Lock()
	c.judge(s, func() { s.ratio.Add(a == challenger) })
}

// judge adds samples, if s is the present stage of a ramp, and looks at what they say. It is called with the lock held, and gives it back.
func (c *Canary[Req, Resp]) judge(s *stage, add func()) {
	if c.stage != s || c.phase != Ramping && c.phase != Promoting {
		c.mu.Unlock()
		return
	}
	add()
	var e CanaryEvent
	if c.phase == Ramping { // while it is being promoted it is too late; if that fails Step looks again
		if gate, why := s.failed(); why != "" {
			e = c.leave(RolledBack, gate, why)
		}
	}
	hook := c.cfg.OnEvent
	c.mu.Unlock()
	if hook != nil && !e.Time.IsZero() {
		hook(e)
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Agreed is a sample for the gates of the metric Disagreement: whether the challenger has given the same answer as the champion to the same request, as a Shadow finds out. It is ignored when no ramp runs.
func (c *Canary[Req, Resp]) Agreed(agree bool) {
	c.mu.Lock()
	s := c.stage
	c.judge(s, func() {
		for _, g := range s.gauges {
			if g.Metric == Disagreement {
				g.add(challenger, bit(!agree))
			}
		}
	})
}

// Observe is a sample, from 0, good, to 1, bad, of the challenger for the gate of this name, whose metric must be Observed. It is ignored when no ramp runs.
//
// It counts for the step of now, whenever the request was: a label that comes late is as good for the same challenger. After Restart with another one do not
// hand in what is about the one before.
func (c *Canary[Req, Resp]) Observe(gate string, x float64) error {
	c.mu.Lock()
	s := c.stage
	for _, g := range s.gauges {
		if g.Name == gate && g.Metric == Observed {
			c.judge(s, func() { g.add(challenger, x) })
			return nil
		}
	}
	c.mu.Unlock()
	return fmt.Errorf("rollout: no gate %q of the metric Observed", gate)
}
