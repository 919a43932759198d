package breaker

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// core is a breaker without the types of requests and responses.
//
// While it is closed, calls see an era and nothing else: they load the pointer when they begin, and record their outcome in it when they
// end. What ends an era (its own window, or a method) first seals it, so that results that come later are recognised, and
// happens under mu, as does everything while the breaker is not closed.
type core struct {
	cfg    Config
	key    any     // in a Keyed
	quota  *quota  // in a Keyed with a bound on the share of open breakers
	strays *strays // in a Keyed
	base   time.Time
	closed atomic.Pointer[era]       // nil while the breaker is not closed
	refuse atomic.Pointer[OpenError] // how calls are rejected without mu; nil if they cannot be

	_                                                [64]byte // what follows is written often
	failed, slow, neutral, throttled, late, rejected atomic.Uint64

	mu         sync.Mutex
	state      State
	machine    machine
	round      *round // of probes; nil unless half-open
	halfOpen   *OpenError
	past       uint64        // calls that counted in past eras and as probes
	doublings  int           // of the open time
	notBefore  time.Duration // when the breaker may close again, by a Retry-After
	cooled     time.Duration // when the open time, or the lease of the last probe, was or will be over
	opened     uint64
	unreturned uint64
	refused    uint64 // by quota
	events     []StateEvent
	delivering bool
	removed    bool // from its Keyed: closed, but without an era
}

// era is a time in which the breaker is closed. It ends when the breaker opens, or is reset or forced.
type era struct {
	calls  counter // that counted
	window window
	forced bool // nothing opens it but ForceOpen and Reset
}

func newEra(cfg *Config, forced bool) *era {
	return &era{calls: newCounter(), window: newWindow(cfg), forced: forced}
}

func newCore(cfg Config, key any, q *quota, s *strays) *core {
	c := &core{cfg: cfg, key: key, quota: q, strays: s, base: time.Now()}
	if q != nil {
		c.base = q.base
	}
	c.halfOpen = c.openError(StateHalfOpen)
	c.closed.Store(newEra(&c.cfg, false))
	return c
}

func (c *core) now() time.Duration { return time.Since(c.base) }

// call is what a call carries from its beginning to its end.
type call struct {
	era   *era          // in which it began
	probe *probe        // if it is one
	start time.Duration // if there is a SlowAfter
}

// enter lets a call in or rejects it.
func (c *core) enter(ctx context.Context) (call, error) {
	if ctx.Err() != nil {
		return call{}, context.Cause(ctx)
	}
	e := c.closed.Load()
	if e == nil {
		return c.enterProbe()
	}
	k := call{era: e}
	if c.cfg.SlowAfter > 0 {
		k.start = c.now()
	}
	return k, nil
}

// enterProbe is enter for a breaker that was not closed a moment ago.
func (c *core) enterProbe() (call, error) {
	if r := c.refuse.Load(); r != nil && (r.State == StateForcedOpen || c.now() < r.holds) {
		c.rejected.Add(1)
		return call{}, r
	}
	c.mu.Lock()
	now := c.now()
	c.advance(now)
	var k call
	switch {
	case c.state.passes():
		if k = (call{era: c.closed.Load(), start: now}); k.era == nil {
			k.era = overEra
		}
	case c.round != nil:
		if p := c.round.admit(&c.cfg, now); p != nil {
			k = call{probe: p, start: now}
			c.keep(p.expires)
		}
	}
	var err error
	if k.era == nil && k.probe == nil {
		c.rejected.Add(1)
		if err = c.halfOpen; c.state != StateHalfOpen {
			err = c.refuse.Load()
		}
	}
	entered := false
	defer func() {
		if !entered && k.probe != nil { // a hook has panicked: there will be no call
			c.mu.Lock()
			k.probe.round.settle(k.probe)
			c.mu.Unlock()
		}
	}()
	c.unlock()
	entered = true
	return k, err
}

// settle ends a call.
func (c *core) settle(k call, r result) {
	switch {
	case k.probe != nil:
		c.settleProbe(k.probe, r)
	case r.outcome == Neutral:
		c.addNeutral()
	case r.outcome == Throttled:
		c.throttle(k.era, r.wait)
	case r.outcome == Failure || r.slow || !k.era.window.calm(r.at):
		c.observe(k.era, r, false)
	case !k.era.calls.add():
		c.addLate()
	case !k.era.window.calm(r.at): // not any more, so whoever sees to that may not have seen this call
		c.observe(k.era, r, true)
	}
}

// observe shows a call to its era's window, and opens the breaker if the window says so. If the call is not counted yet, it is
// counted here, under mu: so the window has seen all failed and slow ones that are counted, and knows the step in time of the others.
func (c *core) observe(e *era, r result, counted bool) {
	failed := r.outcome == Failure
	c.mu.Lock()
	defer c.unlock()
	if c.closed.Load() != e {
		if !counted {
			c.addLate()
		}
		return
	}
	if !counted {
		e.calls.add()
	}
	if failed {
		c.failed.Add(1)
	}
	if r.slow {
		c.slow.Add(1)
	}
	t := e.window.observe(&e.calls, failed, r.slow, r.at)
	if failed && r.wait > 0 {
		c.hold(r.wait)
	}
	if reason, ok := c.cfg.judge(t); ok && !e.forced {
		c.trip(reason, t, 0)
	}
}

