package breaker

import "time"

// Counters count what became of calls since New. Each call that was let through, once it has come back, is in one of
// Calls, Neutral, Throttled and Late.
type Counters struct {
	Calls      uint64 // calls that counted, probes included: Failed and those that succeeded
	Failed     uint64 // those with outcome Failure
	Slow       uint64 // those that took SlowAfter or longer, whether they failed or not
	Neutral    uint64 // calls with outcome Neutral
	Throttled  uint64 // calls with outcome Throttled
	Late       uint64 // calls that began before the breaker opened, closed or was reset, outlived their lease or their breaker: dropped
	Rejected   uint64 // calls that were not let through
	Opened     uint64 // times the breaker opened, from closed or half-open; ForceOpen not counted
	Unreturned uint64 // probes whose lease ran out; they are also Late when they come back
	KeptClosed uint64 // times it would have opened but for Config.MaxOpenShare
}

func (c *Counters) add(o Counters) {
	c.Calls += o.Calls
	c.Failed += o.Failed
	c.Slow += o.Slow
	c.Neutral += o.Neutral
	c.Throttled += o.Throttled
	c.Late += o.Late
	c.Rejected += o.Rejected
	c.Opened += o.Opened
	c.Unreturned += o.Unreturned
	c.KeptClosed += o.KeptClosed
}

// Stats are the counters and gauges of one breaker. While calls end at the same time, the counters may be those of slightly
// different moments.
type Stats struct {
	Counters
	State      State         // as of now
	RetryAfter time.Duration // StateOpen: what is left of the open time; otherwise 0
	Probing    int           // StateHalfOpen: probes under way

	// What the window holds, or the finished probes of this round: 0 while the breaker is open.
	WindowCalls, WindowFailed, WindowSlow int
}

func (c *core) snapshot() Stats {
	c.mu.Lock()
	defer c.unlock()
	now := c.now()
	c.advance(now)
	s := Stats{Counters: c.counters(), State: c.state}
	var t tally
	if c.round != nil {
		t, s.Probing = c.round.tally, len(c.round.live)
	} else if e := c.closed.Load(); e != nil {
		t = e.window.tally(e.calls.sum(), now)
	} else if c.state == StateOpen {
		s.RetryAfter = c.refuse.Load().RetryAfter()
	}
	s.WindowCalls, s.WindowFailed, s.WindowSlow = t.calls, t.failed, t.slow
	return s
}

// counters is called under mu, or when the breaker is retired.
func (c *core) counters() Counters {
	s := Counters{
		Calls: c.past, Failed: c.failed.Load(), Slow: c.slow.Load(), Neutral: c.neutral.Load(), Throttled: c.throttled.Load(),
		Late: c.late.Load(), Rejected: c.rejected.Load(), Opened: c.opened, Unreturned: c.unreturned, KeptClosed: c.refused,
	}
	if e := c.closed.Load(); e != nil {
		s.Calls += e.calls.sum()
	}
	return s
}
