package limiter

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Defaults of [Config] and [KeyedConfig].
const (
	DefaultMaxQueue = 1024
	DefaultMaxKeys  = 10_000
)

// MaxEvents is the most that Limit.Events, Limit.Burst and Config.MaxDebt may be. An int of 32 bits cannot hold it: a program that is also built
// for 386 or arm writes a smaller number, 1<<30 say. For no limit at all use the zero Limit.
//
// Levels are counted in float64, and each time that something is taken or given back the level is rounded: by up to 1/8192 where it is near MaxEvents, and by
// less in proportion where it is lower. So a rate can be off by as much times the number of requests: with a level of MaxEvents and a million
// requests a second by 122 a second, with one of a billion by 1 in 8 seconds. Limits whose Events are far more than their requests do not notice;
// for the others keep Burst as small as the bursts are.
const MaxEvents = 1 << 40

// maxQueue bounds Config.MaxQueue, so that the sum of the costs that wait cannot overflow.
const maxQueue = 1 << 20

// maxFillTime bounds how long a bucket takes to fill.
const maxFillTime = 100 * 365 * 24 * time.Hour

// Limit is a rate: Events in each period Per, up to Burst of them at once. It is a token bucket that holds Burst, starts full and is refilled evenly
// at the rate Events/Per; so any stretch of time of length Per sees at most Events+Burst: with the default Burst twice the
// Events, when it begins with a full bucket. To keep every Per within n, let Events and Burst add up to n.
//
// One thing comes on top: after a standstill of the process, or when timers are late, requests that wait catch up with what they missed of the last
// 100 ms, all at once. A stretch that begins then sees at most what the rate gives in 100 ms more: of a limit per minute that is 1/600 of the
// Events, but ten times the Events if Per is 10 ms. With NoWait, and with TryAcquire while nobody waits, there is nothing to catch up with.
//
// A limit whose Burst is 1024 or more may let through a little less than that at once after a quiet time: by 1/1024 of it, or by 64 requests like those
// before, whichever is less. See the package's documentation, Cost.
//
// The zero Limit is no limit. A Limit that has only Per lets nothing through (a tenant whose quota is 0). One that has only Burst is a
// budget: it is never refilled, and gets back only what is refunded. A limit that would take more than a hundred years to fill is an error from New.
type Limit struct {
	// Events is how many are let through in each Per: requests, or units of cost.
	Events int

	// Per is the period. It must be set if Events is.
	Per time.Duration

	// Burst is how many may go at once after a quiet time, and the largest cost of a single request (see Config.Borrow). Default: Events.
	Burst int
}

// PerSecond is a Limit of n a second, all of which may go at once.
func PerSecond(n int) Limit { return Limit{Events: n, Per: time.Second} }

// PerMinute is a Limit of n a minute, all of which may go at once: the RPM and TPM of hosted models.
func PerMinute(n int) Limit { return Limit{Events: n, Per: time.Minute} }

// perNano is the rate in events a nanosecond.
func (l Limit) perNano() float64 {
	if l.Events == 0 {
		return 0
	}
	return float64(l.Events) / float64(l.Per)
}

// fillTime is how long n events take to come in, in nanoseconds.
func (l Limit) fillTime(n int64) float64 {
	if l.Events == 0 {
		return 0
	}
	return float64(n) / l.perNano()
}

// String describes the limit.
func (l Limit) String() string {
	switch {
	case l == Limit{}:
		return "unlimited"
	case l.Events == 0:
		return fmt.Sprintf("%d in all", l.Burst)
	}
	return fmt.Sprintf("%d per %v, burst %d", l.Events, l.Per, l.Burst)
}

func (l Limit) withDefaults(name string) (Limit, error) {
	switch {
	case l.Events < 0 || l.Per < 0 || l.Burst < 0:
		return l, fmt.Errorf("limiter: %s has a negative field: %+v", name, l)
	case int64(max(l.Events, l.Burst)) > MaxEvents:
		return l, fmt.Errorf("limiter: %s is more than MaxEvents, %d: %+v; for no limit use the zero Limit", name, int64(MaxEvents), l)
	case l.Events > 0 && l.Per == 0:
		return l, fmt.Errorf("limiter: %s has Events but no Per: %+v", name, l)
	}
	if l.Burst == 0 {
		l.Burst = l.Events
	}
	return l, l.checkFillTime(name, 0)
}

// checkFillTime finds limits that take centuries to fill from the deepest debt: their waits would not fit into a time.Duration.
func (l Limit) checkFillTime(name string, maxDebt int) error {
	if l.fillTime(int64(l.Burst)+int64(maxDebt)) > float64(maxFillTime) {
		return fmt.Errorf("limiter: %s, %v, takes more than %v to fill from a debt of %d; for a budget leave Events 0", name, l, maxFillTime, maxDebt)
	}
	return nil
}

