package pool_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

type mapFunc = func(context.Context, iter.Seq[int], pool.Func[int, int], pool.MapConfig) iter.Seq2[int, error]

// eachMap runs the test with Map and with MapUnordered.
func eachMap(t *testing.T, test func(t *testing.T, do mapFunc)) {
	t.Helper()
	for name, do := range map[string]mapFunc{"Map": pool.Map[int, int], "MapUnordered": pool.MapUnordered[int, int]} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, do) })
		})
	}
}

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func ten(_ context.Context, n int) (int, error) { return n * 10, nil }

func gather(results iter.Seq2[int, error]) (outs []int, errs []error) {
	for out, err := range results {
		outs, errs = append(outs, out), append(errs, err)
	}
	return outs, errs
}

func TestMapResults(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		for _, n := range []int{0, 1, 7, 1000} {
			results := do(context.Background(), count(n), func(ctx context.Context, i int) (int, error) {
				time.Sleep(time.Duration(i*7919%13) * ms)
				return i * 10, nil
			}, pool.MapConfig{Workers: 4, Buffer: 16})
			for range 2 { // each range starts anew
				outs, errs := gather(results)
				slices.Sort(outs)
				require.Len(t, outs, n)
				for i, out := range outs {
					require.Equal(t, i*10, out)
					require.NoError(t, errs[i])
				}
			}
		}
	})
}

func TestMapOrder(t *testing.T) {
	takes := []time.Duration{5 * ms, 1 * ms, 4 * ms, 2 * ms, 3 * ms}
	fn := func(_ context.Context, i int) (int, error) {
		time.Sleep(takes[i])
		return i, nil
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := pool.MapConfig{Workers: 5}
		start := time.Now()
		outs, _ := gather(pool.Map(context.Background(), count(5), fn, cfg))
		assert.Equal(t, []int{0, 1, 2, 3, 4}, outs)
		assert.Equal(t, 5*ms, time.Since(start))
		start = time.Now()
		for out, err := range pool.MapUnordered(context.Background(), count(5), fn, cfg) {
			require.NoError(t, err)
			assert.Equal(t, takes[out], time.Since(start), "a result comes as soon as it is there")
		}
	})
}

func TestMapBadConfig(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		for _, cfg := range []pool.MapConfig{{Workers: -1}, {Buffer: -1}, {Workers: 3, Buffer: 2}} {
			_, errs := gather(do(context.Background(), count(3), ten, cfg))
			require.Len(t, errs, 1)
			require.ErrorContains(t, errs[0], "pool: MapConfig.")
		}
		_, errs := gather(do(context.Background(), nil, ten, pool.MapConfig{}))
		require.ErrorContains(t, errs[0], "nil input")
		_, errs = gather(do(context.Background(), count(3), nil, pool.MapConfig{}))
		require.ErrorContains(t, errs[0], "nil function")
		outs, errs := gather(do(context.Background(), count(3), ten, pool.MapConfig{Workers: math.MaxInt, Buffer: math.MaxInt}))
		assert.Len(t, outs, 3)
		assert.Equal(t, make([]error, 3), errs)
		outs, _ = gather(do(context.Background(), count(3), ten, pool.MapConfig{Buffer: 1}))
		assert.Equal(t, []int{0, 10, 20}, outs)
	})
}

// No more than Workers run, and no more than Buffer items are between input and consumer.
func TestMapBounds(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		for _, cfg := range []pool.MapConfig{{Workers: 1, Buffer: 1}, {Workers: 3, Buffer: 3}, {Workers: 3, Buffer: 8}, {Workers: 2, Buffer: 50}} {
			var read, running, mostRead, mostRunning, consumed atomic.Int64
			input := func(yield func(int) bool) {
				for i := range 200 {
					// The next item is read before there is a place for it.
					if mostRead.Store(max(mostRead.Load(), read.Add(1)-1-consumed.Load())); !yield(i) {
						return
					}
				}
			}
			for _, err := range do(context.Background(), input, func(context.Context, int) (int, error) {
				mostRunning.Store(max(mostRunning.Load(), running.Add(1)))
				time.Sleep(ms)
				running.Add(-1)
				return 0, nil
			}, cfg) {
				require.NoError(t, err)
				time.Sleep(ms / 4)
				consumed.Add(1)
			}
			assert.EqualValues(t, cfg.Workers, mostRunning.Load(), "%+v", cfg)
			assert.LessOrEqual(t, mostRead.Load(), int64(cfg.Buffer), "%+v", cfg)
			assert.EqualValues(t, 200, consumed.Load())
		}
	})
}

// A slow input does not hold results back.
func TestMapSlowInput(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		input := func(yield func(int) bool) {
			for i := range 5 {
				if !yield(i) {
					return
				}
				time.Sleep(time.Hour)
			}
		}
		start, n := time.Now(), 0
		for out, err := range do(context.Background(), input, ten, pool.MapConfig{}) {
			require.NoError(t, err)
			assert.Equal(t, n*10, out)
			assert.Equal(t, time.Duration(n)*time.Hour, time.Since(start))
			n++
		}
	})
}

