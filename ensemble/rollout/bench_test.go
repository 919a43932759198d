package rollout_test

import (
	"context"
	"strconv"
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
		r := newRegistry(b, rollout.RegistryConfig{})
		require.NoError(b, r.Register(v(1), source(double), ""))
		_, err := r.Deploy(b.Context(), "champion", v(1), "")
		require.NoError(b, err)
		parallel(b, r.Alias("champion").Do)
	})
}

// BenchmarkCanary is what a canary costs beside the model itself, while a ramp runs and when it has ended.
func BenchmarkCanary(b *testing.B) {
	b.Run("direct", func(b *testing.B) { parallel(b, double) })
	for _, running := range []bool{true, false} {
		b.Run("ramp="+strconv.FormatBool(running), func(b *testing.B) {
			c := newCanary(b, double, double, rollout.CanaryConfig{}, rollout.WithKey(func(context.Context, int) string { return "somebody" }))
			if !running {
				require.NoError(b, c.RollBack(""))
			}
			parallel(b, c.Do)
		})
	}
}

// BenchmarkShadow is what the caller pays when one request in a hundred is shadowed, and when all are but the shadow is busy.
func BenchmarkShadow(b *testing.B) {
	b.Run("direct", func(b *testing.B) { parallel(b, double) })
	b.Run("sampled", func(b *testing.B) {
		s := newShadow(b, double, rollout.ShadowConfig{Sample: 0.01})
		defer s.Close()
		parallel(b, s.Do)
	})
	b.Run("busy", func(b *testing.B) {
		s := newShadow(b, func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, rollout.ShadowConfig{Concurrency: 1, MaxQueue: 1})
		defer s.Close()
		parallel(b, s.Do)
	})
}

// BenchmarkBucket is the decision for a key.
func BenchmarkBucket(b *testing.B) {
	for _, cfg := range []rollout.BucketConfig{{Salt: "s"}, {Salt: "s", Namespace: "n", To: 0.5}} {
		b.Run("namespace="+cfg.Namespace, func(b *testing.B) {
			bucket := newBucket(b, cfg)
			b.ReportAllocs()
			for b.Loop() {
				bucket.In("user-1234567890", 0.3)
			}
		})
	}
}

// BenchmarkMeanTest is a sample of a gate.
func BenchmarkMeanTest(b *testing.B) {
	test, err := rollout.NewMeanTest(rollout.MeanTestConfig{Limit: 0.5})
	require.NoError(b, err)
	x := 0.0
	for b.Loop() {
		x = 1 - x
		test.Add(x)
	}
}
