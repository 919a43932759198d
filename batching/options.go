package batching

import "fmt"

// Option sets a callback that depends on the type of the requests. Options are made by the With functions,
// whose type arguments are inferred from the callback.
type Option[Req any] func(*options[Req]) error

type options[Req any] struct {
	weight func(Req) int
	pad    func(like Req) Req
	split  func(req Req, maxWeight int) []Req
	join   any // func([]Resp) (Resp, error); New knows Resp and checks it
}

func newOptions[Req any](opts []Option[Req]) (options[Req], error) {
	var o options[Req]
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("batching: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// check checks the configuration against the options and fills in the defaults.
func (o *options[Req]) check(cfg Config) (Config, error) {
	cfg, err := cfg.withDefaults(o.weight != nil, o.pad != nil)
	if err == nil && o.split != nil && cfg.MaxWeight == 0 {
		err = fmt.Errorf("batching: WithSplit needs Config.MaxWeight")
	}
	return cfg, err
}

// WithWeight gives requests a weight, in the unit of Config.MaxWeight and MaxQueueWeight: tokens, bytes, images.
// Without it every request weighs 1. A negative weight is ErrBadRequest.
// weight is called once for each request, on the caller's goroutine and outside locks, before it is queued; a panic in it
// goes to the caller.
func WithWeight[Req any](weight func(Req) int) Option[Req] {
	return func(o *options[Req]) error {
		if weight == nil {
			return fmt.Errorf("batching: WithWeight: nil function")
		}
		o.weight = weight
		return nil
	}
}

// WithPad makes the requests that fill a batch up to the next of Config.AllowedSizes. pad is given the batch's
// last real request, so that it can make one of the same shape (returning like itself is often enough), and is called
// once for each place to fill, on the goroutine that runs the batch; a panic in it is treated as one of run. The results of
// padding are thrown away; its weight does not count. It needs Config.AllowedSizes.
func WithPad[Req any](pad func(like Req) Req) Option[Req] {
	return func(o *options[Req]) error {
		if pad == nil {
			return fmt.Errorf("batching: WithPad: nil function")
		}
		o.pad = pad
		return nil
	}
}

// WithSplit lets requests through that are heavier than a batch may be: split cuts one into parts of at most
// maxWeight (which is Config.MaxWeight), the parts are batched like requests of their own, and join makes the answer from theirs, in
// the order of the parts. A part that is still too heavy is ErrTooLarge; if a part fails the request fails with
// that part's error. Both functions are called on the caller's goroutine, outside locks.
func WithSplit[Req, Resp any](split func(req Req, maxWeight int) []Req, join func([]Resp) (Resp, error)) Option[Req] {
	return func(o *options[Req]) error {
		if split == nil || join == nil {
			return fmt.Errorf("batching: WithSplit: nil function")
		}
		o.split, o.join = split, join
		return nil
	}
}
