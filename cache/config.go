package cache

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	DefaultSize            = 10_000
	DefaultMaxRefreshes    = 16
	DefaultRefreshTimeout  = 30 * time.Second
	DefaultRetryAfter      = time.Second
	DefaultBulkConcurrency = 1
)

// Config says how much is kept, for how long, and how it is loaded. The zero value is usable: DefaultSize entries that never expire.
// A negative or contradictory value is an error from New.
//
// The life of an entry, with all that can be set:
//
//	written ────────── TTL ──────────┐
//	         fresh     ┊ RefreshAhead│── StaleWhileRevalidate ──┐
//	                   ┊ serve and   │ serve the old value      │
//	                   ┊ refresh     │ and refresh              │
//	                                 │── StaleIfError ────────────────┐
//	                                   load; serve the old value if   │
//	                                   that fails                     gone
type Config struct {
	// Size is the largest number of entries. Default: DefaultSize; no bound if MaxWeight is set, which excludes Size. Who writes evicts what is too much.
	// Of writes at the same time some may leave that to the next call that looks for a value or writes: a few hundred entries for each
	// processor at most, by which a cache that rests may stay above its size, or its weight.
	Size int

	// MaxWeight bounds the sum of the weights of the entries instead of their number. It needs WithWeight. It bounds what WithWeight says: the
	// machinery of an entry, about 150 bytes, comes on top.
	MaxWeight int64

	// TTL is how long a value is fresh after it was loaded or set. Default: for ever. WithTTL overrides it.
	TTL time.Duration

	// Jitter shortens every lifetime by a random share, up to this one, so that entries that were loaded together do not expire
	// together. From 0 to 1; 0.1 is usual. It needs a TTL, a NegativeTTL or WithTTL. Default: 0.
	Jitter float64

	// NegativeTTL is how long an error is remembered that is an answer, see WithNegative. Each needs the other. Default: 0, no error is
	// remembered.
	NegativeTTL time.Duration

	// RefreshAhead is the last part of a lifetime, in which the value is fresh and a request for it starts a refresh in
	// the background. It, StaleWhileRevalidate and StaleIfError need a TTL or WithTTL. It must be less than TTL less Jitter; what gets a shorter lifetime by WithTTL is not refreshed ahead.
	// Default: 0, no refresh ahead.
	RefreshAhead time.Duration

	// StaleWhileRevalidate is for how long after its lifetime a value is still served, at once, to requests, the first of which
	// starts a refresh in the background (RFC 5861, section 3). Default: 0, such requests wait for a load.
	StaleWhileRevalidate time.Duration

	// StaleIfError is for how long after its lifetime a value is served if loading a new one fails (RFC 5861, section 4). It bounds
	// how old an answer can become while the model is down. Errors that are answers (WithNegative) are not failures.
	// Default: 0, the error is returned.
	StaleIfError time.Duration

	// RetryAfter is the time after a failed refresh or load in which no other is tried for that key, as long as there is an old value that
	// may be served. It needs one of the three above. Default: DefaultRetryAfter.
	RetryAfter time.Duration

	// MaxRefreshes bounds the refreshes that are under way at one time, so that they cannot crowd out the loads that callers
	// wait for. A request that finds no room is served the old value all the same, and a later one starts the
	// refresh. It needs RefreshAhead or StaleWhileRevalidate. Default: DefaultMaxRefreshes.
	MaxRefreshes int

	// RefreshTimeout ends the context of a refresh, for which nobody waits who could give up. It needs what MaxRefreshes needs.
	// Default: DefaultRefreshTimeout.
	RefreshTimeout time.Duration

	// LoadTimeout ends the context of a load, whatever those who wait for it would allow. Default: none.
	LoadTimeout time.Duration

	// FinishLoads lets a load go on when all who waited for it have gone, so that its value is there for the next. Set LoadTimeout with it.
	// Default: its context is cancelled.
	FinishLoads bool

	// LoadInline lets a caller of Do whose context can never end (its Done is nil, as that of context.Background) run the load that it begins on its own
	// goroutine, which saves about half of what a miss costs. Others join that load and leave it as ever, and its context ends as ever. What differs is
	// for that caller alone: it returns when the load function and OnLoad have returned, also if Set or Close have given its answer
	// before, which it then gets; a panic in OnLoad goes to it; and if either function calls runtime.Goexit, that ends it. Not for bulk
	// loaders. Default: a goroutine for each load.
	LoadInline bool

	// MaxBulk is the largest number of keys in a call of the bulk loader. NewBulk and NewKeyedBulk only. Default: no bound.
	MaxBulk int

	// BulkConcurrency is how many calls of the bulk loader may run at a time. While they run, the keys that are missed gather for the next.
	// NewBulk and NewKeyedBulk only. Default: DefaultBulkConcurrency.
	BulkConcurrency int

	// OnLoad, if not nil, is called after each call of the load function, when those who waited have their answers, on the
	// goroutine that ran it. Calls may overlap. It may use the cache, but for Shutdown and Close, which wait for it. A panic in it is not recovered.
	OnLoad func(LoadEvent)
}

