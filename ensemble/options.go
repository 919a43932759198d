package ensemble

import "fmt"

// Option is a choice that depends on the type of the members' answers.
type Option[Resp any] func(*options[Resp]) error

type options[Resp any] struct{ check func(Resp) error }

// WithCheck looks at each answer of a member; an error makes it a failure of that member. It is called on the member's goroutine, after
// the combiner's own check; calls overlap, a panic in it is one of the member's. For what a combiner cannot know: the number of classes, a range.
func WithCheck[Resp any](check func(Resp) error) Option[Resp] {
	return func(o *options[Resp]) error {
		if check == nil {
			return fmt.Errorf("ensemble: WithCheck: nil function")
		}
		o.check = check
		return nil
	}
}
