package rollout_test

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// traffic sends n requests with different keys.
func traffic(t testing.TB, do rollout.Func[int, int], n int) (challenger int) {
	t.Helper()
	for i := range n {
		got, _ := do(t.Context(), i)
		if got == 2 {
			challenger++
		}
	}
	return challenger
}

func byNumber(_ context.Context, n int) string { return strconv.Itoa(n) }

func newCanary(t testing.TB, old, young rollout.Func[int, int], cfg rollout.CanaryConfig, opts ...rollout.CanaryOption[int]) *rollout.Canary[int, int] {
	t.Helper()
	if cfg.Bucket.Salt == "" {
		cfg.Bucket.Salt = "v2"
	}
	if opts == nil {
		opts = []rollout.CanaryOption[int]{rollout.WithKey(byNumber)}
	}
	c, err := rollout.NewCanary(old, young, cfg, opts...)
	require.NoError(t, err)
	return c
}

func step(t testing.TB, c interface {
	Step(context.Context) (rollout.CanaryStats, error)
}) rollout.CanaryStats {
	t.Helper()
	st, err := c.Step(t.Context())
	require.NoError(t, err)
	return st
}

func failing(err error) rollout.Func[int, int] {
	return func(context.Context, int) (int, error) { return 2, err }
}

func TestRampPromotesWhatIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []rollout.CanaryEvent
		promoted := false
		var c *rollout.Canary[int, int]
		cfg := rollout.CanaryConfig{
			Steps: []rollout.Step{{Share: 0.1, MinDuration: time.Hour}, {Share: 0.5, MinSamples: 2000}},
			Gates: []rollout.Gate{{Metric: rollout.Errors, Margin: 0.02}},
			Promote: func(context.Context) error {
				require.Equal(t, rollout.Promoting, c.Stats().Phase, "not under a lock")
				promoted = true
				return nil
			},
			OnEvent: func(e rollout.CanaryEvent) {
				if c != nil {
					c.Stats()
				}
				e.Time = time.Time{}
				events = append(events, e)
			},
		}
		c = newCanary(t, constant(1), constant(2), cfg)
		within(t, traffic(t, c.Do, 20_000), 20_000, 0.1)
		st := step(t, c)
		require.Equal(t, 0, st.Step, "the gate has passed, but the time is not up")
		require.Equal(t, rollout.Pass, st.Gates[0].Verdict)
		time.Sleep(time.Hour)
		st = step(t, c)
		require.Equal(t, 1, st.Step)
		require.Equal(t, 0.5, st.Share)
		require.Equal(t, rollout.Inconclusive, st.Gates[0].Verdict, "each step starts anew")
		traffic(t, c.Do, 2000)
		require.Equal(t, rollout.Ramping, step(t, c).Phase, "too few samples in the step")
		traffic(t, c.Do, 3000)
		require.Equal(t, rollout.Promoted, step(t, c).Phase)
		require.True(t, promoted)
		require.Zero(t, traffic(t, c.Do, 100), "all go to the champion, which Promote has changed")
		require.Equal(t, []rollout.CanaryEvent{
			{Kind: rollout.CanaryStep, Step: 0, Share: 0.1, Why: "the ramp begins"},
			{Kind: rollout.CanaryStep, Step: 1, Share: 0.5, Why: "all gates have passed"},
			{Kind: rollout.CanaryPromoted, Step: 1, Share: 0.5, Why: "all gates have passed"},
		}, events)
		require.ErrorIs(t, c.Promote(t.Context(), ""), rollout.ErrOver)
		require.ErrorIs(t, c.RollBack(""), rollout.ErrOver)

		cfg.Promote, cfg.Bucket.Salt = nil, "v3"
		require.NoError(t, c.Restart(cfg))
		require.ErrorIs(t, c.Restart(cfg), rollout.ErrRunning)
		require.Equal(t, 0.1, c.Stats().Share)
		require.NoError(t, c.Promote(t.Context(), "sure"))
		require.Equal(t, 100, traffic(t, c.Do, 100), "without Promote all go to the challenger")
		require.EqualValues(t, 2, c.Stats().Promotions)
	})
}

