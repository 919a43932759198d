package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker"
	"github.com/scalable-ai/patterns/breaker/bulkhead"
	"github.com/scalable-ai/patterns/breaker/limiter"
)

// layers puts a limiter around a bulkhead around a breaker around next, none of which has anything to reject.
func layers(t testing.TB, next breaker.Func[int, int]) breaker.Func[int, int] {
	t.Helper()
	guard, err := breaker.New(next, breaker.Config{SlowAfter: time.Second})
	require.NoError(t, err)
	bounded, err := bulkhead.New(guard.Do, bulkhead.Config{Capacity: 1 << 20})
	require.NoError(t, err)
	limited, err := limiter.New(bounded.Do, limiter.Config{Requests: limiter.Limit{Events: 1 << 30, Per: time.Second, Burst: 1 << 30}})
	require.NoError(t, err)
	return limited.Do
}

func TestLayersDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	do := layers(t, echo)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if got, err := do(ctx, 7); got != 7 || err != nil {
			t.Errorf("Do(7) = %d, %v", got, err)
		}
	}))
}

// BenchmarkLayers is what a call costs that goes through all three, beside the call alone.
func BenchmarkLayers(b *testing.B) {
	run := func(do breaker.Func[int, int]) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := do(context.Background(), 7); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
	}
	b.Run("three", run(layers(b, echo)))
	b.Run("none", run(echo))
}
