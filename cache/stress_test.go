package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/cache"
)

// However the callers come, a key that is asked for is loaded once: also for who has missed it in the store just before its load ended.
func TestNoSecondLoad(t *testing.T) {
	var loads atomic.Int64
	c, err := cache.New(func(context.Context, int) (int, error) { return int(loads.Add(1)), nil }, cache.Config{Size: 1 << 20})
	require.NoError(t, err)
	defer c.Close()
	rounds := 20_000
	if raceEnabled {
		rounds = 2000
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for key := range rounds {
				if _, err := c.Do(context.Background(), key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(rounds), loads.Load())
}

// TestStress runs everything against everything: for the race detector, and to see that every request has an outcome and the books are right.
func TestStress(t *testing.T) {
	const callers, each, keys = 8, 1500, 50
	load := func(ctx context.Context, key int) (int, error) {
		for range rand.IntN(5) {
			runtime.Gosched()
		}
		switch rand.IntN(20) {
		case 0:
			return 0, errModel
		case 1:
			return 0, errAbsent
		case 2:
			panic(errModel)
		case 3:
			runtime.Goexit()
		}
		return key, ctx.Err()
	}
	cfg := cache.Config{
		Size: keys / 2, NegativeTTL: time.Microsecond, StaleWhileRevalidate: 50 * time.Microsecond, StaleIfError: 100 * time.Microsecond,
		RetryAfter: time.Microsecond, MaxRefreshes: 3, Jitter: 0.5,
	}
	opts := []cache.Option{
		cache.WithNegative(func(err error) bool { return errors.Is(err, errAbsent) }),
		cache.WithTTL(func(int, int) time.Duration { return time.Duration(rand.IntN(100)) * time.Microsecond }),
		cache.WithNamespace(namespaceOf),
	}
	for name, build := range map[string]func() (*intCache, error){
		"load": func() (*intCache, error) { return cache.New(load, cfg, opts...) },
		"inline": func() (*intCache, error) {
			cfg := cfg
			cfg.LoadInline = true
			return cache.New(load, cfg, opts...)
		},
		"bulk": func() (*intCache, error) {
			cfg := cfg
			cfg.MaxBulk, cfg.BulkConcurrency = 7, 2
			return cache.NewBulk(func(ctx context.Context, all []int) ([]int, error) {
				values, errs := make([]int, len(all)), make(cache.ItemErrors, len(all))
				for i, key := range all {
					values[i], errs[i] = load(ctx, key)
				}
				return values, errs
			}, cfg, opts...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := build()
			require.NoError(t, err)
			check := func(key, value int, err error) {
				var p *cache.PanicError
				switch {
				case err == nil && value == key:
				case errors.Is(err, errModel), errors.Is(err, errAbsent), errors.As(err, &p), errors.Is(err, cache.ErrGoexit),
					errors.Is(err, context.Canceled), errors.Is(err, cache.ErrClosed):
				default:
					t.Errorf("Do(%d) = %d, %v", key, value, err)
				}
			}
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for i := range each {
						key := rand.IntN(keys)
						ctx, cancel := context.WithCancel(context.Background())
						switch n := rand.IntN(20); {
						case n < 4:
							var own sync.WaitGroup // a load may end the goroutine that runs it
							own.Go(func() {
								value, err := c.Do(context.Background(), key)
								check(key, value, err)
							})
							own.Wait()
						case n < 12:
							if n == 4 {
								go cancel()
							}
							value, err := c.Do(ctx, key)
							check(key, value, err)
						case n < 14:
							asked := []int{key, (key + 1) % keys, key}
							values, err := c.GetAll(ctx, asked)
							var each cache.ItemErrors
							if err != nil && !errors.As(err, &each) {
								t.Error(err)
							}
							for i := range values {
								var err error
								if each != nil {
									err = each[i]
								}
								check(asked[i], values[i], err)
							}
						case n < 16:
							_ = c.Set(key, key)
						case n < 17:
							c.Delete(key)
						case n < 18:
							_ = c.Invalidate(namespaceOf(key))
						default:
							if value, ok := c.Get(key); ok {
								check(key, value, nil)
							}
						}
						cancel()
						if caller == 0 && i == each-10 {
							wg.Go(func() { _ = c.Close() })
						}
					}
				})
			}
			wg.Wait()
			require.NoError(t, c.Close())
			s := c.Stats()
			assert.Zero(t, s.Loading+s.Refreshing, "%+v", s)
			assert.GreaterOrEqual(t, s.Loads, s.Calls)
			c.Delete(1)
		})
	}
}