// Bad news is acted on by the request that brings it, without a Step.
func TestBadNewsRollsBackAtOnce(t *testing.T) {
	var events []rollout.CanaryEvent
	c := newCanary(t, constant(1), failing(errBoom), rollout.CanaryConfig{
		Steps:   []rollout.Step{{Share: 0.2}},
		Gates:   []rollout.Gate{{Metric: rollout.Errors, Margin: 0.01, Hard: 0.5, MinSamples: 1000}},
		OnEvent: func(e rollout.CanaryEvent) { events = append(events, e) },
	})
	saw := traffic(t, c.Do, 10_000)
	require.Less(t, saw, 20, "a hard breach does not wait for the minimum of samples")
	require.Greater(t, saw, 5, "nor is it the first error")
	st := c.Stats()
	require.Equal(t, rollout.RolledBack, st.Phase)
	require.True(t, st.Gates[0].Breached)
	require.EqualValues(t, saw, st.Challenger.Failed)
	require.Len(t, events, 2)
	require.Equal(t, "errors", events[1].Gate)
	require.Equal(t, rollout.CanaryRolledBack, events[1].Kind)
	require.Contains(t, st.Why, "hard breach")
	require.Zero(t, traffic(t, c.Do, 100))
	require.Equal(t, st, step(t, c), "Step does nothing then, and nothing is counted")
}

func TestBreachAtLowTrafficDecidesNothingBeforeTheMinimum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCanary(t, constant(1), failing(errBoom), rollout.CanaryConfig{
			Steps: []rollout.Step{{Share: 0.2, MaxDuration: time.Hour}},
			Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.05}},
		})
		saw := 0
		for n := 0; n < 10_000 && saw < 99; n++ {
			got, _ := c.Do(t.Context(), n)
			saw += got / 2
		}
		st := step(t, c)
		require.Equal(t, rollout.Ramping, st.Phase)
		require.Equal(t, rollout.Inconclusive, st.Gates[0].Verdict)
		require.Less(t, st.Gates[0].FailP, 1e-9, "however sure it is")
		require.Equal(t, 1.0, st.Gates[0].Mean)
		time.Sleep(time.Hour)
		st = step(t, c)
		require.Equal(t, rollout.RolledBack, st.Phase, "but not for ever")
		require.Contains(t, st.Why, "has not passed within 1h0m0s")
	})
}

// What hits both is not the challenger's fault.
func TestMarginComparesWithTheChampion(t *testing.T) {
	outage := func(answer int) rollout.Func[int, int] {
		return func(_ context.Context, n int) (int, error) {
			if n%3 == 0 {
				return answer, errBoom
			}
			return answer, nil
		}
	}
	gates := []rollout.Gate{{Metric: rollout.Errors, Margin: 0.05}}
	c := newCanary(t, outage(1), outage(2), rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.3}}, Gates: gates})
	traffic(t, c.Do, 20_000)
	st := c.Stats()
	require.Equal(t, rollout.Pass, st.Gates[0].Verdict, "%+v", st.Gates)
	require.InDelta(t, 1.0/3, st.Gates[0].ChampionMean, 0.03)
	require.InDelta(t, 1.0/3, st.Gates[0].Mean, 0.03)

	c = newCanary(t, outage(1), failing(errBoom), rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.3}}, Gates: gates})
	traffic(t, c.Do, 2000)
	require.Equal(t, rollout.RolledBack, c.Stats().Phase)
}

