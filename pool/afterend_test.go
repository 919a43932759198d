package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// job is a request that is a function.
type job func(ctx context.Context) error

func runJob(ctx context.Context, j job) (struct{}, error) { return struct{}{}, j(ctx) }

// jobs makes a pool of one place for jobs.
func jobs(t *testing.T) *pool.Pool[job, struct{}] {
	t.Helper()
	p, err := pool.New(runJob, pool.Config{Size: 1})
	require.NoError(t, err)
	return p
}

// A call from inside that waits for the place of a call that has returned meanwhile is like one from outside, and nothing runs after the end.
func TestInsideAfterEnd(t *testing.T) {
	for _, how := range []string{"Shutdown", "Close", "neither"} {
		for _, by := range []string{"Do", "Do inside", "Wait inside"} {
			t.Run(how+" of "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := jobs(t)
					var (
						late  = make(chan error, 1)
						ended atomic.Bool
						ran   bool
					)
					leaves := func(ctx context.Context) error {
						ctx = context.WithoutCancel(ctx)
						go func() { _, _ = p.Do(ctx, func(context.Context) error { time.Sleep(20 * ms); return nil }) }()
						time.Sleep(ms)
						go func() {
							_, err := p.Do(ctx, func(context.Context) error {
								assert.False(t, ended.Load())
								ran = true
								time.Sleep(ms)
								assert.False(t, ended.Load())
								return nil
							})
							late <- err
						}()
						time.Sleep(ms)
						return nil
					}
					_, err := p.Do(t.Context(), func(ctx context.Context) error {
						switch by {
						case "Do inside":
							_, err := p.Do(ctx, leaves)
							return err
						case "Wait inside":
							_, err := p.Go(ctx, leaves).Wait(ctx)
							return err
						default:
							return leaves(ctx)
						}
					})
					require.NoError(t, err)
					switch how {
					case "Shutdown":
						require.NoError(t, p.Shutdown(t.Context()))
					case "Close":
						require.NoError(t, p.Close())
					}
					ended.Store(how != "neither")
					if err := <-late; how == "neither" {
						assert.NoError(t, err)
						assert.True(t, ran)
					} else {
						assert.ErrorIs(t, err, pool.ErrClosed)
						assert.False(t, ran)
					}
					require.NoError(t, p.Close())
					checkBooks(t, p.Stats())
				})
			})
		}
	}
}

// After Close nothing is let in from inside.
func TestInsideAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := jobs(t)
		inside := make(chan error, 1)
		go func() {
			_, _ = p.Do(t.Context(), func(ctx context.Context) error {
				<-ctx.Done()
				_, err := p.Do(context.WithoutCancel(ctx), func(context.Context) error { return nil })
				inside <- err
				return nil
			})
		}()
		synctest.Wait()
		require.NoError(t, p.Close())
		assert.ErrorIs(t, <-inside, pool.ErrClosed)
		checkBooks(t, p.Stats())
	})
}

// When the place becomes free at the moment at which the context ends, the request is not executed.
func TestInsidePlaceAfterContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := jobs(t)
		_, err := p.Do(t.Context(), func(ctx context.Context) error {
			ending := &sleepy{Context: ctx, done: make(chan struct{})}
			go func() {
				_, _ = p.Do(ctx, func(context.Context) error { time.Sleep(ms); ending.ended.Store(true); return nil })
			}()
			synctest.Wait()
			_, err := p.Do(ending, func(context.Context) error { t.Error("executed"); return nil })
			assert.Equal(t, context.Canceled, err)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}

// Wait from inside does not execute a request whose own context has ended, whether or not the pool has been told.
func TestWaitInsideAfterContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := jobs(t)
		_, err := p.Do(t.Context(), func(ctx context.Context) error {
			ending := &sleepy{Context: context.Background(), done: make(chan struct{})}
			f := p.Go(ending, func(context.Context) error { t.Error("executed"); return nil })
			ending.ended.Store(true)
			_, err := f.Wait(ctx)
			assert.Equal(t, context.Canceled, err)
			return nil
		})
		require.NoError(t, err)
		s := p.Stats()
		assert.EqualValues(t, 1, s.Drops.Cancelled)
		assert.Zero(t, s.Nested)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}

