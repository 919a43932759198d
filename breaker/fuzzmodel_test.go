package breaker_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/scalable-ai/patterns/breaker"
)

// model is what a breaker should do, written for being obviously right. Times are since base.
type model struct {
	cfg  breaker.Config
	fail func(format string, args ...any)
	base time.Time

	state    breaker.State
	era      int // changes with each change of state, and with each Reset
	calls    []modelResult
	probes   []*modelCall // under way
	until    time.Duration
	failures int // of rounds of probes, since it was closed
	floor    time.Duration
	chosen   time.Duration // the open time of the last change
	counters breaker.Counters
	got      []breaker.StateEvent // by the breaker, which changes before the model does
}

// modelResult is a call that counted: in the window, or as a probe.
type modelResult struct {
	at           time.Duration
	failed, slow bool
}

// modelCall is a call that was let in.
type modelCall struct {
	ctx     context.Context
	start   time.Duration
	first   time.Duration // -1: none
	era     int
	probe   bool
	settled bool
}

func newModel(cfg breaker.Config, fail func(string, ...any)) *model {
	return &model{cfg: cfg, fail: fail, base: time.Now()}
}

func (m *model) clock() time.Duration { return time.Since(m.base) }

// now is the state, after what is due by the clock.
func (m *model) now() breaker.State {
	if m.state == breaker.StateOpen && m.clock() >= m.until {
		m.enterState(breaker.StateHalfOpen, breaker.ReasonOpenTime)
	}
	for m.state == breaker.StateHalfOpen {
		i := slices.IndexFunc(m.probes, func(c *modelCall) bool { return m.clock() >= c.start+m.cfg.ProbeLease })
		if i < 0 {
			break
		}
		c := m.probes[i]
		m.counters.Unreturned++
		m.probes = slices.Delete(m.probes, i, i+1)
		slow := c.first >= 0 && m.cfg.SlowAfter > 0 && c.first-c.start >= m.cfg.SlowAfter
		m.probed(modelResult{failed: c.first < 0, slow: slow})
	}
	return m.state
}

func (m *model) enterState(to breaker.State, reason breaker.Reason) {
	change := breaker.StateEvent{From: m.state, To: to, Reason: reason}
	switch {
	case reason == breaker.ReasonProbes || reason == breaker.ReasonThrottled && m.state == breaker.StateHalfOpen:
		change.Calls, change.Failed, change.Slow = sum(m.calls)
	case to == breaker.StateOpen:
		change.Calls, change.Failed, change.Slow = sum(m.window())
	}
	if m.state != to {
		m.changed(change)
	}
	m.state = to
	m.era++
	m.calls, m.probes = nil, nil
	if to == breaker.StateClosed || to == breaker.StateForcedClosed {
		m.failures, m.floor = 0, 0
	}
}

// changed compares a change of the model with the next one of the breaker.
func (m *model) changed(want breaker.StateEvent) {
	if len(m.got) == 0 {
		m.fail("the breaker did not change: %+v", want)
		return
	}
	got := m.got[0]
	m.got = m.got[1:]
	m.chosen, got.OpenFor = got.OpenFor, 0
	if got != want {
		m.fail("the breaker changed\n%+v, the model\n%+v", got, want)
	}
}

func sum(calls []modelResult) (n, failed, slow int) {
	for _, c := range calls {
		if c.failed {
			failed++
		}
		if c.slow {
			slow++
		}
	}
	return len(calls), failed, slow
}

// window are the calls that count now.
func (m *model) window() []modelResult {
	if m.cfg.WindowTime == 0 {
		return m.calls[max(0, len(m.calls)-m.cfg.Window):]
	}
	tenth := m.cfg.WindowTime / 10
	var in []modelResult
	for _, c := range m.calls {
		if c.at/tenth > m.clock()/tenth-10 {
			in = append(in, c)
		}
	}
	return in
}

// enter is a call that the breaker has let in (err is nil) or not.
func (m *model) enter(ctx context.Context, err error) *modelCall {
	if ctx.Err() != nil {
		if !errors.Is(err, ctx.Err()) {
			m.fail("let in though the context has ended, or %v", err)
		}
		return nil
	}
	state := m.now()
	n, _, _ := sum(m.calls)
	let := state == breaker.StateClosed || state == breaker.StateForcedClosed ||
		state == breaker.StateHalfOpen && len(m.probes) < m.cfg.ProbeConcurrency && n+len(m.probes) < m.cfg.Probes
	if let != (err == nil) {
		m.fail("%v: the model lets it in: %t (%v)", err, let, state)
		return nil
	}
	if err != nil {
		m.counters.Rejected++
		var open *breaker.OpenError
		if !errors.Is(err, breaker.ErrOpen) || !errors.As(err, &open) || open.State != state {
			m.fail("rejected by %v in state %v", err, state)
		}
		return nil
	}
	c := &modelCall{ctx: ctx, start: m.clock(), first: -1, era: m.era, probe: state == breaker.StateHalfOpen}
	if c.probe {
		m.probes = append(m.probes, c)
	}
	return c
}

