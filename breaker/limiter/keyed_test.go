package limiter_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

type intKeyed = limiter.Keyed[int, int, int]

// hundreds is the key of a request in these tests; the rest is its cost.
func hundreds(req int) int { return req / 100 }

func rest(req int) int { return req % 100 }

func keyedBubble(t *testing.T, cfg limiter.KeyedConfig, test func(t *testing.T, k *intKeyed), opts ...limiter.Option[int]) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, err := limiter.NewKeyed(hundreds, echo, cfg, append([]limiter.Option[int]{limiter.WithCost(rest)}, opts...)...)
		require.NoError(t, err)
		test(t, k)
		synctest.Wait()
		s := k.Stats()
		require.Zero(t, s.Each.Queued+s.Total.Queued, "%+v", s)
		require.Zero(t, s.Each.QueuedCost+s.Total.QueuedCost, "%+v", s)
	})
}

func doKeyed(ctx context.Context, k *intKeyed, req int) func() error {
	return func() error {
		_, err := k.Do(ctx, req)
		return err
	}
}

func TestKeysAreApart(t *testing.T) {
	keyedBubble(t, limiter.KeyedConfig{Each: limiter.Config{Cost: ten}}, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 110)
		require.NoError(t, err)
		waiting := async(doKeyed(t.Context(), k, 103))
		_, err = k.Do(t.Context(), 210)
		require.NoError(t, err)
		_, err = k.TryAcquire(1, 1)
		limited(t, err, limiter.ReasonNoWait, limiter.CauseCost, 400*ms)
		passed(t, waiting, 300*ms)
		require.InDelta(t, 0, k.Level(1).Cost, 1e-6)
		require.InDelta(t, 3, k.Level(2).Cost, 1e-6)
		require.InDelta(t, 10, k.Level(3).Cost, 1e-6)
		require.Equal(t, 2, k.Stats().Keys)
		require.Equal(t, uint64(3), k.Stats().Each.Admitted)
		require.Equal(t, uint64(3), k.Stats().Total.Admitted)
	})
}

// All lists what is kept, and keeps nobody from using it meanwhile.
func TestAll(t *testing.T) {
	keyedBubble(t, limiter.KeyedConfig{Each: limiter.Config{Cost: ten, NoWait: true}, MaxKeys: 3}, func(t *testing.T, k *intKeyed) {
		require.Empty(t, maps.Collect(k.All()))
		for _, req := range []int{110, 204, 300} {
			require.NoError(t, doKeyed(t.Context(), k, req)())
		}
		require.NoError(t, k.Pause(2, time.Second))
		all := maps.Collect(k.All())
		require.Len(t, all, 3)
		for key, level := range all {
			require.Equal(t, k.Level(key), level)
		}
		require.InDelta(t, 6, all[2].Cost, 1e-6)
		require.Equal(t, time.Second, all[2].Paused)

		n := 0
		for range k.All() {
			time.Sleep(500 * ms)
			require.NoError(t, doKeyed(t.Context(), k, 401)()) // evicts one that is full
			require.Contains(t, maps.Collect(k.All()), 4)
			n++
		}
		require.Equal(t, 3, n, "those that were kept when it began")
		for range k.All() {
			n--
			break
		}
		require.Equal(t, 2, n)
	})
}

// What the total does not let through gets its key's share back.
func TestTotal(t *testing.T) {
	cfg := limiter.KeyedConfig{
		Each:  limiter.Config{Requests: ten, Cost: ten},
		Total: limiter.Config{Cost: limiter.Limit{Events: 10, Per: time.Second, Burst: 15}, MaxWait: 400 * ms},
	}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 110)
		require.NoError(t, err)
		_, err = k.Do(t.Context(), 210) // 5 left
		limited(t, err, limiter.ReasonMaxWait, limiter.CauseCost, 500*ms)
		var byTotal *limiter.LimitedError
		require.True(t, errors.As(err, &byTotal) && byTotal.Total)
		require.Equal(t, limiter.Level{Requests: 10, Cost: 10}, k.Level(2))

		waiting := async(doKeyed(t.Context(), k, 207))
		require.InDelta(t, 3, k.Level(2).Cost, 1e-6)
		ctx, cancel := context.WithCancelCause(t.Context())
		behind := async(doKeyed(ctx, k, 301))
		cancel(errGaveUp)
		require.ErrorIs(t, (<-behind).err, errGaveUp)
		require.Equal(t, limiter.Level{Requests: 10, Cost: 10}, k.Level(3))
		passed(t, waiting, 200*ms)

		// Too large for the total: known before it waits at its key.
		_, err = k.Acquire(t.Context(), 1, 16)
		require.ErrorIs(t, err, limiter.ErrTooLarge)
		s := k.Stats()
		require.Equal(t, uint64(4), s.Each.Admitted)
		require.Equal(t, uint64(2), s.Each.Returned)
		require.Equal(t, uint64(2), s.Total.Admitted)
		require.Equal(t, limiter.Rejections{MaxWait: 1, TooLarge: 1}, s.Total.Rejected)

		// A permit is one for both.
		time.Sleep(time.Hour)
		permit, err := k.Acquire(t.Context(), 1, 9)
		require.NoError(t, err)
		permit.Settle(2)
		require.InDelta(t, 8, k.Level(1).Cost, 1e-6)
		require.InDelta(t, 13, k.TotalLevel().Cost, 1e-6)
	})
}

