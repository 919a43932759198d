package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/scalable-ai/patterns/batching"
	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
	"github.com/scalable-ai/patterns/cache"
	"github.com/scalable-ai/patterns/ensemble/rollout"
	"github.com/scalable-ai/patterns/ensemble/route"
	"github.com/scalable-ai/patterns/featurestore"
	"github.com/scalable-ai/patterns/pool"
	"github.com/scalable-ai/patterns/pool/session"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// A breaker takes the errors of all packages that mean "rejected before any work began" for what they are, and the others for failures.
func TestBreakerKnowsRejections(t *testing.T) {
	for _, err := range []error{
		batching.ErrClosed, batching.ErrQueueFull, batching.ErrEvicted, batching.ErrDeadline, &batching.DeadlineError{}, batching.ErrTooLarge, batching.ErrBadRequest, batching.ErrReentrant,
		pool.ErrClosed, pool.ErrQueueFull, pool.ErrEvicted, session.ErrClosed, session.ErrQueueFull, session.ErrTooLarge, session.ErrReentrant, session.ErrLockThread, cache.ErrBadKey, cache.ErrReentrant,
		bulkhead.ErrRejected, bulkhead.ErrFull, &bulkhead.RejectedError{}, limiter.ErrLimited, &limiter.LimitedError{}, breaker.ErrOpen, &breaker.OpenError{},
		route.ErrNoMember, route.ErrNotCapable, route.ErrNoTime, route.ErrOverflow, &route.UnavailableError{},
		rollout.ErrClosed, rollout.ErrNoVersion, rollout.ErrReleased, scatter.ErrPlacement,
		featurestore.ErrClosed, featurestore.ErrKey, featurestore.ErrNotFound, featurestore.ErrOwner, featurestore.ErrPosition, featurestore.ErrQueueFull, featurestore.ErrRequest,
	} {
		if stats := through(t, fmt.Errorf("in between: %w", err)); stats.Neutral != 1 {
			t.Errorf("%v: %+v", err, stats)
		}
	}
	for _, err := range []error{
		batching.ErrResultCount, batching.ErrGoexit, &batching.PanicError{}, session.ErrOpen, &session.OpenError{}, cache.ErrClosed, route.ErrTimeout, context.DeadlineExceeded,
		&route.Error{Attempts: []*route.MemberError{{Err: batching.ErrQueueFull}}}, &scatter.PartialError{}, &featurestore.PartialError{}, featurestore.ErrRow,
		errors.Join(batching.ErrQueueFull, errors.New("another")),
	} {
		if stats := through(t, err); stats.Failed != 1 {
			t.Errorf("%v: %+v", err, stats)
		}
	}
}

func through(t *testing.T, err error) breaker.Stats {
	t.Helper()
	b, bad := breaker.New(func(context.Context, int) (int, error) { return 0, err }, breaker.Config{})
	if bad != nil {
		t.Fatal(bad)
	}
	if _, got := b.Do(t.Context(), 1); !errors.Is(got, err) {
		t.Errorf("%v became %v", err, got)
	}
	return b.Stats()
}
