package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// The share of the requests that the shadow sees too, and how many of these may wait for it: callers that never pause come in bursts.
const (
	shadowSample = 0.25
	shadowQueue  = 10_000
)

// shadowed is how two versions compare on the same requests.
type shadowed struct {
	rollout.ShadowStats
	errors                           int64 // of the champion
	labelled, first, second, neither int64 // of the requests on which they differ: with a label, and who was right
}

// shadow has the challenger answer a sample of the champion's requests too, for nobody. With an error too it returns what was counted, if anything.
func (f *fleet) shadow(ctx context.Context, t traffic) (*shadowed, error) {
	var labelled, first, second, failed atomic.Int64
	s, err := rollout.NewShadow(f.registry.Alias(champion).Do, f.registry.Alias(challenger).Do, rollout.ShadowConfig{Sample: shadowSample, MaxQueue: shadowQueue},
		rollout.WithCompare(func(_ request, a, b answer) bool { return a.digit == b.digit }),
		rollout.WithResult(func(_ context.Context, r rollout.ShadowResult[request, answer]) {
			if !r.Compared || r.Agree || !r.Request.labelled {
				return
			}
			labelled.Add(1)
			switch r.Request.digit {
			case r.Primary.digit:
				first.Add(1)
			case r.Shadow.digit:
				second.Add(1)
			}
		}))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = spread(ctx, t.o.callers, max(t.o.n/4, 100), func(ctx context.Context, i int) error {
		f.log.now.Add(1)
		_, err := s.Do(ctx, t.request(i))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			failed.Add(1)
		}
		return nil
	})
	if err == nil {
		err = s.Shutdown(ctx) // what has been sampled is compared
	}
	if err != nil {
		err = fmt.Errorf("shadow: %w", err)
	}
	l, a, b := labelled.Load(), first.Load(), second.Load()
	return &shadowed{s.Stats(), failed.Load(), l, a, b, l - a - b}, err
}