func (m *model) firstToken(c *modelCall) {
	if !c.settled && c.first < 0 {
		c.first = m.clock()
	}
}

// leave is the end of a call.
func (m *model) leave(c *modelCall, o breaker.Outcome, err error) {
	if c == nil || c.settled {
		return
	}
	c.settled = true
	took := m.clock() - c.start
	end := m.clock()
	if c.first >= 0 {
		end = c.first
	}
	slow := m.cfg.SlowAfter > 0 && end-c.start >= m.cfg.SlowAfter
	if o == breaker.Default {
		o = m.byDefault(c.ctx, err, took, slow)
	}
	if o > breaker.Throttled {
		o = breaker.Failure
	}
	wait := time.Duration(0)
	var r later
	if errors.As(err, &r) {
		wait = min(r.wait, m.cfg.MaxRetryAfter)
	}
	if c.probe {
		m.now()
	}
	switch {
	case o == breaker.Neutral && !c.probe:
		m.counters.Neutral++
		return
	case c.era != m.era || c.probe && !slices.Contains(m.probes, c):
		m.counters.Late++
		return
	}
	if c.probe {
		m.probes = slices.DeleteFunc(m.probes, func(p *modelCall) bool { return p == c })
	}
	switch o {
	case breaker.Neutral:
		m.counters.Neutral++
	case breaker.Throttled:
		m.counters.Throttled++
		if m.state != breaker.StateForcedClosed {
			m.open(breaker.ReasonThrottled, wait)
		}
	default:
		m.counted(c, modelResult{m.clock(), o == breaker.Failure, slow}, wait)
	}
}

func (m *model) byDefault(ctx context.Context, err error, took time.Duration, slow bool) breaker.Outcome {
	switch {
	case err == nil:
		return breaker.Success
	case ctx.Err() == nil:
		return breaker.Failure
	case errors.Is(ctx.Err(), context.Canceled) && slow:
		return breaker.Success
	case errors.Is(ctx.Err(), context.Canceled), m.cfg.SlowAfter > 0 && took < m.cfg.SlowAfter:
		return breaker.Neutral
	}
	return breaker.Failure
}

func (m *model) counted(c *modelCall, r modelResult, wait time.Duration) {
	m.counters.Calls++
	if r.failed {
		m.counters.Failed++
		if wait > 0 {
			m.floor = max(m.floor, m.clock()+wait)
		}
	}
	if r.slow {
		m.counters.Slow++
	}
	if c.probe {
		m.probed(r)
		return
	}
	m.calls = append(m.calls, r)
	n, failed, slow := sum(m.window())
	if m.state == breaker.StateForcedClosed || n < m.cfg.MinCalls {
		return
	}
	if failed > 0 && float64(failed)/float64(n) >= m.cfg.FailureRate {
		m.open(breaker.ReasonFailureRate, 0)
	} else if slow > 0 && float64(slow)/float64(n) >= m.cfg.SlowRate {
		m.open(breaker.ReasonSlowRate, 0)
	}
}

func (m *model) probed(r modelResult) {
	m.calls = append(m.calls, r)
	well := 0
	for _, c := range m.calls {
		if !c.failed && !c.slow {
			well++
		}
	}
	could := well + m.cfg.Probes - len(m.calls) // if all that are left went well
	enough := func(n int) bool { return float64(n)/float64(m.cfg.Probes) >= m.cfg.ProbeRatio }
	if enough(well) {
		m.enterState(breaker.StateClosed, breaker.ReasonProbes)
	} else if !enough(could) {
		m.open(breaker.ReasonProbes, 0)
	}
}

// open takes over the open time that the breaker has chosen, if it is right.
func (m *model) open(reason breaker.Reason, throttled time.Duration) {
	m.counters.Opened++
	now := m.clock()
	least := m.floor - now
	most := least
	if throttled > 0 {
		least = max(least, throttled)
		most = least
	} else {
		d := float64(m.cfg.OpenFor) * math.Pow(2, float64(m.failures))
		d = min(d, float64(m.cfg.MaxOpenFor))
		m.failures++
		most = max(most, time.Duration(d))
		least = max(least, time.Duration(d*(1-m.cfg.Jitter))-1)
	}
	m.floor = 0
	m.enterState(breaker.StateOpen, reason)
	d := m.chosen
	if d < least || d > most {
		m.fail("open for %v, should be between %v and %v", d, least, most)
	}
	m.until = now + d
}

func (m *model) force(to breaker.State, reason breaker.Reason) {
	if m.state != to || reason == breaker.ReasonReset {
		m.enterState(to, reason)
	}
}

func (m *model) stats() breaker.Stats {
	m.now()
	s := breaker.Stats{Counters: m.counters, State: m.state, Probing: len(m.probes)}
	if m.state == breaker.StateHalfOpen {
		s.WindowCalls, s.WindowFailed, s.WindowSlow = sum(m.calls)
	} else {
		s.WindowCalls, s.WindowFailed, s.WindowSlow = sum(m.window())
	}
	return s
}
