package breaker

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	DefaultFailureRate      = 0.5
	DefaultSlowRate         = 0.5
	DefaultWindow           = 100
	DefaultMinCalls         = 20 // or Window, whichever is less
	DefaultOpenFor          = 5 * time.Second
	DefaultMaxOpenFor       = time.Minute // or OpenFor, whichever is more
	DefaultJitter           = 0.1
	DefaultMaxRetryAfter    = 10 * time.Minute
	DefaultProbes           = 3 // or ProbeConcurrency, whichever is more
	DefaultProbeConcurrency = 1
	DefaultProbeRatio       = 0.6
	DefaultProbeLease       = time.Minute
	DefaultMaxKeys          = 1024
	DefaultMaxOpenShare     = 1.0
)

const maxWindow = 1 << 24 // calls: 4 MiB

// Config says when a breaker opens, for how long, and what closes it again. The zero value is usable: the breaker opens when
// half of the last 100 calls have failed (or of fewer, from 20 on), and probes after five seconds. A negative, contradictory or
// otherwise senseless value is an error from New and NewKeyed.
type Config struct {
	// Name says in errors and state changes which breaker it is. Default: none.
	Name string

	// FailureRate, in (0, 1], is the share of failures among the calls of the window that opens the breaker. Default:
	// DefaultFailureRate.
	FailureRate float64

	// SlowAfter makes a call slow that takes at least so long, whether it fails or not; for a stream the time to the first token counts
	// (see Permit.FirstToken). Set it below the deadlines of the callers: a call that is ended by its caller's own deadline
	// before SlowAfter does not count. Default: 0, no call is slow.
	SlowAfter time.Duration

	// SlowRate, in (0, 1], is the share of slow calls among the calls of the window that opens the breaker. It needs
	// SlowAfter. Default: DefaultSlowRate, if there is a SlowAfter.
	SlowRate float64

	// MinCalls is the number of calls in the window below which the rates open nothing. Default:
	// DefaultMinCalls or Window, whichever is less.
	MinCalls int

	// Window makes the rates be those of the last Window completed calls, however long ago they were. At most 1<<24. Default:
	// DefaultWindow, if there is no WindowTime.
	Window int

	// WindowTime makes the rates be those of the calls that were completed in the last WindowTime, in steps of a tenth of it. With
	// much traffic it rides out a short burst of errors that would fill a Window. Set one of the two. A call
	// counts when it ends, however long before it began. Default: 0, Window is used.
	WindowTime time.Duration

	// OpenFor is the time for which the breaker stays open. It doubles each time that the probes fail, up
	// to MaxOpenFor. Default: DefaultOpenFor.
	OpenFor time.Duration

	// MaxOpenFor is the longest time that doubling leads to. Default: DefaultMaxOpenFor or OpenFor, whichever is more.
	MaxOpenFor time.Duration

	// Jitter, in (0, 1], is the largest share of the open time that is taken off at random, so that processes whose breakers opened
	// together do not probe together. Default: DefaultJitter; for none set a tiny one, such as 1e-9.
	Jitter float64

	// MaxRetryAfter bounds what a back-end can ask for by the Retry-After of an error (see RetryAfterer): it is
	// otherwise honoured, also beyond MaxOpenFor. Default: DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration

	// Probes is the number of calls whose outcomes decide, after the open time, whether the breaker closes. Default:
	// DefaultProbes or ProbeConcurrency, whichever is more.
	Probes int

	// ProbeConcurrency is the number of probes that may run at once; other calls are rejected meanwhile. It is at most
	// Probes. Default: DefaultProbeConcurrency.
	ProbeConcurrency int

	// ProbeRatio, in (0, 1], is the share of the Probes that must succeed, and must not be slow, to close the breaker. It closes,
	// or opens again, as soon as the outcome is certain. Default: DefaultProbeRatio, which is two of three.
	ProbeRatio float64

	// ProbeLease is the time after which a probe that has not come back is given up and counts as failed, so that a call that hangs,
	// or a permit that was forgotten, cannot keep the breaker half-open for ever. It should be longer than the longest
	// call that is still of use. A stream that had its first token in time counts as a success then. Default: DefaultProbeLease.
	ProbeLease time.Duration

	// MaxKeys bounds the number of breakers in a Keyed. NewKeyed only. Default: DefaultMaxKeys.
	MaxKeys int

	// MaxOpenShare, in (0, 1], is the largest share of a Keyed's breakers that may be open or half-open at once; one always may.
	// A breaker that would exceed it stays closed. NewKeyed only. Default: DefaultMaxOpenShare, no bound.
	MaxOpenShare float64

	// OnStateChange, if not nil, is called after each change of state, outside of all locks. Those of one breaker come in their order and
	// never two at once; those of different breakers of a Keyed may overlap, also when they are of the same key, of which one has
	// been evicted or removed. It runs on the goroutine whose call of any method made or noticed the change, or on one that is still
	// delivering an earlier change: keep it short. It may call every method. A panic in it goes on to the caller on whose goroutine
	// it runs.
	OnStateChange func(StateEvent)
}

