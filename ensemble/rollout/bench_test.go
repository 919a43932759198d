package rollout_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// parallel calls do from each processor.
func parallel(b *testing.B, do rollout.Func[int, int]) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for pb.Next() {
			if got, err := do(ctx, 2); got != 4 || err != nil {
				b.Errorf("Do(2) = %d, %v", got, err)
				return
			}
		}
	})
}

// BenchmarkAlias is what an alias costs beside the model itself, and beside the usual ways of swapping it safely: a lock around each request, and one counter.
func BenchmarkAlias(b *testing.B) {
	b.Run("direct", func(b *testing.B) { parallel(b, double) })
	b.Run("rwmutex", func(b *testing.B) { parallel(b, (&locked{model: double}).Do) })
	b.Run("counter", func(b *testing.B) { parallel(b, (&counted{model: double}).Do) })
	b.Run("alias", func(b *testing.B) {
		r, err := rollout.NewRegistry[int, int](rollout.RegistryConfig{})
		require.NoError(b, err)
		require.NoError(b, r.Register(v(1), source(double), ""))
		_, err = r.Deploy(b.Context(), "champion", v(1), "")
		require.NoError(b, err)
		parallel(b, r.Alias("champion").Do)
	})
}
