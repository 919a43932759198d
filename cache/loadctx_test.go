package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// looking has a Do with ctx load with a function that looks at its context, and waits until that has returned.
func looking(ctx context.Context, t *testing.T, look func(c *intCache, ctx context.Context)) {
	t.Helper()
	var c *intCache
	over := make(chan struct{})
	c, err := cache.New(func(ctx context.Context, key int) (int, error) {
		defer close(over)
		look(c, ctx)
		return key, nil
	}, cache.Config{FinishLoads: true})
	require.NoError(t, err)
	_, _ = c.Do(ctx, 1)
	<-over
	finish(t, c)
}

// What has ended of a caller is not what has ended of the load, though the load has the caller's values: whatever is asked of the context first.
func TestEndOfTheCallerIsNotThatOfTheLoad(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context) error{
		"Cause": context.Cause,
		"Err":   context.Context.Err,
		"child": func(ctx context.Context) error {
			child, stop := context.WithCancel(ctx)
			defer stop()
			return child.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				looking(ctx, t, func(_ *intCache, ctx context.Context) {
					cancel(errGaveUp)
					synctest.Wait()
					assert.NoError(t, ask(ctx))
				})
			})
		})
	}
}

// A context that nobody has looked at until its load was cancelled, or over, has ended all the same.
func TestContextThatIsLookedAtLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looking(t.Context(), t, func(c *intCache, ctx context.Context) {
			assert.NoError(t, c.Set(1, 5))
			assert.ErrorIs(t, ctx.Err(), context.Canceled)
			assert.EqualError(t, context.Cause(ctx), "cache: the value was set while it was being loaded")
		})
		var kept context.Context
		looking(t.Context(), t, func(_ *intCache, ctx context.Context) { kept = ctx })
		<-kept.Done()
		assert.ErrorIs(t, kept.Err(), context.Canceled)
		assert.Equal(t, "cache.loading", fmt.Sprint(kept))
	})
}

// What is made of the context ends with it and with its cause, also if there are values in between.
func TestChildrenOfTheContextOfALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looking(t.Context(), t, func(c *intCache, ctx context.Context) {
			child, cancel := context.WithTimeout(context.WithValue(ctx, ctxKey{}, "span"), time.Hour)
			defer cancel()
			called := make(chan struct{})
			context.AfterFunc(ctx, func() { close(called) })
			assert.NoError(t, child.Err())
			assert.NoError(t, c.Set(1, 5))
			assert.ErrorIs(t, child.Err(), context.Canceled, "at once, and by no goroutine in between")
			<-called
			assert.Equal(t, "span", child.Value(ctxKey{}))
			assert.Equal(t, context.Cause(ctx), context.Cause(child))
		})
	})
}

// When a load is over, all that was made of its context has ended, even if a Set is just ending it.
func TestLoadIsOverWhenItsContextIs(t *testing.T) {
	for range 5 {
		children := make([]context.Context, 20_000) // it takes a while to end so many
		stops := make([]context.CancelFunc, len(children))
		c, err := cache.New(func(ctx context.Context, key int) (int, error) {
			for i := range children {
				children[i], stops[i] = context.WithCancel(ctx)
			}
			ctx.Value(ctxKey{}).(chan struct{}) <- struct{}{}
			<-ctx.Done()
			return key, nil
		}, cache.Config{})
		require.NoError(t, err)
		begun := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() { _, _ = c.Do(context.WithValue(context.Background(), ctxKey{}, begun), 1) })
		<-begun
		others.Go(func() { assert.NoError(t, c.Set(1, 5)) })
		require.NoError(t, c.Shutdown(t.Context()))
		alive := 0
		for _, child := range children {
			if child.Err() == nil {
				alive++
			}
		}
		assert.Zero(t, alive)
		others.Wait()
		for _, stop := range stops {
			stop()
		}
	}
}

// The context may be looked at for the first time by many, while it ends: all see the same.
func TestContextThatManyLookAt(t *testing.T) {
	for range 500 {
		var others sync.WaitGroup
		c, err := cache.New(func(ctx context.Context, key int) (int, error) {
			var first atomic.Pointer[<-chan struct{}]
			for range 3 {
				others.Go(func() {
					ended := ctx.Err() != nil
					done := ctx.Done()
					if !first.CompareAndSwap(nil, &done) {
						assert.Equal(t, *first.Load(), done)
					}
					select {
					case <-done:
					default:
						assert.False(t, ended, "Err before Done")
					}
					child, cancel := context.WithCancel(ctx)
					defer cancel()
					<-child.Done()
					assert.Error(t, ctx.Err())
					assert.Equal(t, context.Cause(ctx), context.Cause(child))
				})
			}
			return key, nil
		}, inline)
		require.NoError(t, err)
		others.Go(func() { assert.NoError(t, c.Set(1, 5)) })
		_, err = c.Do(context.Background(), 1)
		require.NoError(t, err)
		others.Wait()
		require.NoError(t, c.Close())
	}
}
