package rollout_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// The whole canary under the null, looked at after each sample: the false alarms of all gates and steps together.
func TestCanaryFalseAlarms(t *testing.T) {
	skipUnderRace(t)
	const runs = 400
	alarms := 0
	for run := range runs {
		fails := func(n int) error {
			if hash := uint32(n*runs+run) * 0x9E3779B1; (hash^hash>>15)*0x85EBCA6B>>16%50 == 0 {
				return errBoom
			}
			return nil
		}
		do := func(answer int) rollout.Func[int, int] {
			return func(_ context.Context, n int) (int, error) { return answer, fails(n) }
		}
		c := newCanary(t, do(1), do(2), rollout.CanaryConfig{
			Bucket: rollout.BucketConfig{Salt: strconv.Itoa(run)},
			Steps:  []rollout.Step{{Share: 0.1}, {Share: 0.5}},
			Gates:  []rollout.Gate{{Metric: rollout.Errors, Margin: 0.001, Alpha: 0.05, MinSamples: 1}},
		})
		traffic(t, c.Do, 3000)
		if c.Stats().Phase == rollout.RolledBack {
			alarms++
		}
	}
	t.Logf("%d of %d", alarms, runs)
	require.LessOrEqual(t, float64(alarms)/runs, 0.05)
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := func(answer int, d time.Duration) rollout.Func[int, int] {
			return func(ctx context.Context, _ int) (int, error) {
				select {
				case <-time.After(d):
					return answer, nil
				case <-ctx.Done():
					return answer, ctx.Err()
				}
			}
		}
		cfg := rollout.CanaryConfig{
			Bucket: rollout.BucketConfig{Salt: "v2"},
			Steps:  []rollout.Step{{Share: 0.5}},
			Gates:  []rollout.Gate{{Metric: rollout.Slow, SlowAfter: 100 * time.Millisecond, Margin: 0.02}, {Metric: rollout.Errors, Max: 0.5}},
		}
		c := newCanary(t, takes(1, 50*time.Millisecond), takes(2, 60*time.Millisecond), cfg)
		traffic(t, c.Do, 2000)
		require.Equal(t, rollout.Promoted, step(t, c).Phase, "slower, but fast enough")

		c = newCanary(t, takes(1, 50*time.Millisecond), takes(2, time.Second), cfg)
		traffic(t, c.Do, 1000)
		require.Equal(t, rollout.RolledBack, c.Stats().Phase)
		require.Contains(t, c.Stats().Why, "gate slow")

		// Callers that give up: what they have cancelled is no error of the model, but it has been slow.
		c = newCanary(t, takes(1, 50*time.Millisecond), takes(2, time.Hour), cfg)
		for n := range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(200*time.Millisecond, cancel)
			_, _ = c.Do(ctx, n)
			stop.Stop()
			cancel()
		}
		st := c.Stats()
		require.Equal(t, rollout.RolledBack, st.Phase)
		require.Contains(t, st.Why, "gate slow")
		require.Zero(t, st.Challenger.Failed)
		require.Positive(t, st.Challenger.Cancelled)

		cfg.Gates = append(cfg.Gates, rollout.Gate{Metric: rollout.Abandoned, Margin: 0.1, Hard: 0.5})
		// Those that give up sooner say nothing about slowness and errors; a deadline does.
		c = newCanary(t, takes(1, time.Millisecond), takes(2, time.Hour), cfg)
		for n := range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(20*time.Millisecond, cancel)
			_, _ = c.Do(ctx, n)
			stop.Stop()
			cancel()
		}
		st = c.Stats()
		require.Zero(t, st.Gates[0].Samples)
		require.Zero(t, st.Gates[1].Samples)
		require.Zero(t, st.Samples)
		require.Equal(t, rollout.RolledBack, st.Phase)
		require.Contains(t, st.Why, "gate abandoned")
		require.NoError(t, c.Restart(cfg))
		for n := range 400 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			_, _ = c.Do(ctx, n)
			cancel()
		}
		require.Equal(t, rollout.RolledBack, c.Stats().Phase)
		require.Contains(t, c.Stats().Why, "gate errors")
	})
}