// However the range ends, nothing is left when it is over.
func TestMapEndsEarly(t *testing.T) {
	ends := map[string]func(results iter.Seq2[int, error]){
		"break": func(results iter.Seq2[int, error]) {
			for _, err := range results {
				if err == nil {
					break
				}
			}
		},
		"panic": func(results iter.Seq2[int, error]) {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, errModel) {
					panic("another panic came out")
				}
			}()
			for _, err := range results {
				panic(errors.Join(errModel, err))
			}
		},
		"goexit": func(results iter.Seq2[int, error]) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, err := range results {
					if err == nil {
						runtime.Goexit()
					}
				}
			}()
			<-done
		},
		"pull": func(results iter.Seq2[int, error]) {
			next, stop := iter.Pull2(results)
			_, _, _ = next()
			stop()
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachMap(t, func(t *testing.T, do mapFunc) {
				var running, started atomic.Int64
				inputOver := false
				input := func(yield func(int) bool) {
					defer func() { inputOver = true }()
					for i := 0; yield(i); i++ {
					}
				}
				end(do(context.Background(), input, func(ctx context.Context, i int) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					started.Add(1)
					if i > 0 {
						<-ctx.Done()
						time.Sleep(ms) // it does not stop at once
					}
					return 0, ctx.Err()
				}, pool.MapConfig{Workers: 4, Buffer: 8}))
				assert.Zero(t, running.Load())
				assert.True(t, inputOver)
				assert.LessOrEqual(t, started.Load(), int64(5))
			})
		})
	}
}

func TestMapStopsAtError(t *testing.T) {
	t.Run("Map", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var cancelled, started atomic.Int64
			outs, errs := gather(pool.Map(context.Background(), count(100), func(ctx context.Context, i int) (int, error) {
				started.Add(1)
				switch {
				case i == 2 || i == 4: // 4 fails first
					time.Sleep(time.Duration(7-i) * ms)
					return i, errModel
				case i < 3:
					select {
					case <-ctx.Done():
						t.Error("what comes before the error is finished")
					case <-time.After(time.Duration(10-i) * ms):
					}
					return i, nil
				default:
					<-ctx.Done()
					cancelled.Add(1)
					return 0, ctx.Err()
				}
			}, pool.MapConfig{Workers: 6}))
			assert.Equal(t, []int{0, 1, 2}, outs)
			assert.Equal(t, []error{nil, nil, errModel}, errs)
			assert.EqualValues(t, 6, started.Load())
			assert.EqualValues(t, 2, cancelled.Load())
		})
	})
	t.Run("MapUnordered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var started atomic.Int64
			outs, errs := gather(pool.MapUnordered(context.Background(), count(100), func(ctx context.Context, i int) (int, error) {
				started.Add(1)
				time.Sleep(time.Duration(10-i) * ms)
				if i == 2 {
					return 2, errModel
				}
				return i, ctx.Err()
			}, pool.MapConfig{Workers: 4}))
			assert.Equal(t, []int{3, 2}, outs[:2])
			assert.Equal(t, []error{nil, errModel}, errs[:2])
			assert.Len(t, outs, 2)
			assert.EqualValues(t, 5, started.Load())
		})
	})
}

func TestMapContinuesOnError(t *testing.T) {
	eachMap(t, func(t *testing.T, do mapFunc) {
		outs, errs := gather(do(context.Background(), count(1000), func(_ context.Context, i int) (int, error) {
			switch i % 4 {
			case 1:
				return i, errModel
			case 2:
				panic(i)
			case 3:
				runtime.Goexit()
			}
			return i, nil
		}, pool.MapConfig{Workers: 3, ContinueOnError: true}))
		require.Len(t, outs, 1000)
		var own, panics, goexits int
		for _, err := range errs {
			var panicked *pool.PanicError
			switch {
			case errors.Is(err, errModel):
				own++
			case errors.As(err, &panicked):
				panics++
			case errors.Is(err, pool.ErrGoexit):
				goexits++
			}
		}
		assert.Equal(t, [3]int{250, 250, 250}, [3]int{own, panics, goexits})
	})
}

// A panic and a Goexit stop the rest like any error, also in the midst of many that a worker has taken at once.
func TestMapFunctionFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("no") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			eachMap(t, func(t *testing.T, do mapFunc) {
				outs, errs := gather(do(context.Background(), count(100_000), func(_ context.Context, i int) (int, error) {
					if i == 777 {
						fail()
					}
					return i, nil
				}, pool.MapConfig{Workers: 2, Buffer: 512}))
				last := errs[len(errs)-1]
				var panicked *pool.PanicError
				assert.True(t, errors.Is(last, pool.ErrGoexit) || errors.As(last, &panicked), "%v", last)
				if strings.HasSuffix(t.Name(), "/Map") {
					assert.Len(t, outs, 778)
				}
				for _, err := range errs[:len(errs)-1] {
					require.NoError(t, err)
				}
			})
		})
	}
}
