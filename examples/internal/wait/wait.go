// Package wait waits for a time to come or a context to end.
package wait

import (
	"context"
	"time"
)

// For waits so long, and returns context.Cause(ctx) if ctx ends meanwhile. It does not look at ctx if d is not positive.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Until reports whether the time came before ctx ended.
func Until(ctx context.Context, when time.Time) bool {
	return For(ctx, time.Until(when)) == nil && ctx.Err() == nil // both may have come: then select has thrown a die
}
