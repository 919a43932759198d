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

var inline = cache.Config{LoadInline: true}

// onCaller reports, by a Goexit in the load, whether a Do with ctx runs it on the goroutine of its caller.
func onCaller(ctx context.Context, t *testing.T, cfg cache.Config) bool {
	t.Helper()
	c, err := cache.New(func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil }, cfg)
	require.NoError(t, err)
	returned := false
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := c.Do(ctx, 1)
		assert.ErrorIs(t, err, cache.ErrGoexit)
		returned = true
	}()
	<-ended
	finish(t, c)
	return !returned
}

func TestWhoRunsALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		assert.True(t, onCaller(context.Background(), t, inline))
		assert.True(t, onCaller(context.WithoutCancel(ctx), t, inline))
		assert.False(t, onCaller(ctx, t, inline))
		assert.False(t, onCaller(context.Background(), t, cache.Config{}))
	})
}

// Who has joined a load is told that it ended the goroutine of the caller that ran it, and the cache goes on.
func TestGoexitInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exits := true
		c, err := cache.New(func(_ context.Context, key int) (int, error) {
			time.Sleep(ms)
			if exits {
				runtime.Goexit()
			}
			return key, nil
		}, inline)
		require.NoError(t, err)
		async(context.Background(), c.Do, 1)
		joined := async(t.Context(), c.Do, 1)
		assert.ErrorIs(t, (<-joined).err, cache.ErrGoexit)
		assert.Zero(t, c.Stats().Loading)
		exits = false
		want(t, c, 1, 1)
		finish(t, c)
	})
}

func TestPanicInline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(func(context.Context, int) (int, error) {
			time.Sleep(ms)
			panic(errModel)
		}, inline)
		require.NoError(t, err)
		for _, out := range []<-chan outcome{async(context.Background(), c.Do, 1), async(t.Context(), c.Do, 1)} {
			var p *cache.PanicError
			require.ErrorAs(t, (<-out).err, &p)
			assert.Equal(t, errModel, p.Value)
			assert.Contains(t, string(p.Stack), "TestPanicInline")
		}
		finish(t, c)
	})
}

// Others join an inline load and leave it as any other.
func TestOthersOfAnInlineLoad(t *testing.T) {
	bubble(t, inline, func(t *testing.T, c *intCache, m *model) {
		ctx, cancel := context.WithCancel(t.Context())
		outs := []<-chan outcome{async(context.Background(), c.Do, 1), async(t.Context(), c.Do, 1), async(context.Background(), c.Do, 1)}
		leaves := async(ctx, c.Do, 1)
		cancel()
		assert.ErrorIs(t, (<-leaves).err, context.Canceled)
		pending(t, outs...)
		for _, out := range outs {
			assert.Equal(t, 1001, (<-out).value)
		}
		values, err := c.GetAll(context.Background(), []int{1, 2, 3})
		require.NoError(t, err)
		assert.Equal(t, []int{1001, 2001, 3001}, values)
		assert.Equal(t, 2, m.most, "GetAll loads side by side")
	})
}

// The load of a value that has been set meanwhile is cancelled, and its caller gets that value, as do those who have joined: at once.
func TestSetDuringAnInlineLoad(t *testing.T) {
	for name, deaf := range map[string]bool{"listens": false, "deaf": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, inline, func(t *testing.T, c *intCache, m *model) {
				m.deaf = deaf
				began := time.Now()
				runs, joined := async(context.Background(), c.Do, 1), async(t.Context(), c.Do, 1)
				require.NoError(t, c.Set(1, 5))
				o := <-joined
				assert.Equal(t, outcome{5, nil, began}, o)
				o = <-runs
				assert.Equal(t, 5, o.value)
				require.NoError(t, o.err)
				assert.Error(t, m.context(0).Err())
				if deaf {
					assert.Equal(t, 10*ms, o.at.Sub(began))
				} else {
					assert.Equal(t, began, o.at)
				}
				want(t, c, 1, 5)
			})
		})
	}
}

// Without LoadInline a Set or a Close answers all at once, whatever their context and however deaf the load.
func TestNobodyWaitsForADeafLoad(t *testing.T) {
	bubble(t, cache.Config{}, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		began := time.Now()
		set, closed := async(context.Background(), c.Do, 1), async(context.Background(), c.Do, 2)
		require.NoError(t, c.Set(1, 5))
		assert.Equal(t, outcome{5, nil, began}, <-set)
		go func() { _ = c.Close() }()
		assert.Equal(t, outcome{0, cache.ErrClosed, began}, <-closed)
	})
}

func TestDeleteDuringAnInlineLoad(t *testing.T) {
	bubble(t, inline, func(t *testing.T, c *intCache, m *model) {
		runs := async(context.Background(), c.Do, 1)
		c.Delete(1)
		assert.Equal(t, 1001, (<-runs).value)
		_, ok := c.Get(1)
		assert.False(t, ok)
	})
}

