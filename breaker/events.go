package breaker

import (
	"fmt"
	"time"
)

// State is the state of a breaker.
type State uint8

// The states.
const (
	StateClosed       State = iota // calls go through, their outcomes are counted
	StateOpen                      // calls are rejected until the open time is over
	StateHalfOpen                  // a few calls go through as probes, the others are rejected
	StateForcedOpen                // ForceOpen: calls are rejected
	StateForcedClosed              // ForceClosed: calls go through, whatever their outcomes
)

var stateNames = [...]string{"closed", "open", "half-open", "forced open", "forced closed"}

// String returns the state's name in lower case.
func (s State) String() string { return nameOf(stateNames[:], s, "State") }

// passes reports whether calls go through.
func (s State) passes() bool { return s == StateClosed || s == StateForcedClosed }

// Reason says why a breaker changed its state.
type Reason uint8

// The reasons.
const (
	ReasonFailureRate Reason = iota // closed to open: the failure rate reached Config.FailureRate
	ReasonSlowRate                  // closed to open: the rate of slow calls reached Config.SlowRate
	ReasonThrottled                 // to open: a call's outcome was Throttled
	ReasonOpenTime                  // open to half-open: the open time is over
	ReasonProbes                    // half-open to closed or open: what the probes showed
	ReasonForced                    // ForceOpen or ForceClosed
	ReasonReset                     // Reset
	ReasonEvicted                   // to closed: nobody had asked for it for long and its room or place was needed, or Remove (Keyed only)
)

var reasonNames = [...]string{"failure rate", "slow rate", "throttled", "open time over", "probes", "forced", "reset", "evicted"}

// String returns the reason's name in lower case.
func (r Reason) String() string { return nameOf(reasonNames[:], r, "Reason") }

func nameOf[T ~uint8](names []string, v T, kind string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", kind, v)
}

// StateEvent describes a change of state, for [Config].OnStateChange.
type StateEvent struct {
	Name     string        // Config.Name
	Key      any           // the breaker's key (Keyed only)
	From, To State         // never the same
	Reason   Reason        // why
	OpenFor  time.Duration // To StateOpen: for how long

	// What was judged: the window of calls when a breaker opens, the probes when it was half-open.
	Calls, Failed, Slow int
}

// changed queues the event of a change of state. Called under mu; unlock delivers it.
func (c *core) changed(e StateEvent) {
	if c.cfg.OnStateChange != nil {
		e.Name, e.Key = c.cfg.Name, c.key
		c.events = append(c.events, e)
	}
}

// unlock gives mu back and delivers the events that are queued. While one goroutine delivers, the others leave theirs to it, so that
// the order is kept; this includes a hook that causes an event itself.
func (c *core) unlock() {
	if len(c.events) == 0 || c.delivering {
		c.mu.Unlock()
		return
	}
	c.delivering = true
	locked := true
	defer func() { // also when the hook panics: the next change delivers what is left
		if !locked {
			c.mu.Lock()
		}
		c.delivering = false
		c.mu.Unlock()
	}()
	for len(c.events) > 0 {
		e := c.events[0]
		c.events = c.events[1:]
		c.mu.Unlock()
		locked = false
		c.cfg.OnStateChange(e)
		c.mu.Lock()
		locked = true
	}
	c.events = nil
}
