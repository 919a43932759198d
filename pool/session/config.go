package session

import (
	"fmt"
	"math"
	"time"
)

// Defaults of [Config].
const (
	DefaultMaxQueue    = 1024
	DefaultTargetDelay = 5 * time.Millisecond
	DefaultInterval    = 100 * time.Millisecond
	DefaultCooldown    = time.Second
	DefaultIdleTimeout = 5 * time.Minute
	DefaultCheckEvery  = 30 * time.Second
	DefaultBackoff     = 100 * time.Millisecond
	DefaultMaxBackoff  = 30 * time.Second
	DefaultImbalance   = 1.25
	DefaultMaxKeys     = 4096

	// MaxSessions is the most that Config.Max may be.
	MaxSessions = 1 << 16
)

// Config says how many sessions there may be, how long they live and how long requests wait. The zero value is usable: one session, which is
// opened when the first request comes and closed when it has been idle for [DefaultIdleTimeout]. A negative or contradictory
// value is an error from New. A duration may be as long as it likes: math.MaxInt64 is never.
type Config struct {
	// Min is the number of sessions that New begins to open at once and that are kept. Default: 0, which is to open the
	// first session for the first request.
	Min int

	// Max is the largest number of sessions that exist at a time, those that are being opened or closed included.
	// Default: Min, Devices or 1, whichever is most.
	Max int

	// PerSession is the capacity of a session, in the unit of WithCost: how much it works on at a time. Default: 1, so that
	// without WithCost each session has one request at a time.
	PerSession int

	// Devices is the number of devices (GPUs, sockets, licences) that the sessions are spread over. Session slot i belongs
	// to device i modulo Devices; open learns both by SlotOf. Default: 1.
	Devices int

	// MaxOpening is the number of sessions that may be opened at a time on each device. Default: 1.
	MaxOpening int

	// MaxUses is the number of requests after which a session is renewed: it is closed, and another opened. So that not all are renewed at
	// once, a session of a higher slot is renewed up to a tenth sooner. Default: no bound.
	MaxUses int

	// MaxAge is the time after which a session is renewed, counted from when it was open; up to a tenth sooner in a
	// higher slot. A request that runs is not interrupted. Default: no bound.
	MaxAge time.Duration

	// CheckEvery is how often each session is checked. It needs WithCheck. Default: DefaultCheckEvery if there is a WithCheck.
	CheckEvery time.Duration

	// TargetDelay and Interval decide when the pool grows: when requests have waited longer than TargetDelay, without
	// exception, for an Interval. Defaults: DefaultTargetDelay, DefaultInterval.
	TargetDelay time.Duration
	Interval    time.Duration

	// Cooldown is the time after the pool has grown, counted from when the new session is in service, before it may grow again: its
	// effect is to be seen first. Default: DefaultCooldown.
	Cooldown time.Duration

	// IdleTimeout is how long the capacity of a whole session must have been unused, at every moment, before the pool closes one of
	// those above Min. Default: DefaultIdleTimeout.
	IdleTimeout time.Duration

	// Backoff is the pause, for the device, after a session could not be opened. It doubles with each failure in a row up to MaxBackoff.
	// Defaults: DefaultBackoff; DefaultMaxBackoff or Backoff, whichever is more.
	Backoff    time.Duration
	MaxBackoff time.Duration

	// Imbalance bounds what affinity may do to the balance: a request waits for the session that has its key warm only while
	// that session has to do, running and waiting, no more than Imbalance times the mean of all sessions, rounded up if all are
	// busy and down if another is free. It is at least 1, and may be infinite: keys then always wait for their session.
	// It needs WithKey. Default: DefaultImbalance.
	Imbalance float64

	// MaxKeys is how many keys the pool remembers; the ones not used for longest are forgotten. It needs WithKey.
	// Default: DefaultMaxKeys.
	MaxKeys int

	// MaxQueue is the number of requests that may wait for a session. Default: DefaultMaxQueue.
	MaxQueue int

	// RejectWhenFull makes a request that finds MaxQueue others waiting fail with ErrQueueFull. Default: it waits behind
	// them, in the order of arrival, until its context ends.
	RejectWhenFull bool

	// LockThread gives each session an operating system thread of its own: open, fn, the warm-up, the check and close are
	// all called on it. For libraries that keep state in the thread (CUDA contexts, OpenGL, Python). It needs PerSession 1, and
	// excludes Acquire. Default: fn is called on the goroutine of Do's caller.
	LockThread bool

	// OnOpen, if not nil, is called after each attempt to open a session, on the goroutine that made it and before the session
	// comes into service. OnClose is called after each session is closed, before its slot is used again. Keep both
	// short. They may call Stats; a panic in them is not recovered.
	OnOpen  func(OpenEvent)
	OnClose func(CloseEvent)
}

