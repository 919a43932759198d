package breaker

import (
	"slices"
	"time"
)

// round is one attempt to close again: so many probes, of which so many must succeed.
type round struct {
	live  []*probe
	tally tally // of the probes that are settled
	good  int   // probes that neither failed nor were slow
}

// probe is a call that is let through while the breaker is half-open.
type probe struct {
	round   *round
	start   time.Duration
	expires time.Duration // end of its lease
	first   time.Duration // when its first token came, 0 if not yet; under core.mu
}

// admit lets a call in as a probe, or returns nil. It lets in no more than are needed.
func (r *round) admit(cfg *Config, now time.Duration) *probe {
	if len(r.live) >= cfg.ProbeConcurrency || len(r.live)+r.tally.calls >= cfg.Probes {
		return nil
	}
	p := &probe{round: r, start: now, expires: after(now, cfg.ProbeLease)}
	r.live = append(r.live, p)
	return p
}

// settle takes the probe's place back. It returns false if the probe has lost it already.
func (r *round) settle(p *probe) bool {
	i := slices.Index(r.live, p)
	if i < 0 {
		return false
	}
	r.live = slices.Delete(r.live, i, i+1)
	return true
}

// settleProbe ends a probe. If its lease or its round is over, the result is late.
func (c *core) settleProbe(p *probe, r result) {
	c.mu.Lock()
	defer c.unlock()
	c.advance(c.now())
	switch {
	case c.round != p.round || !c.round.settle(p):
		c.addLate()
	case r.outcome == Neutral:
		c.addNeutral()
	case r.outcome == Throttled:
		c.throttled.Add(1)
		if r.wait > 0 {
			c.hold(r.wait)
		}
		c.open(ReasonThrottled, p.round.tally, r.wait)
	default:
		failed := r.outcome == Failure
		if failed && r.wait > 0 {
			c.hold(r.wait)
		}
		c.past++
		if failed {
			c.failed.Add(1)
		}
		if r.slow {
			c.slow.Add(1)
		}
		c.probed(failed, r.slow)
	}
}

// expireProbes settles the probes whose lease is over. One whose stream has begun in time has shown that the back-end is well.
func (c *core) expireProbes(now time.Duration) {
	r := c.round
	for i := 0; i < len(r.live) && c.round == r; {
		p := r.live[i]
		if now < p.expires {
			i++
			continue
		}
		r.settle(p)
		c.unreturned++
		slow := p.first > 0 && c.cfg.SlowAfter > 0 && p.first-p.start >= c.cfg.SlowAfter
		c.probed(p.first == 0, slow)
	}
}

// probed counts a probe and ends the round if that decides it.
func (c *core) probed(failed, slow bool) {
	r := c.round
	r.tally.add(failed, slow)
	if !failed && !slow {
		r.good++
	}
	need := c.cfg.needed()
	switch {
	case r.good >= need:
		c.machine.close()
		c.round = nil
		c.quota.give(c)
		c.beginEra(false)
		c.state = StateClosed
		c.changed(StateEvent{From: StateHalfOpen, To: StateClosed, Reason: ReasonProbes,
			Calls: r.tally.calls, Failed: r.tally.failed, Slow: r.tally.slow})
	case r.tally.calls-r.good > c.cfg.Probes-need:
		c.open(ReasonProbes, r.tally, 0)
	}
}