func TestAgreementObservedAndMonitor(t *testing.T) {
	reading := rollout.Inconclusive
	var c *rollout.Canary[int, int]
	gates := []rollout.Gate{
		{Metric: rollout.Disagreement, Max: 0.1},
		{Metric: rollout.Observed, Name: "toxicity", Max: 0.2},
		{Metric: rollout.Monitor, Name: "drift", Check: func(context.Context) rollout.Verdict {
			c.Stats() // not under a lock
			return reading
		}},
	}
	cfg := rollout.CanaryConfig{Bucket: rollout.BucketConfig{Salt: "v2"}, Steps: []rollout.Step{{Share: 0.5}}, Gates: gates}
	c = newCanary(t, constant(1), constant(2), cfg)
	for range 200 {
		c.Agreed(true)
		require.NoError(t, c.Observe("toxicity", 0.05))
	}
	require.Error(t, c.Observe("nobody", 0.05))
	require.Error(t, c.Observe("disagreement", 0.05))
	st := step(t, c)
	require.Equal(t, rollout.Pass, st.Gates[0].Verdict)
	require.Equal(t, rollout.Pass, st.Gates[1].Verdict)
	require.Equal(t, rollout.Inconclusive, st.Gates[2].Verdict)
	require.Equal(t, rollout.Ramping, st.Phase, "the monitor holds the ramp")
	reading = rollout.Pass
	require.Equal(t, rollout.Promoted, step(t, c).Phase)

	for name, bad := range map[string]func(){
		"gate disagreement": func() { c.Agreed(false) },
		"gate toxicity":     func() { _ = c.Observe("toxicity", 0.5) },
	} {
		require.NoError(t, c.Restart(cfg))
		for range 200 {
			bad()
		}
		require.Equal(t, rollout.RolledBack, c.Stats().Phase)
		require.Contains(t, c.Stats().Why, name)
	}
	require.NoError(t, c.Restart(cfg))
	reading = rollout.Fail
	st = step(t, c)
	require.Equal(t, rollout.RolledBack, st.Phase)
	require.Contains(t, st.Why, "gate drift")
	c.Agreed(false)
	require.NoError(t, c.Observe("toxicity", 1))
	require.Equal(t, st.Gates, c.Stats().Gates, "nothing is taken when no ramp runs")
}

// A busy key is no mismatch, nor is an arm that is slower; keys that somebody else has chosen by the same salt are.
func TestSampleRatioMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.5}}, Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.9}}}
		c := newCanary(t, constant(1), constant(2), cfg)
		for n := range 20_000 {
			_, _ = c.Do(t.Context(), n%4)
		}
		traffic(t, c.Do, 20_000)
		require.Equal(t, rollout.Ramping, c.Stats().Phase, c.Stats().Why)

		c = newCanary(t, constant(1), func(context.Context, int) (int, error) {
			time.Sleep(time.Hour)
			return 2, nil
		}, cfg)
		for n := range 1000 {
			go func() { _, _ = c.Do(t.Context(), n) }()
		}
		synctest.Wait()
		require.Equal(t, rollout.Ramping, c.Stats().Phase, c.Stats().Why)
		time.Sleep(time.Hour)

		c = newCanary(t, constant(1), constant(2), cfg)
		upstream := newBucket(t, rollout.BucketConfig{Salt: "v2"})
		for n := range 200 {
			if upstream.In(strconv.Itoa(n), 0.6) {
				_, _ = c.Do(t.Context(), n)
			}
		}
		st := c.Stats()
		require.Equal(t, rollout.RolledBack, st.Phase)
		require.Contains(t, st.Why, "sample ratio mismatch")
		require.LessOrEqual(t, st.RatioP, rollout.DefaultRatioAlpha)
	})
}