// withDefaults checks c against the options and fills in the defaults.
func (c Config) withDefaults(o options, bulk bool) (Config, error) {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Size", int64(c.Size)},
		{"MaxWeight", c.MaxWeight},
		{"TTL", int64(c.TTL)},
		{"NegativeTTL", int64(c.NegativeTTL)},
		{"RefreshAhead", int64(c.RefreshAhead)},
		{"StaleWhileRevalidate", int64(c.StaleWhileRevalidate)},
		{"StaleIfError", int64(c.StaleIfError)},
		{"RetryAfter", int64(c.RetryAfter)},
		{"MaxRefreshes", int64(c.MaxRefreshes)},
		{"RefreshTimeout", int64(c.RefreshTimeout)},
		{"LoadTimeout", int64(c.LoadTimeout)},
		{"MaxBulk", int64(c.MaxBulk)},
		{"BulkConcurrency", int64(c.BulkConcurrency)},
	} {
		if f.value < 0 {
			return c, fmt.Errorf("cache: Config.%s is negative: %d", f.name, f.value)
		}
	}
	expires := c.TTL > 0 || o.ttl != nil
	refreshes := c.RefreshAhead > 0 || c.StaleWhileRevalidate > 0
	switch {
	case !(c.Jitter >= 0 && c.Jitter <= 1): // a NaN too
		return c, fmt.Errorf("cache: Config.Jitter is %v, it must be from 0 to 1", c.Jitter)
	case c.Size > 0 && c.MaxWeight > 0:
		return c, fmt.Errorf("cache: Config.Size and MaxWeight exclude each other")
	case (c.MaxWeight > 0) != (o.weight != nil):
		return c, fmt.Errorf("cache: Config.MaxWeight and WithWeight need each other")
	case (c.NegativeTTL > 0) != (o.negative != nil):
		return c, fmt.Errorf("cache: Config.NegativeTTL and WithNegative need each other")
	case !expires && (refreshes || c.StaleIfError > 0):
		return c, fmt.Errorf("cache: Config.RefreshAhead, StaleWhileRevalidate and StaleIfError need a TTL or WithTTL")
	case !expires && c.NegativeTTL == 0 && c.Jitter > 0:
		return c, fmt.Errorf("cache: Config.Jitter needs a TTL, a NegativeTTL or WithTTL")
	case c.TTL > 0 && c.RefreshAhead > 0 && (c.RefreshAhead >= c.TTL || float64(c.RefreshAhead) > float64(c.TTL)*(1-c.Jitter)):
		return c, fmt.Errorf("cache: Config.RefreshAhead %v is not less than the shortest lifetime, TTL %v less Jitter", c.RefreshAhead, c.TTL)
	case !refreshes && (c.MaxRefreshes > 0 || c.RefreshTimeout > 0):
		return c, fmt.Errorf("cache: Config.MaxRefreshes and RefreshTimeout need RefreshAhead or StaleWhileRevalidate")
	case !refreshes && c.StaleIfError == 0 && c.RetryAfter > 0:
		return c, fmt.Errorf("cache: Config.RetryAfter needs RefreshAhead, StaleWhileRevalidate or StaleIfError")
	case bulk && c.LoadInline:
		return c, fmt.Errorf("cache: Config.LoadInline is not for a bulk loader")
	case !bulk && (c.MaxBulk > 0 || c.BulkConcurrency > 0):
		return c, fmt.Errorf("cache: Config.MaxBulk and BulkConcurrency need a bulk loader")
	}
	if c.Size == 0 && c.MaxWeight == 0 {
		c.Size = DefaultSize
	}
	if c.RetryAfter == 0 && (refreshes || c.StaleIfError > 0) {
		c.RetryAfter = DefaultRetryAfter
	}
	if c.MaxRefreshes == 0 && refreshes {
		c.MaxRefreshes = DefaultMaxRefreshes
	}
	if c.RefreshTimeout == 0 && refreshes {
		c.RefreshTimeout = DefaultRefreshTimeout
	}
	if c.BulkConcurrency == 0 && bulk {
		c.BulkConcurrency = DefaultBulkConcurrency
	}
	return c, nil
}
