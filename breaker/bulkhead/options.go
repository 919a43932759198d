package bulkhead

import "fmt"

// Option sets a callback that depends on the type of the requests. Options are made by [WithCost], whose type
// argument is inferred from the callback.
type Option[Req any] func(*options[Req]) error

type options[Req any] struct {
	cost func(Req) int
}

func newOptions[Req any](opts []Option[Req]) (options[Req], error) {
	var o options[Req]
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("bulkhead: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// WithCost gives requests a cost, in the unit of Config.Capacity. Without it each costs 1.
//
// A cost of 0 is admitted at once and bounded by nothing, so return at least 1 for whatever should count. A negative
// cost is ErrBadRequest, one above the capacity ErrTooLarge. cost is called once for each Do, on the caller's goroutine, before
// anything is held or locked; a panic in it goes to the caller.
func WithCost[Req any](cost func(Req) int) Option[Req] {
	return func(o *options[Req]) error {
		if cost == nil {
			return fmt.Errorf("bulkhead: WithCost: nil function")
		}
		o.cost = cost
		return nil
	}
}
