package limiter_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

func TestNewRejects(t *testing.T) {
	cases := map[string]limiter.Config{
		"negative events":       {Requests: limiter.PerSecond(-1)},
		"negative period":       {Requests: limiter.Limit{Events: 1, Per: -1}},
		"negative burst":        {Cost: limiter.Limit{Events: 1, Per: 1, Burst: -1}},
		"no period":             {Requests: limiter.Limit{Events: 1}},
		"negative debt":         {Cost: ten, MaxDebt: -1},
		"negative wait":         {MaxWait: -1},
		"negative queue":        {MaxQueue: -1},
		"too long a queue":      {MaxQueue: math.MaxInt},
		"centuries":             {Requests: limiter.Limit{Events: 1, Per: math.MaxInt64}},
		"centuries of debt":     {Cost: limiter.Limit{Events: 1, Per: time.Hour}, MaxDebt: 1 << 30},
		"no wait and max wait":  {NoWait: true, MaxWait: 1},
		"no wait and a queue":   {NoWait: true, MaxQueue: 1},
		"debt without cost":     {MaxDebt: 1},
		"borrowing without one": {Borrow: true},
	}
	if math.MaxInt > limiter.MaxEvents {
		cases["too many events"] = limiter.Config{Requests: limiter.PerSecond(most + 1)}
		cases["too much burst"] = limiter.Config{Cost: limiter.Limit{Events: 1, Per: 1, Burst: math.MaxInt}}
		cases["too much debt"] = limiter.Config{Cost: ten, MaxDebt: math.MaxInt}
	}
	for name, cfg := range cases {
		_, err := limiter.New(echo, cfg, limiter.WithCost(one))
		require.ErrorContains(t, err, "limiter: Config", name)
		_, err = limiter.NewKeyed(itself, echo, limiter.KeyedConfig{Each: cfg}, limiter.WithCost(one))
		require.ErrorContains(t, err, "limiter: KeyedConfig.Each", name)
		_, err = limiter.NewKeyed(itself, echo, limiter.KeyedConfig{Total: cfg}, limiter.WithCost(one))
		require.ErrorContains(t, err, "limiter: KeyedConfig.Total", name)
		l, _ := newLimiter(t, limiter.Config{Requests: ten})
		require.Error(t, l.Reconfigure(cfg), name)
		require.Equal(t, limiter.Config{Requests: ten}, l.Config())
	}
	_, err := limiter.New(echo, limiter.Config{Cost: ten})
	require.ErrorContains(t, err, "Config.Cost needs WithCost")
	_, err = limiter.NewKeyed(itself, echo, limiter.KeyedConfig{MaxKeys: -1})
	require.ErrorContains(t, err, "MaxKeys is negative")
	_, err = limiter.New[int, int](nil, limiter.Config{})
	require.Error(t, err)
	_, err = limiter.NewKeyed[int](nil, echo, limiter.KeyedConfig{})
	require.Error(t, err)
	for _, opt := range []limiter.Option[int]{
		nil,
		limiter.WithCost[int](nil),
		limiter.WithActual[int, int](nil),
		limiter.WithPause[int, int](nil),
		limiter.WithActual(func(int, string, error) int { return 0 }),
		limiter.WithPause(func(int, string, error) time.Duration { return 0 }),
	} {
		_, err = limiter.New(echo, limiter.Config{}, opt)
		require.ErrorContains(t, err, "limiter: ")
		_, err = limiter.NewKeyed(itself, echo, limiter.KeyedConfig{}, opt)
		require.ErrorContains(t, err, "limiter: ")
	}
}

