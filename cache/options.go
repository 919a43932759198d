package cache

import (
	"context"
	"fmt"
	"time"
)

// Option sets a callback. Options are made by the With functions. New checks that their types are those of the cache, and returns an
// error if not.
type Option func(*options) error

// options holds the callbacks whose types depend on the cache as any; callback gives them their types.
type options struct {
	ttl       any
	weight    any
	admission any
	namespace any
	equal     any
	negative  func(error) bool
}

func newOptions(opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("cache: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// callback gives a callback its type, F.
func callback[F any](name string, f any) (typed F, err error) {
	if f == nil {
		return typed, nil
	}
	typed, ok := f.(F)
	if !ok {
		return typed, fmt.Errorf("cache: %s: the function is a %T, this cache needs a %T", name, f, typed)
	}
	return typed, nil
}

func option(name string, isNil bool, set func(*options)) Option {
	return func(o *options) error {
		if isNil {
			return fmt.Errorf("cache: %s: nil function", name)
		}
		set(o)
		return nil
	}
}

// WithTTL gives every entry a lifetime of its own instead of Config.TTL. What gets 0 or less is not stored. Jitter and the windows
// of Config apply to it too. It is called once for each value that is loaded or set, outside locks: on the
// goroutine of the load or on that of Set.
func WithTTL[K comparable, V any](ttl func(key K, value V) time.Duration) Option {
	return option("WithTTL", ttl == nil, func(o *options) { o.ttl = ttl })
}

// WithWeight gives entries a weight in the unit of Config.MaxWeight: bytes, usually. 0 counts as 1. What gets a negative weight, or more
// than MaxWeight or than 4 GiB, is not stored. It needs Config.MaxWeight. It is called like the function of WithTTL.
func WithWeight[K comparable, V any](weight func(key K, value V) int) Option {
	return option("WithWeight", weight == nil, func(o *options) { o.weight = weight })
}

// Cost is what a value costs: to load and to keep.
type Cost struct {
	Time   time.Duration // the load took; of a bulk load, this key's share
	Weight int           // of the entry, see WithWeight; 1 without
}

// PerWeight is the time that a hit saves for each unit of room that the entry takes, in nanoseconds.
func (c Cost) PerWeight() float64 { return float64(c.Time) / float64(max(c.Weight, 1)) }

// WithAdmission lets a loaded value into the cache only if admit returns true: the hint by which what is cheap to compute and large
// to keep stays out. Without it all are let in, and the eviction decides by frequency and age alone. A value that is kept out takes the place of no other, and
// the one the key had before is removed. It is called like the function of WithTTL, but not for Set.
func WithAdmission[K comparable, V any](admit func(key K, value V, cost Cost) bool) Option {
	return option("WithAdmission", admit == nil, func(o *options) { o.admission = admit })
}

// WithNamespace says which namespace a key belongs to, for Invalidate. Two versions that are to be cached side by side must differ in their
// keys, so the key has to hold its namespace, or what it follows from. It is called on the caller's goroutine, outside
// locks, when something is loaded or set, not on hits.
func WithNamespace[K comparable](namespace func(key K) Namespace) Option {
	return option("WithNamespace", namespace == nil, func(o *options) { o.namespace = namespace })
}

// WithNegative says which errors of the load function are answers, and are remembered for Config.NegativeTTL: that something does not
// exist, or that a request is not acceptable. Never name errors that pass: a time-out, a full queue. It is called on
// the goroutine of the load, outside locks.
func WithNegative(negative func(error) bool) Option {
	return option("WithNegative", negative == nil, func(o *options) { o.negative = negative })
}

// WithEqual guards against two requests with one key, which is what a hash as the key makes possible: an entry keeps its request, and answers only
// those that are equal to it. The second request with that key is loaded each time and not stored. It costs the room for the request, which
// must not be changed afterwards, and a comparison on each hit. It is called on the caller's goroutine, outside locks.
func WithEqual[Req any](equal func(a, b Req) bool) Option {
	return option("WithEqual", equal == nil, func(o *options) { o.equal = equal })
}

// callbacks are the options with their types, and the load functions, one of which is nil.
type callbacks[K comparable, Req, V any] struct {
	load      Func[Req, V]
	loadAll   func(ctx context.Context, reqs []Req) ([]V, error)
	ttl       func(K, V) time.Duration
	weight    func(K, V) int
	admission func(K, V, Cost) bool
	equal     func(a, b Req) bool
	negative  func(error) bool
}

func (cb *callbacks[K, Req, V]) take(o options) (err error) {
	if cb.ttl, err = callback[func(K, V) time.Duration]("WithTTL", o.ttl); err != nil {
		return err
	}
	if cb.weight, err = callback[func(K, V) int]("WithWeight", o.weight); err != nil {
		return err
	}
	if cb.admission, err = callback[func(K, V, Cost) bool]("WithAdmission", o.admission); err != nil {
		return err
	}
	if cb.equal, err = callback[func(a, b Req) bool]("WithEqual", o.equal); err != nil {
		return err
	}
	cb.negative = o.negative
	return nil
}