// A key gets its share back also if the hook does not return.
func TestTotalHookPanics(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic(errBackend) }, "Goexit": runtime.Goexit} {
		cfg := limiter.KeyedConfig{
			Each:  limiter.Config{Requests: ten, Cost: ten},
			Total: limiter.Config{Requests: limiter.PerMinute(1), NoWait: true, OnReject: func(limiter.RejectEvent) { end() }},
		}
		keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
			_, err := k.Do(t.Context(), 100)
			require.NoError(t, err)
			returned := false
			var all sync.WaitGroup
			all.Go(func() {
				defer func() { _ = recover() }()
				_, _ = k.Do(t.Context(), 205)
				returned = true
			})
			all.Wait()
			require.False(t, returned, name)
			require.Equal(t, limiter.Level{Requests: 10, Cost: 10}, k.Level(2), name)
			require.Equal(t, uint64(1), k.Stats().Each.Returned, name)
		})
	}
}

// What a request took before there was a limit is not given back to it, at the key and at the total, even if the key was evicted meanwhile.
func TestKeyedSettleAfterReconfigure(t *testing.T) {
	keyedBubble(t, limiter.KeyedConfig{MaxKeys: 1}, func(t *testing.T, k *intKeyed) {
		before, err := k.Acquire(t.Context(), 1, 90)
		require.NoError(t, err)
		evicted, err := k.Acquire(t.Context(), 2, 90)
		require.NoError(t, err)
		limits := limiter.Config{Cost: limiter.Limit{Burst: 100}}
		require.NoError(t, k.Reconfigure(limiter.KeyedConfig{Each: limits, Total: limits, MaxKeys: 2}))
		after, err := k.Acquire(t.Context(), 1, 40)
		require.NoError(t, err)
		before.Cancel()
		evicted.Settle(95)
		require.InDelta(t, 60, k.Level(1).Cost, 1e-6)
		require.InDelta(t, 100, k.Level(2).Cost, 1e-6)
		require.InDelta(t, 60, k.TotalLevel().Cost, 1e-6)
		after.Cancel()
		require.InDelta(t, 100, k.Level(1).Cost, 1e-6)
		require.InDelta(t, 100, k.TotalLevel().Cost, 1e-6)
	})
}

func TestKeyedPauseAndLower(t *testing.T) {
	pause := limiter.WithPause(func(req, _ int, _ error) time.Duration {
		if rest(req) == 9 {
			return 300 * ms
		}
		return 0
	})
	cfg := limiter.KeyedConfig{Each: limiter.Config{Cost: ten}, Total: limiter.Config{Cost: limiter.PerSecond(100)}}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 109)
		require.NoError(t, err)
		near(t, 300*ms, k.Level(1).Paused)
		_, err = k.Do(t.Context(), 200)
		require.NoError(t, err, "only the key is paused")
		k.PauseAll(500 * ms)
		passed(t, async(doKeyed(t.Context(), k, 200)), 500*ms)
		k.PauseAll(time.Hour)
		k.ResumeAll()
		require.NoError(t, k.Lower(2, -1, 2))
		require.InDelta(t, 2, k.Level(2).Cost, 1e-6)
		k.LowerAll(-1, 50)
		require.InDelta(t, 50, k.TotalLevel().Cost, 1e-6)
	}, pause)
}