func TestPromoteFails(t *testing.T) {
	ctx := t.Context()
	var promote func() error
	c := newCanary(t, constant(1), constant(2), rollout.CanaryConfig{
		Steps:   []rollout.Step{{Share: 0.5}},
		Gates:   []rollout.Gate{{Metric: rollout.Errors, Max: 0.1}, {Metric: rollout.Observed, Name: "late", Max: 0.1}},
		Promote: func(context.Context) error { return promote() },
	})
	traffic(t, c.Do, 1000)
	for range 200 {
		require.NoError(t, c.Observe("late", 0))
	}
	promote = func() error { return errBoom }
	st, err := c.Step(ctx)
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, rollout.Ramping, st.Phase)
	promote = func() error { panic(errBoom) }
	require.PanicsWithValue(t, errBoom, func() { _, _ = c.Step(ctx) })
	require.Equal(t, rollout.Ramping, c.Stats().Phase)
	promote = func() error { runtime.Goexit(); return nil }
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Step(ctx) })
	wg.Wait()
	require.Equal(t, rollout.Ramping, c.Stats().Phase)
	promote = func() error {
		require.ErrorIs(t, c.RollBack(""), rollout.ErrOver, "too late")
		require.ErrorIs(t, c.Promote(ctx, ""), rollout.ErrOver)
		require.Equal(t, rollout.Promoting, step(t, c).Phase)
		for range 200 {
			require.NoError(t, c.Observe("late", 1))
		}
		require.Equal(t, rollout.Promoting, c.Stats().Phase, "the champion may be the challenger by now: no way back")
		return errBoom
	}
	_, err = c.Step(ctx)
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, rollout.RolledBack, step(t, c).Phase, "but the bad news is not forgotten")
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCanary(t, constant(1), constant(2), rollout.CanaryConfig{
			Steps: []rollout.Step{{Share: 0.5, MinDuration: 10 * time.Minute}, {Share: 0.9, MaxDuration: time.Hour}},
			Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.1}},
		})
		traffic(t, c.Do, 1000)
		short, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errBoom)
		defer cancel()
		st, err := c.Run(short, 10*time.Second)
		require.ErrorIs(t, err, errBoom)
		require.Equal(t, rollout.Ramping, st.Phase)
		start := time.Now()
		st, err = c.Run(t.Context(), time.Minute)
		require.NoError(t, err)
		require.Equal(t, rollout.RolledBack, st.Phase)
		require.Equal(t, 69*time.Minute, time.Since(start))
		_, err = c.Run(t.Context(), 0)
		require.Error(t, err)
	})
}

func TestStickyAndAnonymous(t *testing.T) {
	c := newCanary(t, constant(1), constant(2), rollout.CanaryConfig{Steps: []rollout.Step{{Share: 0.3}}}, rollout.WithKey(func(_ context.Context, n int) string {
		if n < 0 {
			return ""
		}
		return strconv.Itoa(n)
	}))
	for n := range 1000 {
		first, _ := c.Do(t.Context(), n)
		for range 3 {
			got, _ := c.Do(t.Context(), n)
			require.Equal(t, first, got)
		}
	}
	in := 0
	for range 20_000 {
		got, err := c.Do(t.Context(), -1)
		require.NoError(t, err)
		in += got - 1
	}
	within(t, in, 20_000, 0.3)
	require.EqualValues(t, 20_000, c.Stats().Anonymous)
	require.Equal(t, rollout.Ramping, c.Stats().Phase)

	c = newCanary(t, constant(1), constant(2), rollout.CanaryConfig{
		Bucket: rollout.BucketConfig{Salt: "s", Namespace: "n", To: 0.4}, Steps: []rollout.Step{{Share: 0.5}},
	})
	within(t, traffic(t, c.Do, 20_000), 20_000, 0.2)
	within(t, int(c.Stats().Ineligible), 20_000, 0.6)
}

func TestCanaryPanicGoexitAndFailure(t *testing.T) {
	young := func(_ context.Context, n int) (int, error) {
		switch n {
		case 0:
			panic(errBoom)
		case 1:
			runtime.Goexit()
		}
		return n, nil
	}
	c := newCanary(t, constant(1), young, rollout.CanaryConfig{Steps: []rollout.Step{{Share: 1}}, Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.5}}},
		rollout.WithFailure(func(_, resp int, _ error) bool { return resp == 7 }))
	require.PanicsWithValue(t, errBoom, func() { _, _ = c.Do(t.Context(), 0) })
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Do(t.Context(), 1) })
	wg.Wait()
	for _, n := range []int{5, 7} {
		got, err := c.Do(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, n, got)
	}
	require.Equal(t, rollout.ArmStats{Calls: 4, Failed: 3}, c.Stats().Challenger)

	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	_, err := c.Do(ended, 5)
	require.ErrorIs(t, err, errBoom)
	_, err = c.Step(ended)
	require.ErrorIs(t, err, errBoom)
	require.EqualValues(t, 4, c.Stats().Challenger.Calls)
}

// What cannot be judged has failed: otherwise answers that break WithFailure would be no samples, and never roll back.
func TestPanicOfWithFailureIsAFailure(t *testing.T) {
	c := newCanary(t, constant(1), constant(2), rollout.CanaryConfig{Steps: []rollout.Step{{Share: 1}}, Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.5}}},
		rollout.WithFailure(func(int, int, error) bool { panic(errBoom) }))
	for range 100 {
		require.PanicsWithValue(t, errBoom, func() { _, _ = c.Do(t.Context(), 0) })
	}
	require.Equal(t, rollout.ArmStats{Calls: 100, Failed: 100}, c.Stats().Challenger)
	require.Equal(t, rollout.RolledBack, c.Stats().Phase)
}

