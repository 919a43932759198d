package route

import (
	"math"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// outcome is how an attempt ended, for the member.
type outcome uint8

const (
	answered outcome = iota
	failed           // by the member's fault
	busy             // not taken
	rejected         // the request's own fault
	gaveUp           // the caller's context ended
)

// health is what is known about a member: whether it may be asked, how long it takes, what it has done.
//
// It is Up until it has failed too often. Then it is Cooling, until a time; after that the first request that comes makes it Probing, and no other
// request is let in until that one has ended. Each change begins a new epoch. The end of an attempt changes the state only in the epoch in which the
// attempt began: the failures of requests that were on their way when the member was put aside say nothing new, and a success of that time
// must not end the cool-down.
type health struct {
	name string
	hash uint64
	cfg  *Config
	born time.Time

	mu       sync.Mutex
	state    State
	epoch    uint64
	until    time.Duration   // end of the cool-down, since born
	cooldown time.Duration   // the last one, without what RetryAfter added; 0 if the member was well since
	failures []time.Duration // when it failed within the window, since born, while Up
	estimate float64         // of the latency in nanoseconds, at stamp; 0 if there is none
	stamp    time.Duration
	stats    MemberStats // its counters and InFlight
}

func newHealth(name string, cfg *Config) *health {
	return &health{name: name, hash: xxhash.Sum64String(name), cfg: cfg, born: time.Now()}
}

// lease is an attempt that has begun. It must be ended.
type lease struct {
	*health
	began    time.Time
	epoch    uint64
	probe    bool
	answered bool       // the latency has been taken
	event    StateEvent // the change that it made when it began, if To differs from From
}

// look returns what a picker sees and, if the member may not be asked now, false and the time until it may be probed.
func (h *health) look(now time.Time, c *Candidate) (wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := now.Sub(h.born)
	if h.state == Probing {
		return 0, false
	}
	if h.state == Cooling && at < h.until {
		return h.until - at, false
	}
	c.Name, c.hash, c.InFlight, c.Latency = h.name, h.hash, h.stats.InFlight, time.Duration(h.decayed(at))
	return 0, true
}

// begin starts an attempt, as the probe if one is due. It returns false if the member may not be asked, unless forced.
func (h *health) begin(now time.Time, forced, fallback bool) (l lease, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l = lease{health: h, began: now}
	switch {
	case h.state == Up:
	case h.state == Cooling && now.Sub(h.born) >= h.until:
		l.event = h.become(Probing, 0, nil)
		l.probe = true
		h.stats.Probes++
	case !forced:
		return l, false
	}
	l.epoch = h.epoch
	h.stats.Calls++
	h.stats.InFlight++
	if fallback {
		h.stats.Fallbacks++
	}
	return l, true
}

// first notes the first chunk of a stream: the member is alive, and this is its latency. The attempt goes on.
func (l *lease) first(now time.Time) StateEvent {
	h := l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	l.answered = true
	h.observe(now.Sub(h.born), now.Sub(l.began))
	current := l.epoch == h.epoch
	event := h.settle(l, answered, 0, nil, 0)
	if current { // what comes after counts like a request that begins now; one that began before a change stays without effect
		l.epoch, l.probe = h.epoch, false
	}
	return event
}

// end ends the attempt. retryAfter is what the error asks for, 0 if nothing. The event is a change if its To differs from its From.
func (l *lease) end(now time.Time, out outcome, err error, retryAfter time.Duration) StateEvent {
	h := l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.InFlight--
	h.stats.count(out)
	at, took := now.Sub(h.born), now.Sub(l.began)
	switch {
	case l.answered:
	case out == answered:
		h.observe(at, took)
	case out == failed || out == gaveUp:
		// An answer would have taken longer, nobody knows how much. With less than twice the time the estimate would be down to what callers allow
		// at once, and a hanging member that is cheap would be picked again and again.
		h.observe(at, 2*min(took, math.MaxInt64/2))
	}
	return h.settle(l, out, at, err, retryAfter)
}

// settle changes the state.
func (h *health) settle(l *lease, out outcome, at time.Duration, err error, retryAfter time.Duration) StateEvent {
	if l.epoch != h.epoch {
		return StateEvent{}
	}
	switch out {
	case answered, rejected:
		if h.state != Up {
			h.cooldown = 0
			return h.become(Up, 0, nil)
		}
	case busy, gaveUp:
		if l.probe { // undecided: the next request is the probe
			return h.become(Cooling, 0, err)
		}
	case failed:
		if l.probe || h.state == Up && h.tooMany(at, retryAfter > 0) {
			return h.cool(at, err, retryAfter)
		}
	}
	return StateEvent{}
}

// tooMany notes a failure and says whether the member is to be put aside.
func (h *health) tooMany(at time.Duration, atOnce bool) bool {
	old := 0
	for old < len(h.failures) && at-h.failures[old] > h.cfg.FailureWindow {
		old++
	}
	h.failures = append(h.failures[old:], at)
	return atOnce || len(h.failures) >= h.cfg.MaxFailures
}

func (h *health) cool(at time.Duration, err error, retryAfter time.Duration) StateEvent {
	switch {
	case h.cooldown == 0:
		h.cooldown = h.cfg.Cooldown
	case h.cooldown > h.cfg.MaxCooldown/2:
		h.cooldown = h.cfg.MaxCooldown
	default:
		h.cooldown *= 2
	}
	wait := max(h.cooldown, min(retryAfter, h.cfg.MaxRetryAfter))
	h.until = at + min(wait, math.MaxInt64-at)
	h.stats.Cooldowns++
	return h.become(Cooling, wait, err)
}

func (h *health) become(to State, wait time.Duration, err error) StateEvent {
	event := StateEvent{Member: h.name, From: h.state, To: to, Wait: wait, Err: err}
	h.state = to
	h.epoch++
	h.failures = nil
	return event
}

// observe takes a latency into the estimate: a peak EWMA, see [Fastest].
func (h *health) observe(at, took time.Duration) {
	sample := max(1, float64(took))
	if now := h.decayed(at); h.estimate == 0 || sample >= now {
		h.estimate = sample
	} else {
		h.estimate = now + sample*(1-h.weight(at))
	}
	h.stamp = max(h.stamp, at)
}

// decayed is the estimate at a time.
func (h *health) decayed(at time.Duration) float64 { return h.estimate * h.weight(at) }

// weight is what is left of the estimate.
func (h *health) weight(at time.Duration) float64 {
	if h.estimate == 0 {
		return 0
	}
	return math.Exp(-float64(max(0, at-h.stamp)) / float64(h.cfg.LatencyDecay))
}

func (h *health) snapshot(now time.Time) MemberStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, at := h.stats, now.Sub(h.born)
	s.Name, s.State, s.Latency = h.name, h.state, time.Duration(h.decayed(at))
	if h.state == Cooling {
		s.Wait = max(0, h.until-at)
	}
	return s
}
