package pool_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

func TestMapInputFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic(errModel) }, "goexit": runtime.Goexit} {
		for _, goOn := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				eachMap(t, func(t *testing.T, do mapFunc) {
					input := func(yield func(int) bool) {
						yield(0)
						yield(1)
						fail()
					}
					outs, errs := gather(do(context.Background(), input, func(_ context.Context, i int) (int, error) {
						time.Sleep(time.Duration(i) * ms)
						return i * 10, nil
					}, pool.MapConfig{Workers: 2, ContinueOnError: goOn}))
					assert.Equal(t, []int{0, 10, 0}, outs)
					require.Equal(t, make([]error, 2), errs[:2])
					assert.ErrorIs(t, errs[2], pool.ErrInput)
					if name == "panic" {
						var panicked *pool.PanicError
						assert.ErrorAs(t, errs[2], &panicked)
						assert.ErrorIs(t, errs[2], errModel)
					} else {
						assert.ErrorIs(t, errs[2], pool.ErrGoexit)
					}
				})
			})
		}
	}
}

func TestMapContext(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, 1))
		defer cancel(nil)
		input := func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
			}
		}
		outs, errs := gather(do(ctx, input, func(ctx context.Context, i int) (int, error) {
			assert.Equal(t, 1, ctx.Value(key{}))
			if i == 10 {
				cancel(errModel)
			}
			if i >= 10 {
				<-ctx.Done()
			}
			return i, ctx.Err()
		}, pool.MapConfig{Workers: 2}))
		assert.Same(t, errModel, errs[len(errs)-1])
		assert.Zero(t, outs[len(outs)-1])
		assert.LessOrEqual(t, len(errs), 11)

		_, errs = gather(do(ctx, input, func(context.Context, int) (int, error) {
			t.Error("nothing is started")
			return 0, nil
		}, pool.MapConfig{}))
		assert.Equal(t, []error{errModel}, errs)
	})
}

// A range whose context ends while the consumer looks at a result ends before the next.
func TestMapContextWhileConsuming(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		n := 0
		for _, err := range do(ctx, count(100), ten, pool.MapConfig{}) {
			if n++; n == 1 {
				synctest.Wait()
				cancel()
				continue
			}
			assert.Equal(t, context.Canceled, err)
		}
		assert.Equal(t, 2, n)
	})
}

// With a pool's Do as function the work is bounded by that pool, also from inside of it.
func TestMapOverPool(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		p := recursive(t, pool.Config{Size: 2}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			if req < 100 {
				return req, nil
			}
			sum := 0
			for out, err := range do(ctx, count(req/100), p.Do, pool.MapConfig{Workers: 8}) {
				if err != nil {
					return 0, err
				}
				sum += out
			}
			return sum, nil
		})
		sum, err := p.Do(context.Background(), 1000)
		require.NoError(t, err)
		assert.Equal(t, 45, sum)
		require.NoError(t, p.Close())
	})
}

// When an item has failed nothing after it is started, not even what the worker has taken already.
func TestMapStartsNothingAfterFailure(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errModel }, "panic": func() error { panic("no") }, "goexit": func() error {
			runtime.Goexit()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachMap(t, func(t *testing.T, do mapFunc) {
				var started atomic.Int64
				last := error(nil)
				for i, err := range do(context.Background(), count(10_000), func(_ context.Context, i int) (int, error) {
					if started.Add(1); i == 1000 {
						return 0, fail()
					}
					return i, nil
				}, pool.MapConfig{Workers: 1, Buffer: 256}) {
					if last = err; i == 990 {
						time.Sleep(ms) // so that what could be started is
					}
				}
				assert.Error(t, last)
				assert.EqualValues(t, 1001, started.Load())
			})
		})
	}
}

// A hundred thousand items that cost nothing go through cells that are used again.
func TestMapAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 100_000
	allocs := testing.AllocsPerRun(2, func() {
		for _, err := range pool.Map(context.Background(), count(n), ten, pool.MapConfig{}) {
			if err != nil {
				t.Error(err)
			}
		}
	})
	assert.Less(t, allocs, n/100.0)
}