// withDefaults checks c and fills in the defaults. keyed says whether it is for a Keyed.
func (c Config) withDefaults(keyed bool) (Config, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	switch {
	case c.SlowRate > 0 && c.SlowAfter == 0:
		return c, fmt.Errorf("breaker: Config.SlowRate needs SlowAfter")
	case c.Window > 0 && c.WindowTime > 0:
		return c, fmt.Errorf("breaker: Config.Window and WindowTime exclude each other")
	case c.Window > maxWindow:
		return c, fmt.Errorf("breaker: Config.Window %d is more than %d; use WindowTime", c.Window, maxWindow)
	case !keyed && (c.MaxKeys > 0 || c.MaxOpenShare > 0):
		return c, fmt.Errorf("breaker: Config.MaxKeys and MaxOpenShare need NewKeyed")
	}
	if c.SlowAfter > 0 {
		setDefault(&c.SlowRate, DefaultSlowRate)
	}
	if c.WindowTime == 0 {
		setDefault(&c.Window, DefaultWindow)
		setDefault(&c.MinCalls, min(DefaultMinCalls, c.Window))
	}
	setDefault(&c.MinCalls, DefaultMinCalls)
	setDefault(&c.FailureRate, DefaultFailureRate)
	setDefault(&c.OpenFor, DefaultOpenFor)
	setDefault(&c.MaxOpenFor, max(DefaultMaxOpenFor, c.OpenFor))
	setDefault(&c.Jitter, DefaultJitter)
	setDefault(&c.MaxRetryAfter, DefaultMaxRetryAfter)
	setDefault(&c.ProbeConcurrency, DefaultProbeConcurrency)
	setDefault(&c.Probes, max(DefaultProbes, c.ProbeConcurrency))
	setDefault(&c.ProbeRatio, DefaultProbeRatio)
	setDefault(&c.ProbeLease, DefaultProbeLease)
	if keyed {
		setDefault(&c.MaxKeys, DefaultMaxKeys)
		setDefault(&c.MaxOpenShare, DefaultMaxOpenShare)
	}
	switch {
	case c.WindowTime == 0 && c.MinCalls > c.Window:
		return c, fmt.Errorf("breaker: Config.MinCalls %d is more than Window %d: the rates could never open", c.MinCalls, c.Window)
	case c.WindowTime > 0 && c.WindowTime < windowSteps:
		return c, fmt.Errorf("breaker: Config.WindowTime %v is too short", c.WindowTime)
	case c.MaxOpenFor < c.OpenFor:
		return c, fmt.Errorf("breaker: Config.MaxOpenFor %v is less than OpenFor %v", c.MaxOpenFor, c.OpenFor)
	case c.ProbeConcurrency > c.Probes:
		return c, fmt.Errorf("breaker: Config.ProbeConcurrency %d is more than Probes %d", c.ProbeConcurrency, c.Probes)
	}
	return c, nil
}

// check finds the values that make no sense whatever the others are.
func (c *Config) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"SlowAfter", int64(c.SlowAfter)},
		{"MinCalls", int64(c.MinCalls)},
		{"Window", int64(c.Window)},
		{"WindowTime", int64(c.WindowTime)},
		{"OpenFor", int64(c.OpenFor)},
		{"MaxOpenFor", int64(c.MaxOpenFor)},
		{"MaxRetryAfter", int64(c.MaxRetryAfter)},
		{"Probes", int64(c.Probes)},
		{"ProbeConcurrency", int64(c.ProbeConcurrency)},
		{"ProbeLease", int64(c.ProbeLease)},
		{"MaxKeys", int64(c.MaxKeys)},
	} {
		if f.value < 0 {
			return fmt.Errorf("breaker: Config.%s is negative: %d", f.name, f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value float64
	}{
		{"FailureRate", c.FailureRate},
		{"SlowRate", c.SlowRate},
		{"Jitter", c.Jitter},
		{"ProbeRatio", c.ProbeRatio},
		{"MaxOpenShare", c.MaxOpenShare},
	} {
		if !(f.value >= 0 && f.value <= 1) { // a NaN too
			return fmt.Errorf("breaker: Config.%s is not between 0 and 1: %v", f.name, f.value)
		}
	}
	return nil
}

func setDefault[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// judge says whether the calls of a window open the breaker. It divides, because rate*calls is rounded: 0.28*25 is more than 7.
func (c *Config) judge(t tally) (Reason, bool) {
	if t.calls < c.MinCalls {
		return 0, false
	}
	if t.failed > 0 && share(t.failed, t.calls) >= c.FailureRate {
		return ReasonFailureRate, true
	}
	if t.slow > 0 && share(t.slow, t.calls) >= c.SlowRate {
		return ReasonSlowRate, true
	}
	return 0, false
}

// needed is the number of probes that must succeed.
func (c *Config) needed() int {
	n := int(c.ProbeRatio * float64(c.Probes))
	for share(n, c.Probes) < c.ProbeRatio {
		n++
	}
	return n
}

func share(part, whole int) float64 { return float64(part) / float64(whole) }