// What has begun in a former step does not count in the present one.
func TestSamplesOfAFormerStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		young := func(_ context.Context, n int) (int, error) {
			if n < 0 {
				<-gate
				return 2, errBoom
			}
			return 2, nil
		}
		c := newCanary(t, constant(1), young, rollout.CanaryConfig{
			Steps: []rollout.Step{{Share: 0.9}, {Share: 0.95}}, Gates: []rollout.Gate{{Metric: rollout.Errors, Max: 0.1}},
		})
		for n := range 200 {
			go func() { _, _ = c.Do(t.Context(), -1-n) }()
		}
		traffic(t, c.Do, 1000)
		synctest.Wait()
		require.Equal(t, 1, step(t, c).Step)
		close(gate)
		synctest.Wait()
		st := c.Stats()
		require.Equal(t, rollout.Ramping, st.Phase)
		require.Zero(t, st.Samples)
		require.Greater(t, st.Challenger.Failed, uint64(150), "they are counted")
	})
}

func TestCanaryRejects(t *testing.T) {
	check := func(context.Context) rollout.Verdict { return rollout.Pass }
	one := []rollout.Step{{Share: 0.5}}
	salt := rollout.BucketConfig{Salt: "s"}
	for i, cfg := range []rollout.CanaryConfig{
		{}, {Bucket: salt, RatioAlpha: -1}, {Bucket: salt, RatioAlpha: math.NaN()},
		{Bucket: salt, Steps: []rollout.Step{{}}}, {Bucket: salt, Steps: []rollout.Step{{Share: 1.1}}}, {Bucket: salt, Steps: []rollout.Step{{Share: math.NaN()}}},
		{Bucket: salt, Steps: []rollout.Step{{Share: 0.5}, {Share: 0.5}}}, {Bucket: salt, Steps: []rollout.Step{{Share: 0.5, MinDuration: -1}}},
		{Bucket: salt, Steps: []rollout.Step{{Share: 0.5, MinDuration: 2, MaxDuration: 1}}}, {Bucket: salt, Steps: []rollout.Step{{Share: 1}}},
	} {
		_, err := rollout.NewCanary(double, double, cfg)
		require.Error(t, err, "%d", i)
	}
	for i, g := range []rollout.Gate{
		{}, {Max: 0.1, Margin: 0.1}, {Max: -1}, {Max: 1}, {Max: math.NaN()}, {Margin: math.NaN()}, {Max: 0.1, Hard: 0.1}, {Max: 0.1, MinSamples: -1}, {Max: 0.1, Alpha: 1},
		{Max: 0.1, Beta: -1}, {Max: 0.1, SlowAfter: 1}, {Metric: rollout.Slow, Max: 0.1}, {Metric: rollout.Slow, Max: 0.1, SlowAfter: -1}, {Metric: rollout.Disagreement, Margin: 0.1},
		{Metric: rollout.Observed, Margin: 0.1}, {Metric: rollout.Monitor}, {Max: 0.1, Check: check}, {Metric: rollout.Monitor, Max: 0.1, Check: check}, {Metric: 77, Max: 0.1},
	} {
		_, err := rollout.NewCanary(double, double, rollout.CanaryConfig{Bucket: salt, Steps: one, Gates: []rollout.Gate{g}})
		require.Error(t, err, "%d", i)
	}
	g := rollout.Gate{Max: 0.1}
	_, err := rollout.NewCanary(double, double, rollout.CanaryConfig{Bucket: salt, Gates: []rollout.Gate{g, g}})
	require.ErrorContains(t, err, "two gates")
	_, err = rollout.NewCanary(nil, double, rollout.CanaryConfig{Bucket: salt})
	require.Error(t, err)
	for _, opt := range []rollout.CanaryOption[int]{
		nil, rollout.WithKey[int](nil), rollout.WithFailure[int, int](nil), rollout.WithFailure(func(int, string, error) bool { return false }),
	} {
		_, err = rollout.NewCanary(double, double, rollout.CanaryConfig{Bucket: salt}, opt)
		require.Error(t, err)
	}
	c, err := rollout.NewCanary(double, double, rollout.CanaryConfig{Bucket: salt})
	require.NoError(t, err)
	require.Equal(t, 0.01, c.Stats().Share)
	require.NoError(t, c.RollBack("enough"))
	require.Equal(t, "enough", c.Stats().Why)
}
