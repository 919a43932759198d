package cache_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// A key that is not needed any more just when the next call is being put together does not end it for the keys that are put in after it.
func TestSetWhileACallIsPutTogether(t *testing.T) {
	keys, rounds := 20_000, 60
	if raceEnabled {
		rounds = 10 // each takes many times as long
	}
	running, gate := make(chan struct{}), make(chan struct{})
	c, err := cache.NewBulk(func(ctx context.Context, keys []int) ([]int, error) {
		if keys[0] < 0 {
			running <- struct{}{}
			<-gate
		}
		return keys, ctx.Err()
	}, cache.Config{})
	require.NoError(t, err)
	defer c.Close()
	for round := range rounds {
		waitFor := func(loading int) {
			for c.Stats().Loading != loading {
				runtime.Gosched()
			}
		}
		gone, all := make(chan struct{}, 2), make(chan error, 1)
		go func() {
			_, _ = c.Do(t.Context(), -1-round)
			gone <- struct{}{}
		}()
		<-running
		go func() { // the first in the queue
			_, _ = c.Do(t.Context(), round*keys)
			gone <- struct{}{}
		}()
		waitFor(2)
		go func() {
			batch := make([]int, keys-1)
			for i := range batch {
				batch[i] = round*keys + 1 + i
			}
			_, err := c.GetAll(t.Context(), batch)
			all <- err
		}()
		waitFor(keys + 1)
		calls := c.Stats().Calls
		gate <- struct{}{}
		for c.Stats().Calls <= calls {
			runtime.Gosched()
		}
		for range rand.IntN(100_000) {
			runtime.KeepAlive(c)
		}
		require.NoError(t, c.Set(round*keys, 0)) // now nobody needs that load
		require.NoError(t, <-all, "round %d", round)
		<-gone
		<-gone
		waitFor(0)
	}
}

// A request that waits for a refresh is not kept waiting by the loads that go before refreshes.
func TestWaitingForARefreshThatIsInTheQueue(t *testing.T) {
	cfg := cache.Config{TTL: time.Second, StaleWhileRevalidate: time.Second, MaxBulk: 1}
	bulkBubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		for _, key := range []int{1, 2} {
			want(t, c, key, 1000*key+1)
		}
		m.set(func(m *model) { m.takes = time.Second })
		time.Sleep(1500 * ms)
		var loads []<-chan outcome
		more := func() { loads = append(loads, async(t.Context(), c.Do, 100+len(loads))) }
		more()
		more()
		want(t, c, 1, 1001) // starts refreshes, which are put behind the loads
		want(t, c, 2, 2001)
		time.Sleep(900 * ms) // until the old values are gone
		one, two := async(t.Context(), c.Do, 1), async(t.Context(), c.Do, 2)
		for range 5 {
			more()
			time.Sleep(time.Second)
		}
		for i, out := range []<-chan outcome{one, two} {
			select {
			case o := <-out:
				assert.Equal(t, 1000*(i+1)+2, o.value)
			default:
				t.Errorf("request %d still waits", i)
			}
		}
		for _, out := range loads {
			<-out
		}
	})
}

// Requests that give up while a call takes for ever leave nothing behind.
func TestThoseWhoGiveUpLeaveTheQueue(t *testing.T) {
	bulkBubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.takes = time.Hour
		blocker := async(t.Context(), c.Do, -1)
		stays := async(t.Context(), c.Do, -2)
		for key := range 10_000 {
			ctx, cancel := context.WithTimeout(t.Context(), ms)
			_, err := c.Do(ctx, key)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		assert.Less(t, cache.Gathered(c), 100)
		<-blocker
		assert.NoError(t, (<-stays).err)
		assert.Equal(t, [][]int{{-1}, {-2}}, slices.Clip(m.seen()))
	})
}
