package bulkhead

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	DefaultCapacity     = 10
	DefaultMaxOvertakes = 16
	DefaultAgeing       = time.Second
)

// maxCapacity bounds capacities and costs, so that the sum of what is held stays far from the end of an int64: it
// would take millions of permits settled at the bound to get there.
const maxCapacity = 1 << 40

// Config says how much may run at once and who may wait for how long. The zero value is usable: ten calls at a time, and
// the eleventh is rejected. A negative or contradictory value is an error from New.
type Config struct {
	// Capacity is the sum of the costs that may be held at the same time: a number of calls or, with WithCost or
	// Acquire, of tokens, bytes or whatever the cost counts. At most 1<<40. It can be changed later, by Resize.
	// Default: DefaultCapacity; with WithCost there is none and it must be set.
	Capacity int

	// MaxQueue is the number of callers that may wait. A caller that finds the queue full is rejected with
	// ErrFull, or takes the place of a waiter of a lower priority (see WithPriority), which gets ErrEvicted.
	// Default: 0, no queue: who finds no room is rejected at once.
	MaxQueue int

	// MaxWait is the longest a caller waits in the queue before it is rejected with ErrMaxWait. It needs a MaxQueue.
	// Default: 0, as long as its context allows.
	MaxWait time.Duration

	// ServiceTime is the least time that a call needs once it is admitted. A caller that would have to wait is
	// rejected with ErrDeadline if its deadline leaves less than the expected wait and ServiceTime, and leaves the queue
	// when no more than ServiceTime is left. It needs a MaxQueue. Default: 0.
	ServiceTime time.Duration

	// NoEstimate turns off rejection by the expected wait: callers then wait until MaxWait or the end of their
	// context, however hopeless that is. ServiceTime must then be 0. Default: a caller whose deadline or MaxWait is
	// nearer than the expected wait is rejected at once (see the package's documentation).
	NoEstimate bool

	// MaxOvertakes is how many callers may go first while one that needs more than is free stands at the head
	// of the queue. After that, what becomes free is kept for the head. Default: DefaultMaxOvertakes.
	MaxOvertakes int

	// NoOvertaking makes the queue strictly first in, first out (in order of priority and age): nobody passes a head that does
	// not fit. MaxOvertakes must then be 0.
	NoOvertaking bool

	// Ageing is what one step of priority is worth in time: a caller of priority p is queued as if it had come
	// p times Ageing earlier than it did. The shorter it is, the sooner low priorities get their turn. At most a
	// year. Default: DefaultAgeing.
	Ageing time.Duration

	// OnReject, if not nil, is called for each call that is rejected, on the goroutine of the caller that is
	// rejected, before it gets the error, outside of locks. Calls may overlap. It may call every method. A panic in it goes to the
	// caller. A caller whose context ends is not rejected.
	OnReject func(RejectEvent)
}

// withDefaults checks c and fills in the defaults. weighted says whether there is a WithCost.
func (c Config) withDefaults(weighted bool) (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Capacity", int64(c.Capacity)},
		{"MaxQueue", int64(c.MaxQueue)},
		{"MaxWait", int64(c.MaxWait)},
		{"ServiceTime", int64(c.ServiceTime)},
		{"MaxOvertakes", int64(c.MaxOvertakes)},
		{"Ageing", int64(c.Ageing)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("bulkhead: Config.%s is negative: %d", f.name, f.value)
		}
	}
	switch {
	case c.Capacity == 0 && weighted:
		return c, fmt.Errorf("bulkhead: WithCost needs Config.Capacity: its default counts calls")
	case int64(c.Capacity) > maxCapacity:
		return c, fmt.Errorf("bulkhead: Config.Capacity %d is more than 1<<40", c.Capacity)
	case c.MaxWait > 0 && c.MaxQueue == 0:
		return c, fmt.Errorf("bulkhead: Config.MaxWait needs MaxQueue: without a queue nobody waits")
	case c.ServiceTime > 0 && c.MaxQueue == 0:
		return c, fmt.Errorf("bulkhead: Config.ServiceTime needs MaxQueue: without a queue nobody waits")
	case c.ServiceTime > 0 && c.NoEstimate:
		return c, fmt.Errorf("bulkhead: Config.ServiceTime contradicts NoEstimate")
	case c.MaxOvertakes > 0 && c.NoOvertaking:
		return c, fmt.Errorf("bulkhead: Config.MaxOvertakes contradicts NoOvertaking")
	case c.Ageing > 365*24*time.Hour:
		return c, fmt.Errorf("bulkhead: Config.Ageing %v is more than a year", c.Ageing)
	}
	if c.Capacity == 0 {
		c.Capacity = DefaultCapacity
	}
	if c.MaxOvertakes == 0 && !c.NoOvertaking {
		c.MaxOvertakes = DefaultMaxOvertakes
	}
	if c.Ageing == 0 {
		c.Ageing = DefaultAgeing
	}
	return c, nil
}