func (c *core) addLate() {
	c.late.Add(1)
	if c.strays != nil {
		c.strays.late.Add(1)
	}
}

func (c *core) addNeutral() {
	c.neutral.Add(1)
	if c.strays != nil {
		c.strays.neutral.Add(1)
	}
}

// throttle opens the breaker because a call was told to come back later.
func (c *core) throttle(e *era, wait time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	if c.closed.Load() != e {
		c.addLate()
		return
	}
	c.throttled.Add(1)
	if !e.forced {
		c.trip(ReasonThrottled, e.window.tally(e.calls.sum(), c.now()), wait)
	}
}

// hold makes the next open period last for d from now at least.
func (c *core) hold(d time.Duration) {
	c.notBefore = max(c.notBefore, after(c.now(), min(d, c.cfg.MaxRetryAfter)))
}

// trip ends the era and opens the breaker, if the Keyed's bound lets it.
func (c *core) trip(reason Reason, t tally, throttled time.Duration) {
	if throttled > 0 {
		c.hold(throttled) // also if it stays closed for now
	}
	if !c.quota.take(c) {
		c.refused++
		return
	}
	c.endEra()
	c.open(reason, t, throttled)
}

// beginEra makes the breaker closed.
func (c *core) beginEra(forced bool) {
	c.refuse.Store(nil)
	c.notBefore, c.doublings = 0, 0
	c.closed.Store(newEra(&c.cfg, forced))
}

// endEra seals the era.
func (c *core) endEra() {
	c.past += c.closed.Load().calls.seal()
	c.closed.Store(nil)
}

// open makes the breaker open. It is half-open, or its era has just ended. A back-end that said how long it wants to be left alone is
// taken at its word; otherwise the time doubles with each failed round of probes.
func (c *core) open(reason Reason, t tally, throttled time.Duration) {
	var d time.Duration
	if throttled <= 0 {
		d = c.nextOpenTime()
	}
	d = max(d, c.notBefore-c.now(), 2)
	c.round = nil
	c.machine.open(d)
	e := c.openError(StateOpen)
	// The clock is read after gobreaker has read it: when this time has come, gobreaker's has.
	e.holds = after(c.now(), d)
	e.until = c.base.Add(e.holds)
	c.keep(e.holds)
	c.refuse.Store(e)
	c.opened++
	c.changed(StateEvent{From: c.state, To: StateOpen, Reason: reason, OpenFor: d, Calls: t.calls, Failed: t.failed, Slow: t.slow})
	c.state = StateOpen
}

func (c *core) nextOpenTime() time.Duration {
	d := c.cfg.OpenFor
	for range c.doublings {
		if d > c.cfg.MaxOpenFor/2 {
			d = c.cfg.MaxOpenFor
			break
		}
		d *= 2
	}
	if d < c.cfg.MaxOpenFor {
		c.doublings++
	}
	return d - time.Duration(c.cfg.Jitter*rand.Float64()*float64(d))
}

func (c *core) openError(s State) *OpenError {
	return &OpenError{Name: c.cfg.Name, Key: c.key, keyed: c.key != nil, State: s}
}

// keep says when the open time, or the lease of the last probe, will be over. If the place in the quota has lapsed since advance
// looked, this takes another.
func (c *core) keep(until time.Duration) {
	c.cooled = until
	c.quota.keep(c, after(until, c.cfg.MaxOpenFor))
}

// stale reports whether nobody has asked for the breaker, which is open or half-open, for so long that it is as good as closed.
func (c *core) stale(now time.Duration) bool { return now >= after(c.cooled, c.cfg.MaxOpenFor) }

// advance does what is due by the clock.
func (c *core) advance(now time.Duration) {
	switch {
	case (c.state == StateOpen || c.state == StateHalfOpen) && c.stale(now) && !c.quota.has(c):
		from := c.state
		c.round = nil
		c.machine.reset()
		c.beginEra(false)
		c.state = StateClosed
		c.changed(StateEvent{From: from, To: StateClosed, Reason: ReasonEvicted})
	case c.state == StateOpen && c.machine.over():
		c.machine.probe()
		c.round = new(round)
		c.refuse.Store(nil)
		c.state = StateHalfOpen
		c.changed(StateEvent{From: StateOpen, To: StateHalfOpen, Reason: ReasonOpenTime})
	case c.round != nil:
		c.expireProbes(now)
	}
}

// force sets the state by hand.
func (c *core) force(to State, reason Reason) {
	c.mu.Lock()
	defer c.unlock()
	from := c.state
	if c.removed || from == to && reason == ReasonForced {
		return
	}
	if from.passes() {
		c.endEra()
	}
	c.round = nil
	c.machine.reset()
	if to.passes() {
		c.quota.give(c)
		c.beginEra(to == StateForcedClosed)
	} else {
		c.quota.keep(c, math.MaxInt64)
		c.refuse.Store(c.openError(StateForcedOpen))
	}
	c.state = to
	if from != to {
		c.changed(StateEvent{From: from, To: to, Reason: reason})
	}
}

// current is the state by now.
func (c *core) current() State {
	if e := c.closed.Load(); e != nil && !e.forced {
		return StateClosed
	}
	c.mu.Lock()
	defer c.unlock()
	c.advance(c.now())
	return c.state
}

// after is the moment d after now, without overflow.
func after(now, d time.Duration) time.Duration {
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}
