package limiter

import (
	"fmt"
	"time"
)

// NeverRan is what the function of WithActual, and Permit.Settle, take for a request for which no work was done: everything
// that it took is given back, in Requests as in Cost.
const NeverRan = -1

// Option sets a callback that depends on the types of requests and responses. Options are made by the With functions, whose
// type arguments are inferred from the callback.
type Option[Req any] func(*options[Req]) error

type options[Req any] struct {
	cost   func(Req) int
	actual any // func(Req, Resp, error) int; New knows Resp and checks it
	pause  any // func(Req, Resp, error) time.Duration, likewise
}

// WithCost gives requests a cost, in the unit of Config.Cost: what is reserved for them before they run. For a language model that is
// the tokens of the prompt and the most that may be generated. Without it every request costs 1. A negative cost is
// ErrBadRequest.
// cost is called once for each request whose context has not ended, on the caller's goroutine and outside locks; a panic in it goes to the
// caller.
func WithCost[Req any](cost func(Req) int) Option[Req] {
	return func(o *options[Req]) error {
		if cost == nil {
			return fmt.Errorf("limiter: WithCost: nil function")
		}
		o.cost = cost
		return nil
	}
}

// WithActual settles: actual says what a request has cost in fact, in the unit of WithCost, and the difference to what was reserved
// is given back or taken in addition, even into debt (see Config.MaxDebt). It returns NeverRan, or any negative number, if no
// work was done (the error says that it was rejected further down, say): the request then does not count. Where the
// actual cost is not known, return the estimate.
//
// Without it a request costs what was reserved, whether it failed or not; so does a request whose function panics or calls runtime.Goexit.
// actual is called once for each request that ran, on the caller's goroutine and outside locks; a panic in it goes to the caller and what was
// reserved stays taken.
func WithActual[Req, Resp any](actual func(req Req, resp Resp, err error) int) Option[Req] {
	return func(o *options[Req]) error {
		if actual == nil {
			return fmt.Errorf("limiter: WithActual: nil function")
		}
		o.actual = actual
		return nil
	}
}

// WithPause obeys a back-end that asks for a pause: pause says for how long, from the response or the error of a request (a
// Retry-After, typically of a 429), and nothing is let through for that long. 0 or less is no pause. In a
// [Keyed] it pauses the key of the request; see there for PauseAll.
// pause is called once for each request that ran, on the caller's goroutine and outside locks, before what WithActual says is
// settled; a panic in it goes to the caller.
func WithPause[Req, Resp any](pause func(req Req, resp Resp, err error) time.Duration) Option[Req] {
	return func(o *options[Req]) error {
		if pause == nil {
			return fmt.Errorf("limiter: WithPause: nil function")
		}
		o.pause = pause
		return nil
	}
}

// callbacks are the options, with their types.
type callbacks[Req, Resp any] struct {
	cost   func(Req) int
	actual func(Req, Resp, error) int
	pause  func(Req, Resp, error) time.Duration
}

func newCallbacks[Req, Resp any](opts []Option[Req]) (callbacks[Req, Resp], error) {
	var o options[Req]
	var f callbacks[Req, Resp]
	for _, opt := range opts {
		if opt == nil {
			return f, fmt.Errorf("limiter: nil Option")
		}
		if err := opt(&o); err != nil {
			return f, err
		}
	}
	f.cost = o.cost
	var ok bool
	if f.actual, ok = o.actual.(func(Req, Resp, error) int); o.actual != nil && !ok {
		return f, fmt.Errorf("limiter: WithActual: function is %T, the wrapped one needs %T", o.actual, f.actual)
	}
	if f.pause, ok = o.pause.(func(Req, Resp, error) time.Duration); o.pause != nil && !ok {
		return f, fmt.Errorf("limiter: WithPause: function is %T, the wrapped one needs %T", o.pause, f.pause)
	}
	return f, nil
}

func (f *callbacks[Req, Resp]) costOf(req Req) int {
	if f.cost == nil {
		return 1
	}
	return f.cost(req)
}

// after is what follows a request that ran. The pause comes first: a refund may wake those who wait, and they must not go to a
// back-end that has just asked for one. total is zero if there is none.
func (f *callbacks[Req, Resp]) after(own, total receipt, cost int, req Req, resp Resp, err error) {
	if f.pause != nil {
		own.core.pause(f.pause(req, resp, err))
	}
	if f.actual != nil {
		settle(own, total, cost, f.actual(req, resp, err))
	}
}
