package cache_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

func TestDoLoadsOnce(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		_, ok := c.Get(7)
		assert.False(t, ok)
		for range 3 {
			want(t, c, 7, 7001)
		}
		value, ok := c.Get(7)
		assert.True(t, ok)
		assert.Equal(t, 7001, value)
		s := c.Stats()
		assert.Equal(t, cache.Stats{
			Hits: 2, Misses: 1, Loads: 1, Calls: 1, LoadTime: 10 * ms, Saved: 20 * ms, Entries: 1, Weight: 1,
		}, s)
		assert.Equal(t, uint64(3), s.Requests())
		assert.InDelta(t, 2.0/3, s.HitRate(), 1e-9)
		assert.Equal(t, 10*ms, s.MeanCallTime())
	})
}

func TestErrorsAreReturnedToAllAndNotKept(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.fail[1] = errModel
		a, b := async(t.Context(), c.Do, 1), async(t.Context(), c.Do, 1)
		assert.Equal(t, errModel, (<-a).err)
		assert.Equal(t, errModel, (<-b).err)
		delete(m.fail, 1)
		want(t, c, 1, 1002)
		s := c.Stats()
		assert.Equal(t, [3]uint64{2, 1, 1}, [3]uint64{s.Misses, s.Coalesced, s.LoadsFailed})
	})
}

func TestConcurrentRequestsShareALoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		var outs []<-chan outcome
		for range 50 {
			outs = append(outs, async(t.Context(), c.Do, 3))
		}
		pending(t, outs...)
		for _, out := range outs {
			assert.Equal(t, 3001, (<-out).value)
		}
		assert.Equal(t, 1, m.count(3))
		assert.Equal(t, uint64(49), c.Stats().Coalesced)
	})
}

// The first caller's cancel must not reach the others: spicedb#925, tailscale#12003.
func TestCancelOfTheFirstCallerLeavesTheOthersAlone(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := async(ctx, c.Do, 1), async(t.Context(), c.Do, 1)
		time.Sleep(5 * ms)
		cancel(errGaveUp)
		o := <-first
		assert.Equal(t, errGaveUp, o.err)
		assert.Equal(t, 1001, (<-second).value)
		assert.Equal(t, 1, m.count(1), "the load was repeated")
	})
}

func TestLoadIsCancelledWithItsLastWaiter(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		ctx1, cancel1 := context.WithCancelCause(t.Context())
		ctx2, cancel2 := context.WithCancelCause(t.Context())
		first, second := async(ctx1, c.Do, 1), async(ctx2, c.Do, 1)
		cancel1(errGaveUp)
		synctest.Wait()
		assert.NoError(t, m.context(0).Err())
		cancel2(errGaveUp)
		synctest.Wait()
		assert.Error(t, m.context(0).Err())
		assert.Equal(t, errGaveUp, (<-first).err)
		assert.Equal(t, errGaveUp, (<-second).err)
		want(t, c, 1, 1002)
		assert.Equal(t, uint64(1), c.Stats().Abandoned)
	})
}

// Who comes when the last waiter has just gone begins a load, and does not get the cancelled one.
func TestAbandonedLoadIsNotJoined(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		ctx, cancel := context.WithCancel(t.Context())
		first := async(ctx, c.Do, 1)
		cancel()
		assert.ErrorIs(t, (<-first).err, context.Canceled)
		want(t, c, 1, 1002)
		want(t, c, 1, 1002)
	})
}

func TestFinishLoads(t *testing.T) {
	bubble(t, cache.Config{FinishLoads: true}, func(t *testing.T, c *intCache, m *model) {
		ctx, cancel := context.WithCancel(t.Context())
		first := async(ctx, c.Do, 1)
		cancel()
		assert.ErrorIs(t, (<-first).err, context.Canceled)
		want(t, c, 1, 1001) // joins it
		want(t, c, 1, 1001)
		assert.Zero(t, c.Stats().Abandoned)
	})
}

type ctxKey struct{}

func TestContextOfALoad(t *testing.T) {
	bubble(t, cache.Config{LoadTimeout: time.Minute}, func(t *testing.T, c *intCache, m *model) {
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), ctxKey{}, "trace"), time.Second)
		defer cancel()
		_, err := c.Do(ctx, 1)
		require.NoError(t, err)
		assert.Equal(t, "trace", m.context(0).Value(ctxKey{}))
		deadline, ok := m.context(0).Deadline()
		assert.True(t, ok)
		assert.Equal(t, time.Now().Add(time.Minute-10*ms), deadline)
	})
}