// withDefaults checks c against the options and fills in the defaults.
func (c Config) withDefaults(keyed, checked bool) (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Min", int64(c.Min)}, {"Max", int64(c.Max)}, {"PerSession", int64(c.PerSession)},
		{"Devices", int64(c.Devices)}, {"MaxOpening", int64(c.MaxOpening)},
		{"MaxUses", int64(c.MaxUses)}, {"MaxAge", int64(c.MaxAge)}, {"CheckEvery", int64(c.CheckEvery)},
		{"TargetDelay", int64(c.TargetDelay)}, {"Interval", int64(c.Interval)}, {"Cooldown", int64(c.Cooldown)},
		{"IdleTimeout", int64(c.IdleTimeout)}, {"Backoff", int64(c.Backoff)}, {"MaxBackoff", int64(c.MaxBackoff)},
		{"MaxKeys", int64(c.MaxKeys)}, {"MaxQueue", int64(c.MaxQueue)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("session: Config.%s is negative: %d", f.name, f.value)
		}
	}
	switch {
	case !keyed && (c.Imbalance != 0 || c.MaxKeys > 0):
		return c, fmt.Errorf("session: Config.Imbalance and MaxKeys need WithKey")
	case !checked && c.CheckEvery > 0:
		return c, fmt.Errorf("session: Config.CheckEvery needs WithCheck")
	case c.Imbalance != 0 && !(c.Imbalance >= 1): // also for a NaN
		return c, fmt.Errorf("session: Config.Imbalance %v is less than 1", c.Imbalance)
	case c.LockThread && c.PerSession > 1:
		return c, fmt.Errorf("session: Config.LockThread needs PerSession 1, not %d: a thread runs one request at a time", c.PerSession)
	case c.MaxBackoff > 0 && c.MaxBackoff < c.Backoff:
		return c, fmt.Errorf("session: Config.MaxBackoff %v is less than Backoff %v", c.MaxBackoff, c.Backoff)
	}
	if checked {
		setDefault(&c.CheckEvery, DefaultCheckEvery)
	}
	setDefault(&c.PerSession, 1)
	setDefault(&c.Devices, 1)
	setDefault(&c.MaxOpening, 1)
	setDefault(&c.Max, max(c.Min, c.Devices))
	setDefault(&c.TargetDelay, DefaultTargetDelay)
	setDefault(&c.Interval, DefaultInterval)
	setDefault(&c.Cooldown, DefaultCooldown)
	setDefault(&c.IdleTimeout, DefaultIdleTimeout)
	if c.Backoff == 0 && c.MaxBackoff > 0 {
		c.Backoff = min(DefaultBackoff, c.MaxBackoff)
	}
	setDefault(&c.Backoff, DefaultBackoff)
	setDefault(&c.MaxBackoff, max(DefaultMaxBackoff, c.Backoff))
	setDefault(&c.MaxQueue, DefaultMaxQueue)
	if keyed {
		setDefault(&c.Imbalance, DefaultImbalance)
		setDefault(&c.MaxKeys, DefaultMaxKeys)
	}
	switch {
	case c.Max > MaxSessions:
		return c, fmt.Errorf("session: Config.Max %d is more than %d", c.Max, MaxSessions)
	case c.Max < c.Min:
		return c, fmt.Errorf("session: Config.Max %d is less than Min %d", c.Max, c.Min)
	case c.Max < c.Devices:
		return c, fmt.Errorf("session: Config.Max %d is less than Devices %d: a device would never have a session", c.Max, c.Devices)
	}
	return c, nil
}

func setDefault[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// share shortens a bound by up to a tenth, the more the higher the slot.
func (c *Config) share(bound int64, slot int) int64 {
	return bound - int64(float64(bound)/10*float64(slot)/float64(c.Max))
}

// maxUses is the number of requests for a session of that slot.
func (c *Config) maxUses(slot int) int64 {
	if c.MaxUses == 0 {
		return math.MaxInt64
	}
	return c.share(int64(c.MaxUses), slot)
}

// backoff is the pause after so many failures in a row.
func (c *Config) backoff(failures int) time.Duration {
	pause := c.Backoff
	for ; failures > 1 && pause < c.MaxBackoff; failures-- {
		if pause > c.MaxBackoff/2 {
			return c.MaxBackoff
		}
		pause *= 2
	}
	return pause
}
