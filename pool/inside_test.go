package pool_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// recursive is a pool whose function gets the pool.
func recursive(t *testing.T, cfg pool.Config, fn func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error)) *pool.Pool[int, int] {
	t.Helper()
	var p *pool.Pool[int, int]
	p, err := pool.New(func(ctx context.Context, req int) (int, error) { return fn(ctx, p, req) }, cfg)
	require.NoError(t, err)
	return p
}

func fibonacci(do func(ctx context.Context, p *pool.Pool[int, int], a, b int) (int, error)) func(context.Context, *pool.Pool[int, int], int) (int, error) {
	return func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		return do(ctx, p, n-1, n-2)
	}
}

// A function may call its own pool, at any size and depth, by Do and by Go and Wait, also when the queue is full.
func TestNested(t *testing.T) {
	for name, fn := range map[string]func(context.Context, *pool.Pool[int, int], int, int) (int, error){
		"Do": func(ctx context.Context, p *pool.Pool[int, int], a, b int) (int, error) {
			x, err := p.Do(ctx, a)
			if err != nil {
				return 0, err
			}
			y, err := p.Do(ctx, b)
			return x + y, err
		},
		"Go": func(ctx context.Context, p *pool.Pool[int, int], a, b int) (int, error) {
			f, g := p.Go(ctx, a), p.Go(ctx, b)
			x, err := f.Wait(ctx)
			if err != nil {
				return 0, err
			}
			y, err := g.Wait(ctx)
			return x + y, err
		},
		"goroutines": func(ctx context.Context, p *pool.Pool[int, int], a, b int) (int, error) {
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			var (
				wg         sync.WaitGroup
				x, y       int
				errX, errY error
			)
			wg.Go(func() { x, errX = p.Do(derived, a) })
			wg.Go(func() { y, errY = p.Go(derived, b).Wait(derived) })
			wg.Wait()
			if errX == nil {
				errX = errY
			}
			return x + y, errX
		},
	} {
		for _, size := range []int{1, 2, 3, 16} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := recursive(t, pool.Config{Size: size, MaxQueue: 2}, fibonacci(fn))
					p.HastenLanes()
					var wg sync.WaitGroup
					for range 4 {
						wg.Go(func() {
							got, err := p.Do(context.Background(), 10)
							assert.NoError(t, err)
							assert.Equal(t, 55, got)
						})
					}
					wg.Wait()
					require.NoError(t, p.Close())
					s := p.Stats()
					checkBooks(t, s)
					assert.EqualValues(t, 4*177, s.Answered)
					assert.Zero(t, s.Failed)
				})
			})
		}
	}
}

// The calls that a request makes from several goroutines share its place: they take turns.
func TestNestedTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leaves, most atomic.Int64
		p := recursive(t, pool.Config{Size: 2}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			if req == 0 {
				most.Store(max(most.Load(), leaves.Add(1)))
				time.Sleep(ms)
				leaves.Add(-1)
				return 0, nil
			}
			var wg sync.WaitGroup
			for range req {
				wg.Go(func() {
					_, err := p.Do(ctx, 0)
					assert.NoError(t, err)
				})
			}
			wg.Wait()
			return 0, nil
		})
		start := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _, _ = p.Do(context.Background(), 5) })
		}
		wg.Wait()
		assert.EqualValues(t, 2, most.Load())
		assert.Equal(t, 5*ms, time.Since(start))
		require.NoError(t, p.Close())
	})
}

// Parts that a request submits by Go do run side by side.
func TestNestedGoIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := recursive(t, pool.Config{Size: 4}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			if req == 0 {
				time.Sleep(ms)
				return 1, nil
			}
			var futures []*pool.Future[int]
			for range req {
				futures = append(futures, p.Go(ctx, 0))
			}
			sum := 0
			for _, f := range futures {
				n, err := f.Wait(ctx)
				assert.NoError(t, err)
				sum += n
			}
			return sum, nil
		})
		start := time.Now()
		sum, err := p.Do(context.Background(), 8)
		require.NoError(t, err)
		assert.Equal(t, 8, sum)
		assert.LessOrEqual(t, time.Since(start), 3*ms)
		require.NoError(t, p.Close())
	})
}

func TestNestedCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := recursive(t, pool.Config{Size: 1}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			switch req {
			case 0:
				<-release
				return 0, nil
			case 1: // its place is taken
				go func() { _, _ = p.Do(ctx, 0) }()
				synctest.Wait()
				inner, cancel := context.WithTimeoutCause(ctx, ms, errModel)
				defer cancel()
				_, err := p.Do(inner, 0)
				assert.Same(t, errModel, err)
				f := p.Go(inner, 0)
				assert.ErrorContains(t, func() error { _, err := f.Wait(ctx); return err }(), errModel.Error())
				g := p.Go(ctx, 0)
				short, stop := context.WithTimeoutCause(ctx, ms, errModel)
				defer stop()
				_, err = g.Wait(short)
				assert.Same(t, errModel, err)
				close(release)
				_, err = g.Wait(ctx)
				assert.NoError(t, err)
			default: // ends while a request of its runs inside
				return p.Do(ctx, 3)
			}
			return 0, nil
		})
		_, err := p.Do(context.Background(), 1)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}

// An error, a panic and a Goexit of an inner call come out of the inner Do.
func TestNestedFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := recursive(t, pool.Config{Size: 1}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			var panicked *pool.PanicError
			switch req {
			case 1:
				return 0, errModel
			case 2:
				panic("no")
			case 3:
				runtime.Goexit()
			case 10, 12:
				_, err := p.Do(ctx, req/10)
				assert.Same(t, errModel, err)
				_, err = p.Do(ctx, 2)
				assert.ErrorAs(t, err, &panicked)
				_, err = p.Go(ctx, 2).Wait(ctx)
				assert.ErrorAs(t, err, &panicked)
				return 1, nil
			case 30:
				return p.Do(ctx, 3)
			case 31:
				return p.Go(ctx, 3).Wait(ctx)
			}
			return 0, nil
		})
		got, err := p.Do(context.Background(), 10)
		require.NoError(t, err)
		assert.Equal(t, 1, got)
		for _, req := range []int{30, 31} {
			_, err = p.Do(context.Background(), req)
			assert.ErrorIs(t, err, pool.ErrGoexit, "the goroutine is the worker's")
		}
		got, err = p.Do(context.Background(), 10)
		require.NoError(t, err, "the pool goes on")
		assert.Equal(t, 1, got)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
		assert.EqualValues(t, 4, p.Stats().Panics)
	})
}

// A context that does not come from the call does not say that it is nested: such a Do waits for another worker.
func TestForeignContextInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := recursive(t, pool.Config{Size: 1}, func(_ context.Context, p *pool.Pool[int, int], req int) (int, error) {
			if req == 0 {
				return 0, nil
			}
			foreign, cancel := context.WithTimeoutCause(context.Background(), ms, errModel)
			defer cancel()
			return p.Do(foreign, 0)
		})
		_, err := p.Do(context.Background(), 1)
		assert.Same(t, errModel, err)
		require.NoError(t, p.Resize(2))
		_, err = p.Do(context.Background(), 1)
		assert.NoError(t, err)
		require.NoError(t, p.Close())
	})
}

// The pools of a chain do not take each other for themselves.
func TestOtherPool(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, inner *pool.Pool[int, int], m *model) {
		outer, err := pool.New(inner.Do, pool.Config{Size: 2})
		require.NoError(t, err)
		a, b := async(context.Background(), outer.Do, 1), async(context.Background(), outer.Do, 2)
		answered(t, a, 1)
		answered(t, b, 2)
		assert.Zero(t, inner.Stats().Nested)
		assert.Equal(t, 1, m.peak())
		require.NoError(t, outer.Close())
	})
}

// Shutdown lets requests finish that need others of their own; Close does not.
func TestShutdownInside(t *testing.T) {
	for _, closes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := recursive(t, pool.Config{Size: 1}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
				if req == 0 {
					return 1, nil
				}
				time.Sleep(10 * ms)
				f := p.Go(ctx, 0)
				a, err := p.Do(ctx, 0)
				if err != nil {
					return 0, err
				}
				b, err := f.Wait(ctx)
				return a + b, err
			})
			out := async(context.Background(), p.Do, 1)
			stop := func() error { return p.Shutdown(context.Background()) }
			if closes {
				stop = p.Close
			}
			require.NoError(t, stop())
			got := <-out
			if closes {
				assert.ErrorIs(t, got.err, context.Canceled)
			} else {
				assert.Equal(t, outcome{2, nil}, got)
			}
			checkBooks(t, p.Stats())
			require.NoError(t, p.Close())
		})
	}
}