// The edges of a Limit: none, one that lets nothing through, one that is never refilled, one that is huge.
func TestLimits(t *testing.T) {
	bubble(t, limiter.Config{}, func(t *testing.T, l *intLimiter, _ *recorder) {
		for range 1000 {
			_, err := l.Do(t.Context(), math.MaxInt)
			require.NoError(t, err)
		}
		require.Equal(t, limiter.Level{Requests: math.Inf(1), Cost: math.Inf(1)}, l.Level())
		if math.MaxInt > limiter.MaxEvents {
			require.Equal(t, uint64(math.MaxUint64), l.Stats().ReservedCost, "does not overflow")
		}
		l.Pause(100 * ms) // holds without limits too
		first, second := async(do(t.Context(), l, math.MaxInt)), async(do(t.Context(), l, math.MaxInt))
		require.Equal(t, 2*min(math.MaxInt, int64(2*limiter.MaxEvents)), l.Stats().QueuedCost, "does not overflow")
		passed(t, first, 100*ms)
		passed(t, second, 100*ms)
		permit, err := l.Acquire(t.Context(), math.MaxInt)
		require.NoError(t, err)
		permit.Settle(0)
	})
	bubble(t, limiter.Config{Requests: limiter.PerMinute(0)}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 1) // would wait for ever
		limited(t, err, limiter.ReasonNever, limiter.CauseRequests, limiter.Never)
		require.EqualError(t, err, "limiter: limited by requests (never refilled)")
	})
	bubble(t, limiter.Config{Cost: limiter.PerMinute(0)}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 1)
		limited(t, err, limiter.ReasonNever, limiter.CauseCost, limiter.Never)
		_, err = l.Do(t.Context(), 0)
		require.NoError(t, err)
	})
	bubble(t, limiter.Config{Cost: limiter.Limit{Burst: 10}}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 8)
		require.NoError(t, err)
		time.Sleep(1000 * time.Hour)
		_, err = l.Do(t.Context(), 3)
		limited(t, err, limiter.ReasonNever, limiter.CauseCost, limiter.Never)
		permit.Settle(7)
		_, err = l.Do(t.Context(), 3)
		require.NoError(t, err)
		l.Pause(time.Second)
		waiting := async(do(t.Context(), l, 0))
		passed(t, waiting, time.Second)
	})
	huge := limiter.Limit{Events: most, Per: 1, Burst: most}
	bubble(t, limiter.Config{Requests: huge, Cost: huge, MaxDebt: most, Borrow: true}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 2*most)
		require.NoError(t, err)
		require.InDelta(t, -most, cost(l), 1)
		permit.Settle(math.MaxInt)
		require.InDelta(t, -most, cost(l), 1)
		passed(t, async(do(t.Context(), l, 2*most)), 2)
	})
	rare := limiter.Limit{Events: 1, Per: 100 * 365 * 24 * time.Hour}
	bubble(t, limiter.Config{Requests: rare}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 1)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		waiting := async(do(ctx, l, 1))
		time.Sleep(time.Hour)
		pending(t, waiting)
		cancel(errGaveUp)
		require.ErrorIs(t, (<-waiting).err, errGaveUp)
	})
}

// A budget is used up by a debt while someone waits for another reason: it fails rather than to wait for ever.
func TestNeverWhileWaiting(t *testing.T) {
	bubble(t, limiter.Config{Requests: ten, Cost: limiter.Limit{Burst: 10}}, func(t *testing.T, l *intLimiter, _ *recorder) {
		permit, err := l.Acquire(t.Context(), 5)
		require.NoError(t, err)
		l.Pause(time.Second)
		waiting := async(do(t.Context(), l, 5))
		free := async(do(t.Context(), l, 0))
		permit.Settle(6)
		limited(t, (<-waiting).err, limiter.ReasonNever, limiter.CauseCost, limiter.Never)
		passed(t, free, time.Second)
	})
}

