package session

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
)

// Option sets a callback. Options are made by the With functions, whose type arguments are inferred from the callback; New
// returns an error if these are not the types of the pool.
type Option func(*options) error

// options holds the callbacks until New, which knows their types.
type options struct {
	warmUp, check any // func(context.Context, S) error
	key           any // func(Req) (uint64, error)
	cost          any // func(Req) int
	broken        func(error) bool
}

func newOptions(opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		if opt == nil {
			return o, errors.New("session: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// typed returns the callback as the type that the pool needs. It is nil if there is none.
func typed[F any](name string, callback any) (f F, err error) {
	if callback == nil {
		return f, nil
	}
	f, ok := callback.(F)
	if !ok {
		return f, fmt.Errorf("session: %s: the callback is a %T, the pool needs a %T", name, callback, f)
	}
	return f, nil
}

func set[F any](name string, f F, isNil bool, store func(*options, F)) Option {
	return func(o *options) error {
		if isNil {
			return fmt.Errorf("session: %s: nil function", name)
		}
		store(o, f)
		return nil
	}
}

// WithWarmUp has each new session prepared (weights touched, kernels compiled, a first inference) before it comes into
// service. It runs where open ran, with the same context, and counts as a part of it: a failure closes the session, and
// is treated as one of open.
func WithWarmUp[S any](warmUp func(context.Context, S) error) Option {
	return set("WithWarmUp", warmUp, warmUp == nil, func(o *options, f func(context.Context, S) error) { o.warmUp = f })
}

// WithCheck has each session checked every Config.CheckEvery. The check takes one unit of the session's capacity, as a request of
// cost 1 would; of a session that is always busy it takes the place of the next request. A session that fails is closed and
// replaced, also if the check panics. It runs on a goroutine of the pool (the session's thread with
// Config.LockThread); its context ends when the pool is closed, and has no deadline of its own.
func WithCheck[S any](check func(context.Context, S) error) Option {
	return set("WithCheck", check, check == nil, func(o *options, f func(context.Context, S) error) { o.check = f })
}

// WithKey turns on affinity: a request goes to the session that had the last request of the same key (a conversation, an adapter, a prompt
// prefix), as far as Config.Imbalance allows. key is called once for each request, on the caller's goroutine and
// outside locks; a panic in it goes to the caller. Keys are told apart by a 64-bit hash of the process; a collision
// makes two keys share a session and does no other harm.
func WithKey[Req any, K comparable](key func(Req) K) Option {
	seed := maphash.MakeSeed()
	hash := func(k K) (h uint64, err error) {
		defer func() {
			if v := recover(); v != nil { // an interface that holds a slice
				err = fmt.Errorf("%w: key: %v", ErrBadRequest, v)
			}
		}()
		if k != k { // a NaN
			return 0, fmt.Errorf("%w: key %v is not equal to itself", ErrBadRequest, k)
		}
		return maphash.Comparable(seed, k), nil
	}
	return set("WithKey", func(req Req) (uint64, error) { return hash(key(req)) }, key == nil,
		func(o *options, f func(Req) (uint64, error)) { o.key = f })
}

// WithCost gives requests a cost, in the unit of Config.PerSession: tokens, images, streams. A session has requests of up to
// that cost together at a time. Without it every request costs 1. cost is called once for each request, on the caller's
// goroutine and outside locks; a panic in it goes to the caller. A cost of less than 1 is ErrBadRequest.
func WithCost[Req any](cost func(Req) int) Option {
	return set("WithCost", cost, cost == nil, func(o *options, f func(Req) int) { o.cost = f })
}

// WithBroken says which errors of fn mean that the session is broken, beside those marked with Bad. It is called with each
// error of fn that is not, on the goroutine that called fn; if it panics the session counts as broken.
// To give up sessions whose call was cancelled half-way, for instance:
//
//	session.WithBroken(func(err error) bool { return errors.Is(err, context.Canceled) })
func WithBroken(broken func(error) bool) Option {
	return set("WithBroken", broken, broken == nil, func(o *options, f func(error) bool) { o.broken = f })
}
