package rollout_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func TestDoDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newRegistry(t, rollout.RegistryConfig{})
	require.NoError(t, r.Register(v(1), source(double), ""))
	b, err := rollout.NewBlueGreen(r, rollout.BlueGreenConfig{Alias: "champion"})
	require.NoError(t, err)
	require.NoError(t, b.Switch(ctx, v(1), ""))
	lease, err := r.Acquire("champion")
	require.NoError(t, err)
	defer lease.Release()
	bucket := newBucket(t, rollout.BucketConfig{Salt: "s", Namespace: "n", From: 0.1})
	key := rollout.WithKey(func(context.Context, int) string { return "somebody" })
	gates := []rollout.Gate{{Metric: rollout.Errors, Margin: 0.1}, {Metric: rollout.Slow, SlowAfter: 1 << 30, Max: 0.1}, {Metric: rollout.Abandoned, Margin: 0.1}}
	young := newCanary(t, double, double, rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.999}}, Gates: gates}, key)
	old := newCanary(t, double, double, rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.001}}, Gates: gates}, key)
	mixed := newCanary(t, double, double, rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.5}}, Gates: gates}, rollout.WithKey(func(context.Context, int) string { return "" }))
	over := newCanary(t, double, double, rollout.CanaryConfig{}, key)
	require.NoError(t, over.RollBack(""))
	shadow := newShadow(t, double, rollout.ShadowConfig{Sample: 1e-300})
	defer shadow.Close()
	for name, do := range map[string]rollout.Func[int, int]{
		"alias": r.Alias("champion").Do, "lease": lease.Do, "blue-green": b.Do, "canary, challenger": young.Do, "canary, champion": old.Do,
		"canary, anonymous": mixed.Do, "canary, over": over.Do, "shadow, not sampled": shadow.Do,
		"bucket": func(_ context.Context, n int) (int, error) {
			if bucket.In("somebody", 0.5) {
				return 2 * n, nil
			}
			return n * 2, nil
		},
	} {
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			if got, err := do(ctx, 7); got != 14 || err != nil {
				t.Errorf("%s: Do(7) = %d, %v", name, got, err)
			}
		}), name)
	}
}