// The cost of those who wait and a huge one add up to more than an int64 holds.
func TestNeverBehindOthers(t *testing.T) {
	bubble(t, limiter.Config{Requests: limiter.PerSecond(1)}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 0)
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := async(do(ctx, l, 0)), async(do(ctx, l, 5))
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: limiter.PerSecond(1), Cost: limiter.PerMinute(0)}))
		_, err = l.TryAcquire(math.MaxInt)
		limited(t, err, limiter.ReasonNever, limiter.CauseCost, limiter.Never)
		cancel(errGaveUp)
		require.ErrorIs(t, (<-first).err, errGaveUp)
		require.Error(t, (<-second).err)
	})
}

func TestReconfigure(t *testing.T) {
	bubble(t, limiter.Config{Cost: ten}, func(t *testing.T, l *intLimiter, _ *recorder) {
		_, err := l.Do(t.Context(), 10)
		require.NoError(t, err)
		first, second, third := async(do(t.Context(), l, 4)), async(do(t.Context(), l, 9)), async(do(t.Context(), l, 1))
		time.Sleep(100 * ms)
		cfg := l.Config()
		require.Equal(t, limiter.Config{Cost: ten}, cfg)
		cfg.Cost = limiter.PerSecond(5)
		require.NoError(t, l.Reconfigure(cfg))
		o := <-second // can never be let through now
		require.ErrorIs(t, o.err, limiter.ErrTooLarge)
		near(t, 100*ms, o.took)
		passed(t, first, 700*ms) // 1 came in the first 100 ms, 3 at 5 a second
		passed(t, third, 900*ms)

		// Faster, while someone waits.
		waiting := async(do(t.Context(), l, 5))
		time.Sleep(200 * ms) // 1
		cfg.Cost = limiter.PerSecond(40)
		require.NoError(t, l.Reconfigure(cfg))
		passed(t, waiting, 300*ms)

		// A higher burst fills up at the rate.
		time.Sleep(time.Hour)
		cfg.Cost = limiter.PerSecond(100)
		require.NoError(t, l.Reconfigure(cfg))
		require.InDelta(t, 40, cost(l), 1e-6)
		cfg.Cost = limiter.PerSecond(20)
		require.NoError(t, l.Reconfigure(cfg))
		require.InDelta(t, 20, cost(l), 1e-6)

		// A debt is kept, up to the new bound.
		cfg.MaxDebt = 200
		require.NoError(t, l.Reconfigure(cfg))
		permit, err := l.Acquire(t.Context(), 20)
		require.NoError(t, err)
		permit.Settle(150)
		require.InDelta(t, -130, cost(l), 1e-6)
		cfg.MaxDebt = 30
		require.NoError(t, l.Reconfigure(cfg))
		require.InDelta(t, -30, cost(l), 1e-6)
		require.Equal(t, uint64(100), l.Stats().ForgivenCost)

		// Without a limit all go.
		waiting = async(do(t.Context(), l, 1))
		require.NoError(t, l.Reconfigure(limiter.Config{}))
		passed(t, waiting, 0)

		// With none that can be met, all fail.
		l.Pause(time.Hour)
		waiting = async(do(t.Context(), l, 1))
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: limiter.PerMinute(0)}))
		limited(t, (<-waiting).err, limiter.ReasonNever, limiter.CauseRequests, limiter.Never)
	})
}

func TestStrings(t *testing.T) {
	for want, s := range map[string]interface{ String() string }{
		"unlimited":           limiter.Limit{},
		"0 in all":            limiter.PerMinute(0),
		"7 in all":            limiter.Limit{Burst: 7},
		"5 per 1m0s, burst 0": limiter.PerMinute(5),
		"deadline":            limiter.ReasonDeadline,
		"too many keys":       limiter.ReasonTooManyKeys,
		"Reason(200)":         limiter.Reason(200),
		"keys":                limiter.CauseKeys,
		"Cause(200)":          limiter.Cause(200),
	} {
		require.Equal(t, want, s.String())
	}
	require.EqualError(t, &limiter.LimitedError{Cause: limiter.CauseCost, Total: true, Wait: time.Second},
		"limiter: limited by total cost (no wait), retry after 1s")
}