func TestCloseDuringAnInlineLoad(t *testing.T) {
	bubble(t, inline, func(t *testing.T, c *intCache, m *model) {
		m.deaf = true
		began := time.Now()
		runs, joined := async(context.Background(), c.Do, 1), async(t.Context(), c.Do, 1)
		require.NoError(t, c.Close())
		assert.Equal(t, 10*ms, time.Since(began), "Close waits for the load function")
		assert.Equal(t, outcome{0, cache.ErrClosed, began}, <-joined)
		assert.Equal(t, outcome{0, cache.ErrClosed, began.Add(10 * ms)}, <-runs)
		assert.Equal(t, cache.ErrClosed, context.Cause(m.context(0)))
		_, ok := c.Get(1)
		assert.False(t, ok)
	})
}

func TestTimeoutOfAnInlineLoad(t *testing.T) {
	bubble(t, cache.Config{LoadInline: true, LoadTimeout: 4 * ms}, func(t *testing.T, c *intCache, m *model) {
		began := time.Now()
		_, err := c.Do(context.Background(), 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 4*ms, time.Since(began))
	})
}

// A refresh is nobody's to run: its caller has its answer.
func TestRefreshIsNotInline(t *testing.T) {
	cfg := cache.Config{LoadInline: true, TTL: time.Second, StaleWhileRevalidate: time.Hour}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		_, err := c.Do(context.Background(), 1)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		began := time.Now()
		value, err := c.Do(context.Background(), 1)
		require.NoError(t, err)
		assert.Equal(t, 1001, value)
		assert.Equal(t, began, time.Now())
	})
}

// An inline load that asks for itself, or for what waits for it, is told so, and may ask for all else.
func TestNestedInlineLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *intCache
		c, err := cache.New(func(ctx context.Context, key int) (int, error) {
			if key == 0 {
				return 1, nil
			}
			if key == 10 {
				_, err := c.Do(context.WithoutCancel(ctx), 10)
				assert.ErrorIs(t, err, cache.ErrReentrant)
			}
			below, err := c.Do(context.WithoutCancel(ctx), key-1)
			return 2 * below, err
		}, inline)
		require.NoError(t, err)
		value, err := c.Do(context.Background(), 10)
		require.NoError(t, err)
		assert.Equal(t, 1024, value)
		finish(t, c)
	})
}

// A panic in the hook is the caller's if the caller runs the load, and Close does not wait for it for ever.
func TestPanicInTheHookOfAnInlineLoad(t *testing.T) {
	cfg := cache.Config{LoadInline: true, OnLoad: func(cache.LoadEvent) { panic("hook") }}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		assert.PanicsWithValue(t, "hook", func() { _, _ = c.Do(context.Background(), 1) })
		want(t, c, 1, 1001)
	})
}

// askingContext never ends, and uses the cache to say so.
type askingContext struct {
	context.Context
	ask func()
}

func (c askingContext) Done() <-chan struct{} { c.ask(); return nil }

// The caller's context is asked under no lock.
func TestContextThatUsesTheCache(t *testing.T) {
	bubble(t, inline, func(t *testing.T, c *intCache, m *model) {
		value, err := c.Do(askingContext{context.Background(), func() { c.Delete(1) }}, 1)
		require.NoError(t, err)
		assert.Equal(t, 1001, value)
	})
}

// A Goexit in the hook ends the caller that runs the load, as its documentation says; the load is over all the same.
func TestGoexitInTheHookOfAnInlineLoad(t *testing.T) {
	cfg := cache.Config{LoadInline: true, OnLoad: func(cache.LoadEvent) { runtime.Goexit() }}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		out := async(context.Background(), c.Do, 1)
		joined := async(t.Context(), c.Do, 1)
		assert.Equal(t, 1001, (<-joined).value)
		pending(t, out)
		assert.Zero(t, c.Stats().Loading)
		want(t, c, 1, 1001)
	})
}

// Loads that wait for each other by way of callers apart are ended by Close, though each runs on the goroutine of one that cannot leave.
func TestCloseEndsInlineLoadsThatWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *intCache
		c, err := cache.New(func(_ context.Context, key int) (int, error) {
			time.Sleep(ms)
			return c.Do(context.Background(), 1-key)
		}, inline)
		require.NoError(t, err)
		outs := []<-chan outcome{async(context.Background(), c.Do, 0), async(context.Background(), c.Do, 1)}
		time.Sleep(time.Second)
		pending(t, outs...)
		require.NoError(t, c.Close())
		for _, out := range outs {
			assert.Equal(t, cache.ErrClosed, (<-out).err)
		}
	})
}

// A failing inline load is rescued by the old value as any other, for all who wait; so it is when the cache is closed meanwhile.
func TestRescueOfAnInlineLoad(t *testing.T) {
	cfg := cache.Config{LoadInline: true, TTL: time.Second, StaleIfError: time.Hour}
	bubble(t, cfg, func(t *testing.T, c *intCache, m *model) {
		want(t, c, 1, 1001)
		m.set(func(m *model) { m.err, m.deaf = errModel, true })
		for _, end := range []func(){func() {}, func() { assert.NoError(t, c.Close()) }} {
			time.Sleep(3 * time.Second)
			outs := []<-chan outcome{async(context.Background(), c.Do, 1), async(t.Context(), c.Do, 1)}
			end()
			for _, out := range outs {
				o := <-out
				require.NoError(t, o.err)
				assert.Equal(t, 1001, o.value)
			}
		}
		assert.EqualValues(t, 4, c.Stats().Rescued)
	})
}
