package limiter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// Only keys that have nothing to remember are evicted.
func TestEviction(t *testing.T) {
	cfg := limiter.KeyedConfig{Each: limiter.Config{Cost: ten, NoWait: true}, MaxKeys: 2}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		permit, err := k.Acquire(t.Context(), 1, 10)
		require.NoError(t, err)
		permit.Settle(15) // full in 1.5 s
		_, err = k.Do(t.Context(), 205)
		require.NoError(t, err)
		_, err = k.Do(t.Context(), 300)
		limited(t, err, limiter.ReasonTooManyKeys, limiter.CauseKeys, 500*ms)
		require.EqualError(t, err, "limiter: limited by keys (too many keys), retry after 500ms")
		require.Error(t, k.Pause(3, time.Second))
		k.Resume(3)
		require.Error(t, k.Lower(3, 1, 1))
		time.Sleep(499 * ms)
		_, err = k.Do(t.Context(), 300)
		limited(t, err, limiter.ReasonTooManyKeys, limiter.CauseKeys, 1*ms)
		time.Sleep(1 * ms)
		_, err = k.Do(t.Context(), 301) // in the place of 2
		require.NoError(t, err)
		require.InDelta(t, 0, k.Level(1).Cost, 1e-6, "the debtor is not forgotten")
		_, err = k.Do(t.Context(), 401)
		limited(t, err, limiter.ReasonTooManyKeys, limiter.CauseKeys, 100*ms)
		time.Sleep(100 * ms)
		_, err = k.Do(t.Context(), 401) // in the place of 3
		require.NoError(t, err)
		require.InDelta(t, 1, k.Level(1).Cost, 1e-6)
		require.Equal(t, uint64(2), k.Stats().Evicted)
		require.Equal(t, 2, k.Stats().Keys)
		require.Equal(t, uint64(3), k.Stats().Each.Rejected.TooManyKeys)
	})
}

// Neither a key in which someone waits nor one that is paused is evicted.
func TestEvictionSparesWaitersAndPauses(t *testing.T) {
	cfg := limiter.KeyedConfig{Each: limiter.Config{Requests: ten}, MaxKeys: 1}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		require.NoError(t, k.Pause(1, time.Hour))
		near(t, time.Hour, k.Level(1).Paused)
		_, err := k.TryAcquire(2, 0)
		limited(t, err, limiter.ReasonTooManyKeys, limiter.CauseKeys, time.Minute) // when it is looked at again
		waiting := async(doKeyed(t.Context(), k, 100))
		time.Sleep(time.Minute)
		k.Resume(1)
		passed(t, waiting, time.Minute)
		time.Sleep(time.Minute)
		_, err = k.TryAcquire(2, 0)
		require.NoError(t, err)
	})
}

// A key whose head could go, but for a timer that is late, is not evicted as full: the head goes first.
func TestEvictionSparesLateTimers(t *testing.T) {
	cfg := limiter.KeyedConfig{Each: limiter.Config{Cost: ten}, MaxKeys: 1}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		_, err := k.Do(t.Context(), 110)
		require.NoError(t, err)
		waiting := async(doKeyed(t.Context(), k, 110))
		fire := k.DelayTimer(1)
		time.Sleep(time.Hour)
		_, err = k.TryAcquire(2, 0)
		limited(t, err, limiter.ReasonTooManyKeys, limiter.CauseKeys, 900*ms) // a late timer makes up for 100 ms
		passed(t, waiting, time.Hour)
		require.InDelta(t, 1, k.Level(1).Cost, 1e-6)
		fire()
		require.InDelta(t, 1, k.Level(1).Cost, 1e-6)
	})
}

// Debtors that come back take the places of full keys, if there are any. What is then above MaxKeys goes when it is full.
func TestMaxKeys(t *testing.T) {
	const maxKeys, debtors = 2, 50
	keyedBubble(t, limiter.KeyedConfig{Each: limiter.Config{Cost: ten}, MaxKeys: maxKeys}, func(t *testing.T, k *intKeyed) {
		keys := func(want int) {
			t.Helper()
			require.Equal(t, want, k.Stats().Keys)
		}
		debt := func(afterwards time.Duration) {
			t.Helper()
			var permits []*limiter.Permit
			for key := range debtors {
				permit, err := k.Acquire(t.Context(), key, 0) // is full all the same
				require.NoError(t, err)
				permits = append(permits, permit)
			}
			keys(maxKeys)
			for _, permit := range permits {
				permit.Settle(5)
				time.Sleep(afterwards)
			}
		}
		debt(500 * ms) // each is full when the next one comes back
		keys(maxKeys)
		time.Sleep(time.Hour)
		debt(0)
		keys(debtors)
		for key := range debtors {
			require.InDelta(t, 5, k.Level(key).Cost, 1e-6)
		}
		time.Sleep(time.Hour)
		_, err := k.Acquire(t.Context(), debtors, 0)
		require.NoError(t, err)
		keys(maxKeys)
	})
}

// A permit that is settled after its key was evicted reaches what stands for the key now.
func TestSettleAfterEviction(t *testing.T) {
	cfg := limiter.KeyedConfig{Each: limiter.Config{Cost: ten}, MaxKeys: 1}
	keyedBubble(t, cfg, func(t *testing.T, k *intKeyed) {
		evict := func(key int) *limiter.Permit {
			t.Helper()
			permit, err := k.Acquire(t.Context(), key, 5)
			require.NoError(t, err)
			time.Sleep(time.Hour)
			_, err = k.Do(t.Context(), 9900)
			require.NoError(t, err)
			return permit
		}
		evict(1).Settle(1) // a refund to a full key
		require.Equal(t, 1, k.Stats().Keys)
		require.InDelta(t, 10, k.Level(1).Cost, 1e-6)

		debtor := evict(1)
		debtor.Settle(18)
		require.Equal(t, 1, k.Stats().Keys, "it comes back, in the place of one that is full")
		require.InDelta(t, -3, k.Level(1).Cost, 1e-6)
		_, err := k.TryAcquire(1, 1)
		limited(t, err, limiter.ReasonNoWait, limiter.CauseCost, 400*ms)
		time.Sleep(time.Hour)
		_, err = k.Do(t.Context(), 200)
		require.NoError(t, err)
		require.Equal(t, 1, k.Stats().Keys, "it made room")

		// The key is there again when the permit is settled.
		time.Sleep(time.Hour)
		debtor = evict(1)
		refund := evict(1)
		_, err = k.Acquire(t.Context(), 1, 4)
		require.NoError(t, err)
		debtor.Settle(8)
		require.InDelta(t, 3, k.Level(1).Cost, 1e-6)
		refund.Cancel()
		require.InDelta(t, 8, k.Level(1).Cost, 1e-6)

		// What comes back has the limits of now.
		time.Sleep(time.Hour)
		debtor = evict(1)
		require.NoError(t, k.Reconfigure(limiter.KeyedConfig{Each: limiter.Config{Cost: limiter.PerSecond(4)}, MaxKeys: 1}))
		debtor.Settle(8)
		require.InDelta(t, 1, k.Level(1).Cost, 1e-6)
		require.InDelta(t, 2, func() float64 { time.Sleep(250 * ms); return k.Level(1).Cost }(), 1e-6)
	})
}