func TestLoadTimeout(t *testing.T) {
	bubble(t, cache.Config{LoadTimeout: 4 * ms}, func(t *testing.T, c *intCache, m *model) {
		began := time.Now()
		_, err := c.Do(t.Context(), 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 4*ms, time.Since(began))
	})
}

func TestEndedContext(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGaveUp)
		_, err := c.Do(ctx, 1)
		assert.Equal(t, errGaveUp, err)
		assert.Zero(t, m.count(1))
		want(t, c, 1, 1001)
		value, err := c.Do(ctx, 1)
		require.NoError(t, err, "what is there costs nothing")
		assert.Equal(t, 1001, value)
	})
}

// slowContext has ended when Done returns, which takes until the load is over.
type slowContext struct{ context.Context }

func (slowContext) Done() <-chan struct{} {
	time.Sleep(20 * ms)
	ended := make(chan struct{})
	close(ended)
	return ended
}

// If the answer and the end of the context come together, the answer is returned.
func TestAnswerWinsOverTheEndOfTheContext(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		for key := range 50 {
			value, err := c.Do(slowContext{context.Background()}, key)
			require.NoError(t, err)
			assert.Equal(t, 1000*key+1, value)
		}
	})
}

func TestPanicReachesTheWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(func(context.Context, int) (int, error) {
			time.Sleep(ms)
			panic(errModel)
		}, cache.Config{})
		require.NoError(t, err)
		a, b := async(t.Context(), c.Do, 1), async(t.Context(), c.Do, 1)
		for _, out := range []<-chan outcome{a, b} {
			o := <-out
			var p *cache.PanicError
			require.ErrorAs(t, o.err, &p)
			assert.ErrorIs(t, o.err, errModel)
			assert.Contains(t, p.Error(), "cache: load function panicked: model: out of memory")
		}
		finish(t, c)
	})
}

func TestGoexitReachesTheWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		}, cache.Config{})
		require.NoError(t, err)
		_, err = c.Do(t.Context(), 1)
		assert.ErrorIs(t, err, cache.ErrGoexit)
		finish(t, c)
	})
}

// A panic in a callback must not lose those who wait.
func TestPanicInACallback(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		_, err := c.Do(t.Context(), 1)
		var p *cache.PanicError
		require.ErrorAs(t, err, &p)
		assert.Equal(t, "no lifetime", p.Value)
		assert.PanicsWithValue(t, "no lifetime", func() { _ = c.Set(2, 2) })
		_, err = c.Do(t.Context(), 2)
		require.ErrorAs(t, err, &p)
	}, cache.WithTTL(func(int, int) time.Duration { panic("no lifetime") }))
}

func TestReentrantLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *intCache
		c, err := cache.New(func(ctx context.Context, key int) (int, error) {
			if key == 0 {
				return c.Do(ctx, 3) // waits for 1 by way of 3 and 2
			}
			return c.Do(ctx, key-1)
		}, cache.Config{})
		require.NoError(t, err)
		_, err = c.Do(t.Context(), 3)
		assert.ErrorIs(t, err, cache.ErrReentrant)
		finish(t, c)
	})
}

// A load may ask the cache for other things, and its context may be used when it is over.
func TestLoadMayUseTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *intCache
		var kept context.Context
		c, err := cache.New(func(ctx context.Context, key int) (int, error) {
			kept = ctx
			if key == 0 {
				return 1, nil
			}
			below, err := c.Do(ctx, key-1)
			return 2 * below, err
		}, cache.Config{})
		require.NoError(t, err)
		value, err := c.Do(t.Context(), 10)
		require.NoError(t, err)
		assert.Equal(t, 1024, value)
		c.Delete(0)
		value, err = c.Do(context.WithoutCancel(kept), 0)
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		finish(t, c)
	})
}

func TestOnLoad(t *testing.T) {
	var events []cache.LoadEvent
	cfg := cache.Config{NegativeTTL: time.Second, OnLoad: func(e cache.LoadEvent) { events = append(events, e) }}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		m.fail[2], m.fail[3] = errModel, errAbsent
		for key := 1; key <= 3; key++ {
			_, _ = c.Do(t.Context(), key)
			synctest.Wait() // the hook comes after the answer
		}
		assert.Equal(t, []cache.LoadEvent{
			{Key: 1, Keys: 1, Took: 10 * ms},
			{Key: 2, Keys: 1, Took: 10 * ms, Failed: 1, Err: errModel},
			{Key: 3, Keys: 1, Took: 10 * ms, Negative: 1, Err: errAbsent},
		}, events)
	}, cache.WithNegative(func(err error) bool { return err == errAbsent })) //nolint:errorlint // it comes untouched
}