// Config says how much is let through, and whether what is over the limits waits or is rejected. The zero value limits
// nothing. A negative or contradictory value is an error from New and Reconfigure.
type Config struct {
	// Requests limits the number of requests. Default: no limit.
	Requests Limit

	// Cost limits the sum of the requests' costs (see WithCost, which it needs): tokens, bytes, money. A request is let
	// through when both limits have room for it, and takes from both or from neither. Default: no limit.
	Cost Limit

	// MaxDebt bounds how far the level of Cost may fall below zero, by requests that cost more than was reserved for them or that
	// borrowed. While there is a debt nothing that costs is let through. What would go beyond MaxDebt is forgiven, and counted
	// in Stats.ForgivenCost. So a debt holds requests up for MaxDebt/Events periods at most. Default: Cost.Burst.
	MaxDebt int

	// Borrow lets a request through that costs more than Cost.Burst, when the bucket is full; it
	// leaves a debt, which MaxDebt bounds: the largest possible cost is Burst+MaxDebt. Default: such a request fails with ErrTooLarge.
	Borrow bool

	// NoWait makes a request that is over the limits fail at once with a *LimitedError. It excludes MaxWait and MaxQueue. Default: it waits.
	NoWait bool

	// MaxWait is the longest that a request waits. One that would have to wait longer fails at once with a *LimitedError; one
	// that turns out to while it waits fails then.
	// Default: no bound but the deadline of the caller's context.
	MaxWait time.Duration

	// MaxQueue is the number of requests that may wait at the same time; more fail at once with a *LimitedError.
	// At most 1<<20; for none see NoWait. Default: DefaultMaxQueue.
	MaxQueue int

	// OnReject, if not nil, is called for each request that is rejected, with all that Stats.Rejected counts, on the caller's goroutine and
	// outside locks, before the caller gets the error. Calls may overlap. It may call every method. A panic in it goes to the
	// caller. A request whose context ends is not rejected.
	OnReject func(RejectEvent)
}

// withDefaults checks c and fills in the defaults. prefix names it in errors, costed says whether there is a WithCost.
func (c Config) withDefaults(prefix string, costed bool) (Config, error) {
	var err error
	if c.Requests, err = c.Requests.withDefaults(prefix + ".Requests"); err != nil {
		return c, err
	}
	if c.Cost, err = c.Cost.withDefaults(prefix + ".Cost"); err != nil {
		return c, err
	}
	limited := c.Cost != Limit{}
	switch {
	case c.MaxDebt < 0, c.MaxWait < 0, c.MaxQueue < 0:
		return c, fmt.Errorf("limiter: %s has a negative field: MaxDebt %d, MaxWait %v, MaxQueue %d", prefix, c.MaxDebt, c.MaxWait, c.MaxQueue)
	case int64(c.MaxDebt) > MaxEvents:
		return c, fmt.Errorf("limiter: %s.MaxDebt %d is more than MaxEvents, %d", prefix, c.MaxDebt, int64(MaxEvents))
	case c.MaxQueue > maxQueue:
		return c, fmt.Errorf("limiter: %s.MaxQueue %d is more than %d", prefix, c.MaxQueue, maxQueue)
	case c.NoWait && (c.MaxWait > 0 || c.MaxQueue > 0):
		return c, fmt.Errorf("limiter: %s has NoWait, but also MaxWait %v, MaxQueue %d", prefix, c.MaxWait, c.MaxQueue)
	case !limited && (c.MaxDebt > 0 || c.Borrow):
		return c, fmt.Errorf("limiter: %s.MaxDebt and Borrow need Cost", prefix)
	case limited && !costed:
		return c, fmt.Errorf("limiter: %s.Cost needs WithCost", prefix)
	}
	if c.MaxDebt == 0 {
		c.MaxDebt = c.Cost.Burst
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = DefaultMaxQueue
	}
	return c, c.Cost.checkFillTime(prefix+".Cost", c.MaxDebt)
}

// maxCost is the largest cost that can ever be let through.
func (c *Config) maxCost() int64 {
	switch {
	case c.Cost == Limit{}, c.Cost.Burst == 0: // nothing to be larger than: no limit, or one that lets nothing through
		return math.MaxInt64
	case c.Borrow:
		return int64(c.Cost.Burst) + int64(c.MaxDebt)
	}
	return int64(c.Cost.Burst)
}

// KeyedConfig is the configuration of a [Keyed].
type KeyedConfig struct {
	// Each holds the limits of every single key.
	Each Config

	// Total holds the limits over all keys together. A request passes its key's limits first, then these; it takes from
	// all or from none. MaxWait and MaxQueue are bounds of each of the two queues. Default: no limits.
	Total Config

	// MaxKeys is the number of keys that are kept at a time. When they are that many, a new key takes the place of one that has nothing
	// to remember: its buckets are full, nobody waits in it and it is not paused. If there is none the new
	// key's requests fail with a *LimitedError: a key that is over its limits cannot reset them by the arrival of others.
	//
	// There may be more for a while. A key can have made room for another while a request of it ran, and that request can turn out to have cost more than
	// was reserved (see WithActual and Permit.Settle). That is a debt, and debts are not forgotten, so the key comes back. The number of keys is therefore
	// bounded by MaxKeys and the number of requests not settled yet, together. When the next key comes, those above MaxKeys go that have nothing to
	// remember. Default: DefaultMaxKeys.
	MaxKeys int
}

func (c KeyedConfig) withDefaults(costed bool) (KeyedConfig, error) {
	var errEach, errTotal error
	c.Each, errEach = c.Each.withDefaults("KeyedConfig.Each", costed)
	c.Total, errTotal = c.Total.withDefaults("KeyedConfig.Total", costed)
	if err := errors.Join(errEach, errTotal); err != nil {
		return c, err
	}
	if c.MaxKeys < 0 {
		return c, fmt.Errorf("limiter: KeyedConfig.MaxKeys is negative: %d", c.MaxKeys)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	return c, nil
}
