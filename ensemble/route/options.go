package route

import "fmt"

// Option sets a callback that depends on the type of the requests. Options are made by the With functions, whose type arguments are
// inferred from the callback.
type Option[Req any] func(*options[Req]) error

type options[Req any] struct {
	key   func(Req) string
	needs func(Req) []string
}

func newOptions[Req any](opts []Option[Req]) (options[Req], error) {
	var o options[Req]
	for _, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("route: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// WithKey gives a request its key (user, conversation, document), for [Sticky]. The empty key is one like any other. It is called once for a request, on the caller's goroutine.
func WithKey[Req any](key func(Req) string) Option[Req] {
	return func(o *options[Req]) error {
		if key == nil {
			return fmt.Errorf("route: WithKey: nil function")
		}
		o.key = key
		return nil
	}
}

// WithNeeds says which of Member.Capabilities a request needs. Members that lack one of them are not asked. It is called
// once for a request, on the caller's goroutine.
func WithNeeds[Req any](needs func(Req) []string) Option[Req] {
	return func(o *options[Req]) error {
		if needs == nil {
			return fmt.Errorf("route: WithNeeds: nil function")
		}
		o.needs = needs
		return nil
	}
}