// slow is a context that takes a second to say how its end is told.
type slow struct{ context.Context }

func (s slow) Done() <-chan struct{} {
	time.Sleep(time.Second)
	return s.Context.Done()
}

// A Go from inside of a call that returns meanwhile is not let in after Shutdown.
func TestGoInsideAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := jobs(t)
		late := make(chan error)
		_, err := p.Do(t.Context(), func(ctx context.Context) error {
			go func() {
				f := p.Go(slow{context.WithoutCancel(ctx)}, func(context.Context) error { t.Error("executed"); return nil })
				_, err := f.Wait(context.Background())
				late <- err
			}()
			time.Sleep(ms)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, p.Shutdown(t.Context()))
		assert.ErrorIs(t, <-late, pool.ErrClosed)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}

// A context that is kept is like any other once its call is over.
func TestStaleContext(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"plain": context.Background(), "values": context.WithValue(context.Background(), key{}, 1),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
				var kept context.Context
				m.before = func(ctx context.Context, _ int) (int, error) {
					if kept == nil {
						kept = context.WithoutCancel(ctx)
					}
					return 0, nil
				}
				_, err := p.Do(ctx, 1)
				require.NoError(t, err)
				_, err = p.Do(kept, 2)
				require.NoError(t, err)
				assert.Zero(t, p.Stats().Nested)
				assert.Equal(t, 1, m.peak())
			})
		})
	}
}

// Close waits for what a request has left behind inside.
func TestCloseWaitsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := recursive(t, pool.Config{Size: 1}, func(ctx context.Context, p *pool.Pool[int, int], req int) (int, error) {
			if req == 0 {
				time.Sleep(10 * ms)
				return 0, nil
			}
			go func() { _, _ = p.Do(ctx, 0) }()
			time.Sleep(ms)
			return 0, nil
		})
		start := time.Now()
		_, err := p.Do(context.Background(), 1)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		assert.Equal(t, 10*ms, time.Since(start))
	})
}

// A call from inside that a request has left behind keeps the place: its outcome comes, but the next request waits.
func TestLeftBehindInside(t *testing.T) {
	for _, depth := range []string{"Do", "Do inside", "Wait inside"} {
		for _, parent := range []context.Context{context.Background(), context.WithValue(context.Background(), key{}, 1)} {
			synctest.Test(t, func(t *testing.T) {
				p := jobs(t)
				running := 0
				behind := func(ctx context.Context) error {
					go func() {
						_, _ = p.Do(ctx, func(context.Context) error {
							running++
							time.Sleep(time.Hour)
							running--
							return nil
						})
					}()
					time.Sleep(ms)
					return nil
				}
				start := time.Now()
				for i := range 3 {
					_, err := p.Do(parent, func(ctx context.Context) error {
						assert.Zero(t, running)
						switch depth {
						case "Do inside":
							_, err := p.Do(ctx, behind)
							return err
						case "Wait inside":
							_, err := p.Go(ctx, behind).Wait(ctx)
							return err
						default:
							return behind(ctx)
						}
					})
					require.NoError(t, err)
					assert.Equal(t, time.Duration(i)*time.Hour+ms, time.Since(start))
				}
				require.NoError(t, p.Close())
				assert.Equal(t, 3*time.Hour, time.Since(start))
				checkBooks(t, p.Stats())
			})
		}
	}
}

// A call from inside of one that has returned is part of the next one out that has not.
func TestNextOneOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := jobs(t)
		_, err := p.Do(t.Context(), func(ctx context.Context) error {
			late := make(chan error)
			_, err := p.Do(ctx, func(ctx context.Context) error {
				ctx = context.WithoutCancel(ctx)
				go func() { _, _ = p.Do(ctx, func(context.Context) error { time.Sleep(10 * ms); return nil }) }()
				synctest.Wait()
				go func() {
					_, err := p.Do(ctx, func(context.Context) error { return nil })
					late <- err
				}()
				time.Sleep(ms)
				return nil
			})
			require.NoError(t, err)
			return <-late
		})
		require.NoError(t, err)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}
