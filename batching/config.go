package batching

import (
	"fmt"
	"slices"
	"time"
)

// Defaults of [Config].
const (
	DefaultMaxSize     = 32
	DefaultConcurrency = 1
	DefaultMaxQueue    = 1024 // or 16 times MaxSize, whichever is more
	DefaultClassTurn   = 16
)

// Config says when a batch is full, how long a request may wait for company and how much may wait. The zero
// value is usable: batches of up to [DefaultMaxSize] requests, one at a time, dispatched as soon as the model is free.
// A negative or contradictory value is an error from New and Reconfigure.
type Config struct {
	// MaxSize is the largest number of requests in a batch. Default: the largest of AllowedSizes, or
	// DefaultMaxSize.
	MaxSize int

	// MaxWeight is the largest sum of weights (see WithWeight: tokens, bytes, images) in a batch. It needs
	// WithWeight. Default: no bound.
	MaxWeight int

	// Policy decides when a batch goes and which requests it takes: Window(), AIMD(target) or Deadline(slo).
	// Default: Window().
	Policy Policy

	// MaxWait is the longest a request waits for company while a slot is free. A batch goes sooner when it is full, and a request
	// with a deadline waits for company no longer than half of the time that it has. MaxWait does not bound the wait for a slot: while all are busy, requests
	// wait, and go (as many as the policy takes) the moment one is free. Default: 0, which is to dispatch at once when a slot is
	// free; batches then form only while the model is busy, which is when they pay. The policy Deadline waits for company only if
	// that pays, see there, and then no longer than MaxWait if that is set.
	MaxWait time.Duration

	// Concurrency is the number of slots: batches that may run at the same time. Default: DefaultConcurrency.
	Concurrency int

	// MaxQueue is the number of requests that may be queued, those that run not counted. It must be
	// at least MaxSize. Default: DefaultMaxQueue or 16 times MaxSize, whichever is more.
	MaxQueue int

	// MaxQueueWeight bounds the sum of weights in the queue. It needs WithWeight and must be at least
	// MaxWeight. Default: no bound.
	MaxQueueWeight int

	// RejectWhenFull makes a request that finds no room in the queue fail with ErrQueueFull. Default: it
	// waits for room, in the order of arrival, until its context ends.
	RejectWhenFull bool

	// ClassTurn is the ageing of priorities, see WithPriority: after so many batches in a row that took nothing of the class of the oldest
	// request (in a Keyed: of the same key), the next begins with that class. Default: DefaultClassTurn, so that at the least one batch of 17 goes
	// by age.
	ClassTurn int

	// AllowedSizes, ascending, are the only batch sizes that run is given: a smaller batch is filled up to the
	// next of them with requests made by WithPad, which it needs, and whose results are thrown away. For models compiled for fixed shapes.
	// The largest must be at least MaxSize. Default: every size is allowed.
	AllowedSizes []int

	// MaxExtraRuns turns on bisection: when run fails a whole batch (an error that is not ItemErrors, a wrong
	// number of results, a panic), its halves are run again, and so on down to single requests, so that one poison
	// request does not fail the others. MaxExtraRuns bounds the runs that one batch may cost beyond its first; when
	// they are used up, the members still in doubt get the error of their last run. Isolating one poison request among n
	// takes about 2·log2(n) runs. The run function must tolerate seeing a request again. Default: 0, no bisection.
	MaxExtraRuns int

	// OnBatch, if not nil, is called after each batch, when its members have their answers, on the goroutine that
	// ran it. Keep it short: if requests wait for the slot they wait for OnBatch too. Calls may overlap. It may call
	// Stats, Flush, Config and Reconfigure. A panic in it is not recovered.
	OnBatch func(BatchEvent)
}

// clone makes a copy that does not change when the caller goes on to change its slice.
func (c Config) clone() Config {
	c.AllowedSizes = slices.Clone(c.AllowedSizes)
	return c
}

// withDefaults checks c and fills in the defaults. weighted says whether there is a WithWeight, padded whether a WithPad.
func (c Config) withDefaults(weighted, padded bool) (Config, error) {
	c = c.clone()
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxSize", int64(c.MaxSize)},
		{"MaxWeight", int64(c.MaxWeight)},
		{"MaxWait", int64(c.MaxWait)},
		{"ClassTurn", int64(c.ClassTurn)},
		{"Concurrency", int64(c.Concurrency)},
		{"MaxQueue", int64(c.MaxQueue)},
		{"MaxQueueWeight", int64(c.MaxQueueWeight)},
		{"MaxExtraRuns", int64(c.MaxExtraRuns)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("batching: Config.%s is negative: %d", f.name, f.value)
		}
	}
	if err := c.Policy.check(); err != nil {
		return c, err
	}
	for i, n := range c.AllowedSizes {
		if n < 1 || i > 0 && n <= c.AllowedSizes[i-1] {
			return c, fmt.Errorf("batching: Config.AllowedSizes must be positive and ascending: %v", c.AllowedSizes)
		}
	}
	largest := 0
	if n := len(c.AllowedSizes); n > 0 {
		largest = c.AllowedSizes[n-1]
	}
	if c.MaxSize == 0 {
		c.MaxSize = DefaultMaxSize
		if largest > 0 {
			c.MaxSize = largest
		}
	}
	if c.ClassTurn == 0 {
		c.ClassTurn = DefaultClassTurn
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = max(DefaultMaxQueue, c.MaxSize)
		if c.MaxSize <= 1<<20 {
			c.MaxQueue = max(DefaultMaxQueue, 16*c.MaxSize)
		}
	}
	switch {
	case c.MaxQueue < c.MaxSize:
		return c, fmt.Errorf("batching: Config.MaxQueue %d is less than MaxSize %d: no batch could be full", c.MaxQueue, c.MaxSize)
	case (c.MaxWeight > 0 || c.MaxQueueWeight > 0) && !weighted:
		return c, fmt.Errorf("batching: Config.MaxWeight and MaxQueueWeight need WithWeight")
	case c.MaxQueueWeight > 0 && c.MaxQueueWeight < c.MaxWeight:
		return c, fmt.Errorf("batching: Config.MaxQueueWeight %d is less than MaxWeight %d: no batch could be full", c.MaxQueueWeight, c.MaxWeight)
	case largest > 0 && !padded:
		return c, fmt.Errorf("batching: Config.AllowedSizes needs WithPad")
	case padded && largest == 0:
		return c, fmt.Errorf("batching: WithPad needs Config.AllowedSizes")
	case largest > 0 && largest < c.MaxSize:
		return c, fmt.Errorf("batching: Config.MaxSize %d is more than the largest of AllowedSizes, %d", c.MaxSize, largest)
	}
	return c, nil
}

// paddedSize is the size at which a batch of n requests runs.
func (c *Config) paddedSize(n int) int {
	if i, _ := slices.BinarySearch(c.AllowedSizes, n); i < len(c.AllowedSizes) {
		return c.AllowedSizes[i]
	}
	return n
}
