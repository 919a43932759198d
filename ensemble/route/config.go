package route

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	DefaultMaxFailures   = 3
	DefaultFailureWindow = time.Minute
	DefaultCooldown      = 5 * time.Second
	DefaultMaxCooldown   = 5 * time.Minute
	DefaultMaxRetryAfter = time.Hour
	DefaultLatencyDecay  = 10 * time.Second
)

// maxMaxFailures bounds the memory for the times of failures.
const maxMaxFailures = 1 << 16

// Config says which member is picked, and what happens when one fails. The zero value is usable: members in order, and every
// error is the member's fault unless it says that no work has begun. A negative or contradictory value is an error from New.
type Config struct {
	// Pick chooses the member of each attempt. Default: [InOrder].
	Pick Picker

	// MaxAttempts is how many members one request may be sent to. Default: 0, each once.
	MaxAttempts int

	// MinTime is the time that must be left until the caller's deadline for an attempt to be started. Default: 0, any time at all.
	MinTime time.Duration

	// Timeout bounds an attempt; in a Streamer, the time until the first chunk. Its end is a failure of the member, unlike that of the caller's
	// context, so set it if a member that hangs is to be put aside. The member must honour its context. Default: 0, no bound.
	Timeout time.Duration

	// Classify says whose fault an error is. It is called on the caller's goroutine for each error of a member, except when the
	// caller's context has ended, which is nobody's fault. Default: nil, an error that says by a method Rejected() bool that no work has begun is
	// [MemberBusy], and any other is [MemberFailed]. Those of this library that mean a full queue, an open breaker or a limit do so, and those of a Router that is a member.
	Classify func(error) Verdict

	// MaxFailures is the number of failures within FailureWindow (sliding) at which a member is put aside. Default: DefaultMaxFailures.
	MaxFailures   int
	FailureWindow time.Duration // Default: DefaultFailureWindow

	// Cooldown is how long a member is put aside at first. A failed probe doubles it, up to MaxCooldown, and one that succeeds makes it Cooldown again.
	// Defaults: DefaultCooldown, and DefaultMaxCooldown or Cooldown, whichever is more.
	Cooldown    time.Duration
	MaxCooldown time.Duration

	// MaxRetryAfter bounds what is believed of an error's RetryAfter() time.Duration. A failure with such an error puts the member aside at
	// once, for that time or the cool-down, whichever is more. Default: DefaultMaxRetryAfter.
	MaxRetryAfter time.Duration

	// UseCooling sends a request for which every member is put aside to the one that recovers first, once, instead of failing it with an
	// [UnavailableError]. Its success ends the cool-down. Default: false.
	UseCooling bool

	// LatencyDecay is the time constant with which the estimates of latency forget: after so long without news they are a
	// factor e lower. Default: DefaultLatencyDecay.
	LatencyDecay time.Duration

	// OnStateChange, if not nil, is called when a member's state changes, on the goroutine of the request that changed it, outside locks. Calls may overlap
	// and come out of order. It may call anything. A panic in it goes on to the caller.
	OnStateChange func(StateEvent)
}

// Verdict says whose fault an error is.
type Verdict uint8

// The verdicts.
const (
	// MemberFailed counts against the member; the request goes on to another.
	MemberFailed Verdict = iota

	// MemberBusy does not count, and its RetryAfter is not looked at; the request goes on to another. For a full queue, a bulkhead, and whatever was rejected before work began.
	MemberBusy

	// RequestFailed is the request's own fault (too long, malformed, refused by policy): it is not sent elsewhere. It shows that
	// the member is alive.
	RequestFailed
)

var verdictNames = [...]string{"member failed", "member busy", "request failed"}

// String returns the verdict in words.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// withDefaults checks c and fills in the defaults.
func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"MinTime", c.MinTime}, {"Timeout", c.Timeout}, {"FailureWindow", c.FailureWindow}, {"Cooldown", c.Cooldown},
		{"MaxCooldown", c.MaxCooldown}, {"MaxRetryAfter", c.MaxRetryAfter}, {"LatencyDecay", c.LatencyDecay},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("route: Config.%s is negative: %v", f.name, f.value)
		}
	}
	if c.MaxAttempts < 0 {
		return c, fmt.Errorf("route: Config.MaxAttempts is negative: %d", c.MaxAttempts)
	}
	if c.MaxFailures < 0 || c.MaxFailures > maxMaxFailures {
		return c, fmt.Errorf("route: Config.MaxFailures is negative or more than %d: %d", maxMaxFailures, c.MaxFailures)
	}
	if c.Pick == nil {
		c.Pick = InOrder()
	}
	if c.MaxFailures == 0 {
		c.MaxFailures = DefaultMaxFailures
	}
	setDefault(&c.FailureWindow, DefaultFailureWindow)
	setDefault(&c.Cooldown, DefaultCooldown)
	setDefault(&c.MaxCooldown, max(DefaultMaxCooldown, c.Cooldown))
	setDefault(&c.MaxRetryAfter, DefaultMaxRetryAfter)
	setDefault(&c.LatencyDecay, DefaultLatencyDecay)
	if c.MaxCooldown < c.Cooldown {
		return c, fmt.Errorf("route: Config.MaxCooldown %v is less than Cooldown %v", c.MaxCooldown, c.Cooldown)
	}
	return c, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}
