// Package callers drives benchmarks of what many callers share: those of batching, and the comparison with its peers.
package callers

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// Run has n goroutines ask do, which gives back what it is given, for b.N requests together; ns/op is the time for one. Each has a context of its own.
//
// Each takes its next request when it has the answer to the last one. RunParallel hands requests out by the hundred where one takes as little time as in a
// batch: at the end the callers that have some left are too few for a full one, and each of their requests waits for company as long as it may.
func Run(b *testing.B, n int, newContext func() (context.Context, context.CancelFunc), do func(ctx context.Context, req int) (int, error)) {
	b.Helper()
	b.ReportAllocs()
	var (
		asked atomic.Int64
		wg    sync.WaitGroup
	)
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			ctx, cancel := newContext()
			defer cancel()
			for i := int(asked.Add(1)); i <= b.N; i = int(asked.Add(1)) {
				if got, err := do(ctx, i); err != nil || got != i {
					b.Errorf("Do(%d) = %d, %v", i, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Background is a context that never ends.
func Background() (context.Context, context.CancelFunc) { return context.Background(), func() {} }

// Cancellable is a context that could end, as that of an HTTP request.
func Cancellable() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}
