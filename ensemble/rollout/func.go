package rollout

import (
	"context"
	"time"
)

// Func is the shape that every pattern wraps and exposes: any model, any other pattern's Do.
type Func[Req, Resp any] = func(ctx context.Context, req Req) (Resp, error)

// every calls step now and then once in every interval, until ctx ends or step says that it is done.
func every(ctx context.Context, interval time.Duration, step func() (done bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if done, err := step(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
