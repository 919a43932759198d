package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scalable-ai/patterns/internal/reject"
)

// Outcome says what a call tells about the back-end.
type Outcome uint8

// The outcomes. Whether a call was slow is another matter: of those that count, Success and Failure, each is slow
// if it took as long as Config.SlowAfter.
const (
	// Default leaves it to the default rules:
	//
	//   - no error is a Success;
	//   - an error of a request that was turned away before any work began (see Rejecter) says nothing: Neutral. That is so for ErrOpen, of another
	//     breaker inside, and for a batcher's ErrQueueFull and ErrDeadline;
	//   - another error while the caller's context goes on is a Failure;
	//   - an error after the caller has cancelled its context says nothing: Neutral. But a call that had been under way for
	//     SlowAfter already counts as slow, though not as failed;
	//   - an error after the caller's deadline has passed is a Failure, since this is how a back-end that hangs shows up. But if there
	//     is a SlowAfter and the call took less, the caller was impatient: Neutral. For a stream all its time counts here, and not
	//     that to the first token: this is how one shows up that stalls. If a stream may run into its deadline while it goes
	//     well, settle it as a Success then.
	Default Outcome = iota

	// Success counts. An error can be one: that a prompt was refused, or an id is unknown, is an answer of a healthy back-end.
	Success

	// Failure counts. If the error carries a Retry-After (see RetryAfterer), the breaker stays open at least so long if it
	// opens meanwhile.
	Failure

	// Neutral does not count at all; a probe is repeated.
	Neutral

	// Throttled is for a back-end that asks to be left alone, like HTTP 429. It is neither a success nor a
	// failure and opens the breaker at once: for the Retry-After that the error carries (see RetryAfterer), or else as
	// usual. Use it if the request hit a limit that others would hit too; a limit of this caller alone is Neutral.
	Throttled
)

var outcomeNames = [...]string{"default", "success", "failure", "neutral", "throttled"}

// String returns the outcome's name in lower case.
func (o Outcome) String() string { return nameOf(outcomeNames[:], o, "Outcome") }

// Option sets a callback that depends on the types of requests and responses. Options are made by the With functions,
// whose type arguments are inferred from the callback.
type Option[Req, Resp any] func(*options[Req, Resp]) error

type options[Req, Resp any] struct {
	classify func(Req, Resp, error) Outcome
}

func newOptions[Req, Resp any](opts []Option[Req, Resp]) (o options[Req, Resp], err error) {
	for _, opt := range opts {
		if opt == nil {
			return o, errors.New("breaker: nil Option")
		}
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// WithClassify says what the outcome of a call is. classify is called once for each call that next has returned
// from, on the caller's goroutine and outside locks. What it has no opinion of it leaves to the default rules by returning
// Default. A panic in it goes to the caller, and the call counts as a failure, as does an outcome that does not exist.
func WithClassify[Req, Resp any](classify func(req Req, resp Resp, err error) Outcome) Option[Req, Resp] {
	return func(o *options[Req, Resp]) error {
		if classify == nil {
			return fmt.Errorf("breaker: WithClassify: nil function")
		}
		o.classify = classify
		return nil
	}
}

// result is the outcome of a call, with all that counts of it.
type result struct {
	outcome Outcome // not Default
	slow    bool
	wait    time.Duration // Failure and Throttled: the Retry-After
	at      time.Duration // when it came, if somebody needs to know
}

// resolve applies the default rules and the slow clock to a call that has ended. first is when its first token came; 0 if that is not
// known. It calls methods of the context and the error, which are the caller's: it must not run under mu, and may panic.
func (c *core) resolve(ctx context.Context, k call, first time.Duration, o Outcome, err error) (r result) {
	var took, answered time.Duration
	if c.cfg.SlowAfter > 0 || c.cfg.WindowTime > 0 {
		r.at = c.now()
		took = r.at - k.start
		answered = took
		if first > 0 {
			answered = first - k.start
		}
	}
	slow := c.cfg.SlowAfter > 0 && answered >= c.cfg.SlowAfter
	if o == Default {
		o = c.cfg.byDefault(ctx, err, took, slow)
	}
	if o > Throttled {
		o = Failure
	}
	if o == Failure || o == Throttled {
		r.wait = retryAfter(err)
	}
	r.outcome = o
	r.slow = slow && (o == Success || o == Failure)
	return r
}

// byDefault applies the default rules to a call that took so long, and whose answer, or its first token, was slow or not.
func (c *Config) byDefault(ctx context.Context, err error, took time.Duration, slow bool) Outcome {
	if err == nil {
		return Success
	}
	if reject.Is(err) {
		return Neutral
	}
	switch ended := ctx.Err(); {
	case ended == nil:
		return Failure
	case errors.Is(ended, context.DeadlineExceeded):
		if took < c.SlowAfter {
			return Neutral
		}
		return Failure
	case slow:
		return Success // which is counted as slow
	default:
		return Neutral
	}
}