func TestKeyedReconfigure(t *testing.T) {
	keyedBubble(t, limiter.KeyedConfig{Each: limiter.Config{Cost: ten}}, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 110)
		require.NoError(t, err)
		first, second := async(doKeyed(t.Context(), k, 110)), async(doKeyed(t.Context(), k, 105))
		cfg := k.Config()
		require.Equal(t, limiter.KeyedConfig{Each: limiter.Config{Cost: ten}}, cfg)
		cfg.Each.Cost = limiter.PerSecond(5)
		cfg.MaxKeys = 1
		require.NoError(t, k.Reconfigure(cfg))
		require.ErrorIs(t, (<-first).err, limiter.ErrTooLarge)
		passed(t, second, time.Second)
		require.InDelta(t, 5, k.Level(7).Cost, 1e-6)

		// Who waits goes sooner when the limit is raised.
		waiting := async(doKeyed(t.Context(), k, 105))
		cfg.Each.Cost = limiter.PerSecond(10)
		require.NoError(t, k.Reconfigure(cfg))
		passed(t, waiting, 500*ms)

		// Who waits goes at once when the limit is lifted, at the key or at the total.
		waiting = async(doKeyed(t.Context(), k, 105))
		cfg.Each.Cost = limiter.Limit{}
		require.NoError(t, k.Reconfigure(cfg))
		passed(t, waiting, 0)
		cfg.Total.Requests = ten
		require.NoError(t, k.Reconfigure(cfg))
		for range 10 {
			_, err = k.Do(t.Context(), 101)
			require.NoError(t, err)
		}
		waiting = async(doKeyed(t.Context(), k, 105))
		cfg.Total.Requests = limiter.Limit{}
		require.NoError(t, k.Reconfigure(cfg))
		passed(t, waiting, 0)

		cfg.Total.Requests = limiter.Limit{Burst: 1}
		require.NoError(t, k.Reconfigure(cfg))
		time.Sleep(time.Hour)
		_, err = k.Do(t.Context(), 200)
		require.NoError(t, err)
		_, err = k.Do(t.Context(), 200)
		limited(t, err, limiter.ReasonNever, limiter.CauseRequests, limiter.Never)
	})
}

func TestBadKeys(t *testing.T) {
	floats, err := limiter.NewKeyed(func(f float64) float64 { return f }, func(_ context.Context, f float64) (float64, error) { return f, nil }, limiter.KeyedConfig{})
	require.NoError(t, err)
	_, err = floats.Do(t.Context(), math.NaN())
	require.ErrorIs(t, err, limiter.ErrBadRequest)
	require.ErrorIs(t, floats.Pause(math.NaN(), time.Second), limiter.ErrBadRequest)
	require.Equal(t, limiter.Level{}, floats.Level(math.NaN()))
	floats.Resume(math.NaN())
	anys, err := limiter.NewKeyed(func(a any) any { return a }, func(_ context.Context, a any) (any, error) { return a, nil }, limiter.KeyedConfig{})
	require.NoError(t, err)
	_, err = anys.Do(t.Context(), []int{1})
	require.ErrorIs(t, err, limiter.ErrBadRequest)
	_, err = anys.Do(t.Context(), "fine")
	require.NoError(t, err)
	_, err = anys.Acquire(t.Context(), "fine", -1)
	require.ErrorIs(t, err, limiter.ErrBadRequest)
	require.Equal(t, 1, anys.Stats().Keys)
}

func TestKeyedOnReject(t *testing.T) {
	var events []limiter.RejectEvent
	hook := func(e limiter.RejectEvent) { events = append(events, e) }
	each := limiter.Config{Requests: limiter.Limit{Burst: 1}, OnReject: hook}
	cfg := limiter.KeyedConfig{Each: each, Total: limiter.Config{Cost: ten, OnReject: hook}, MaxKeys: 2}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 110)
		require.NoError(t, err)
		_, byKey := k.Do(t.Context(), 101)
		_, byTotal := k.TryAcquire(2, 1)
		_, tooLarge := k.Do(t.Context(), 211)
		_, err = k.Do(t.Context(), 200)
		require.NoError(t, err)
		_, tooMany := k.Do(t.Context(), 300)
		require.Equal(t, []limiter.RejectEvent{
			{Key: 1, Cost: 1, Err: byKey},
			{Total: true, Cost: 1, Err: byTotal},
			{Total: true, Cost: 11, Err: tooLarge},
			{Key: 3, Err: tooMany},
		}, events)
	})
}
