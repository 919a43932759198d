package pool_test

import (
	"context"

	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

func TestNewRejects(t *testing.T) {
	fn := func(context.Context, int) (int, error) { return 0, nil }
	for _, cfg := range []pool.Config{{Size: -1}, {MaxQueue: -1}, {ClassTurn: -1}} {
		_, err := pool.New(fn, cfg)
		require.ErrorContains(t, err, "negative", "%+v", cfg)
	}
	_, err := pool.New[int, int](nil, pool.Config{})
	require.ErrorContains(t, err, "nil function")
	for _, cfg := range []pool.Config{{}, {Size: math.MaxInt, MaxQueue: math.MaxInt, ClassTurn: math.MaxInt}} {
		p, err := pool.New(fn, cfg)
		require.NoError(t, err)
		_, err = p.Do(context.Background(), 1)
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
	p, err := pool.New(fn, pool.Config{})
	require.NoError(t, err)
	require.Equal(t, runtime.GOMAXPROCS(0), p.Stats().Size)
	require.NoError(t, p.Close())
}

func TestDo(t *testing.T) {
	bubble(t, pool.Config{Size: 2}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.takes = ms
		start := time.Now()
		var outs []<-chan outcome
		for i := range 5 {
			outs = append(outs, async(context.Background(), p.Do, i))
		}
		s := p.Stats()
		assert.Equal(t, 2, s.Running)
		assert.Equal(t, 3, s.Queued)
		assert.Equal(t, 2, s.Workers)
		for i, out := range outs {
			answered(t, out, i)
		}
		assert.Equal(t, 3*ms, time.Since(start))
		assert.Equal(t, 2, m.peak())
		synctest.Wait()
		s = p.Stats()
		assert.Zero(t, s.Workers, "workers are released when idle")
		assert.EqualValues(t, 5, s.Answered)
		assert.EqualValues(t, 1, s.Timed)
		assert.Equal(t, ms, s.MeanRunTime())
		assert.Zero(t, s.MeanQueueWait())
	})
}

// What fn returns comes back untouched, also an answer beside an error.
func TestError(t *testing.T) {
	bubble(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.before = func(context.Context, int) (int, error) { return 7, errModel }
		resp, err := p.Do(context.Background(), 1)
		assert.Same(t, errModel, err)
		assert.Equal(t, 7, resp)
		resp, err = p.Go(context.Background(), 1).Wait(context.Background())
		assert.Same(t, errModel, err)
		assert.Equal(t, 7, resp)
		assert.EqualValues(t, 2, p.Stats().Failed)
	})
}

func TestPanic(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.before = func(_ context.Context, req int) (int, error) {
			if req < 0 {
				panic(errModel)
			}
			return req, nil
		}
		_, err := p.Do(context.Background(), -1)
		var panicked *pool.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.ErrorIs(t, err, errModel)
		assert.Contains(t, string(panicked.Stack), "TestPanic")
		_, err = p.Go(context.Background(), -1).Wait(context.Background())
		assert.ErrorAs(t, err, &panicked)
		resp, err := p.Do(context.Background(), 1)
		require.NoError(t, err)
		assert.Equal(t, 1, resp)
		s := p.Stats()
		assert.EqualValues(t, 2, s.Panics)
		assert.EqualValues(t, 2, s.Failed)
	})
}

// Goexit takes the goroutine, but neither the outcome nor the place, nor those who wait for it.
func TestGoexit(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.takes = ms
		m.before = func(_ context.Context, req int) (int, error) {
			if req < 0 {
				runtime.Goexit()
			}
			return req * 10, nil
		}
		bad, good := async(context.Background(), p.Do, -1), async(context.Background(), p.Do, 1)
		assert.ErrorIs(t, (<-bad).err, pool.ErrGoexit)
		answered(t, good, 1)
		_, err := p.Go(context.Background(), -1).Wait(context.Background())
		assert.ErrorIs(t, err, pool.ErrGoexit)
		assert.Equal(t, 1, m.peak())
	})
}

func TestQueueFullWaits(t *testing.T) {
	bubble(t, pool.Config{Size: 1, MaxQueue: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		running, queued := async(context.Background(), p.Do, 1), async(context.Background(), p.Do, 2)
		ctx, cancel := context.WithCancelCause(context.Background())
		blocked, leaves := async(context.Background(), p.Do, 3), async(ctx, p.Do, 4)
		submitted := make(chan *pool.Future[int], 1)
		go func() { submitted <- p.Go(context.Background(), 5) }()
		pending(t, running, queued, blocked, leaves)
		assert.Empty(t, submitted, "Go waits for room")
		assert.Equal(t, 3, p.Stats().Blocked)
		cancel(errModel)
		assert.Equal(t, outcome{0, errModel}, <-leaves)
		assert.Equal(t, 2, p.Stats().Blocked)
		close(m.gate)
		answered(t, running, 1)
		answered(t, queued, 2)
		answered(t, blocked, 3)
		resp, err := (<-submitted).Wait(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 50, resp)
		assert.Equal(t, []int{1, 2, 3, 5}, m.requests())
	})
}

func TestQueueFullRejects(t *testing.T) {
	bubble(t, pool.Config{Size: 2, MaxQueue: 1, RejectWhenFull: true}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		// No worker has had the time to start: what free workers will take does not count as queued.
		futures := []*pool.Future[int]{}
		for i := range 4 {
			futures = append(futures, p.Go(context.Background(), i))
		}
		_, err := futures[3].Wait(context.Background())
		assert.ErrorIs(t, err, pool.ErrQueueFull)
		_, err = p.Do(context.Background(), 9)
		assert.ErrorIs(t, err, pool.ErrQueueFull)
		close(m.gate)
		for i, f := range futures[:3] {
			resp, err := f.Wait(context.Background())
			require.NoError(t, err)
			assert.Equal(t, i*10, resp)
		}
		assert.EqualValues(t, 2, p.Stats().Drops.Rejected)
	})
}

func TestPriority(t *testing.T) {
	high, low := pool.WithPriority(context.Background(), 1), pool.WithPriority(context.Background(), -1)
	t.Run("order", func(t *testing.T) {
		bubble(t, pool.Config{Size: 1, ClassTurn: 2}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			m.gate = make(chan struct{})
			p.Go(context.Background(), 0)
			synctest.Wait()
			p.Go(low, 1)
			p.Go(low, 2)
			for i := 3; i < 8; i++ {
				p.Go(high, i)
			}
			p.Go(context.Background(), 8)
			close(m.gate)
			require.NoError(t, p.Shutdown(context.Background()))
			// After two that passed others the oldest goes.
			assert.Equal(t, []int{0, 3, 4, 1, 5, 6, 2, 7, 8}, m.requests())
		})
	})
	t.Run("room", func(t *testing.T) {
		bubble(t, pool.Config{Size: 1, MaxQueue: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			m.gate = make(chan struct{})
			outs := []<-chan outcome{async(context.Background(), p.Do, 0), async(low, p.Do, 1), async(low, p.Do, 2), async(high, p.Do, 3)}
			close(m.gate)
			for i, out := range outs {
				answered(t, out, i)
			}
			assert.Equal(t, []int{0, 1, 3, 2}, m.requests())
		})
	})
	t.Run("eviction", func(t *testing.T) {
		bubble(t, pool.Config{Size: 1, MaxQueue: 2, RejectWhenFull: true}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			m.gate = make(chan struct{})
			outs := []<-chan outcome{
				async(context.Background(), p.Do, 0), async(low, p.Do, 1), async(low, p.Do, 2), async(high, p.Do, 3),
			}
			evicted := (<-outs[2]).err
			assert.ErrorIs(t, evicted, pool.ErrEvicted)
			assert.ErrorIs(t, evicted, pool.ErrQueueFull)
			f := p.Go(high, 4)
			assert.ErrorIs(t, (<-outs[1]).err, pool.ErrEvicted)
			_, err := p.Do(high, 5)
			assert.ErrorIs(t, err, pool.ErrQueueFull)
			assert.NotErrorIs(t, err, pool.ErrEvicted)
			close(m.gate)
			answered(t, outs[0], 0)
			answered(t, outs[3], 3)
			resp, err := f.Wait(context.Background())
			require.NoError(t, err)
			assert.Equal(t, 40, resp)
		})
	})
}

func TestResize(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		require.ErrorContains(t, p.Resize(0), "at least 1")
		require.ErrorContains(t, p.Resize(-3), "at least 1")
		m.takes = 10 * ms
		var outs []<-chan outcome
		for i := range 12 {
			outs = append(outs, async(context.Background(), p.Do, i))
		}
		assert.Equal(t, 1, p.Stats().Busy)
		require.NoError(t, p.Resize(4))
		synctest.Wait()
		assert.Equal(t, 4, p.Stats().Busy)
		require.NoError(t, p.Resize(2))
		synctest.Wait()
		s := p.Stats()
		assert.Equal(t, 4, s.Busy, "what runs is not touched")
		assert.Equal(t, 2, s.Size)
		assert.Equal(t, 8, s.Queued, "nothing is lost")
		time.Sleep(10 * ms)
		synctest.Wait()
		assert.Equal(t, 2, p.Stats().Busy)
		for i, out := range outs {
			answered(t, out, i)
		}
		assert.Equal(t, 4, m.peak())
	})
}

// A larger size is room for those who wait for it.
func TestResizeLetsIn(t *testing.T) {
	bubble(t, pool.Config{Size: 1, MaxQueue: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		var outs []<-chan outcome
		for i := range 5 {
			outs = append(outs, async(context.Background(), p.Do, i))
		}
		assert.Equal(t, 3, p.Stats().Blocked)
		require.NoError(t, p.Resize(4))
		synctest.Wait()
		s := p.Stats()
		assert.Equal(t, [3]int{4, 1, 0}, [3]int{s.Busy, s.Queued, s.Blocked})
		close(m.gate)
		for i, out := range outs {
			answered(t, out, i)
		}
	})
}

func TestContextOver(t *testing.T) {
	bubble(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errModel)
		_, err := p.Do(ctx, 1)
		assert.Same(t, errModel, err)
		_, err = p.Go(ctx, 1).Wait(context.Background())
		assert.Same(t, errModel, err)
		past, stop := context.WithDeadline(context.Background(), time.Now().Add(-ms))
		defer stop()
		_, err = p.Do(past, 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, p.Stats().Accepted)
		assert.Empty(t, m.requests())
	})
}

func TestCancelQueued(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		running := async(context.Background(), p.Do, 1)
		ctx, cancel := context.WithCancelCause(context.Background())
		out := async(ctx, p.Do, 2)
		f := p.Go(ctx, 3)
		timeout, stop := context.WithTimeout(context.Background(), ms)
		defer stop()
		late := async(timeout, p.Do, 4)
		cancelled := p.Go(context.Background(), 5)
		cancelled.Cancel()
		cancelled.Cancel()
		<-cancelled.Done()
		_, err := cancelled.Wait(context.Background())
		assert.Equal(t, context.Canceled, err)
		cancel(errModel)
		assert.Equal(t, outcome{0, errModel}, <-out)
		_, err = f.Wait(context.Background())
		assert.Same(t, errModel, err)
		assert.ErrorIs(t, (<-late).err, context.DeadlineExceeded)
		s := p.Stats()
		assert.Zero(t, s.Queued)
		assert.EqualValues(t, 3, s.Drops.Cancelled)
		assert.EqualValues(t, 1, s.Drops.Expired)
		close(m.gate)
		answered(t, running, 1)
		assert.Equal(t, []int{1}, m.requests())
	})
}

// A context that has ended is enough not to be executed, even if its caller has not been scheduled since.
func TestCancelBeforeStart(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx, cancel := context.WithCancel(context.Background())
		f := p.Go(ctx, 1)
		cancel()
		_, err := f.Wait(context.Background())
		assert.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		assert.Empty(t, m.requests())
	})
}

func TestCancelRunning(t *testing.T) {
	for name, do := range map[string]func(*pool.Pool[int, int]) pool.Func[int, int]{
		"Do": func(p *pool.Pool[int, int]) pool.Func[int, int] { return p.Do },
		"Go": func(p *pool.Pool[int, int]) pool.Func[int, int] {
			return func(ctx context.Context, req int) (int, error) { return p.Go(ctx, req).Wait(context.Background()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
				var told error
				m.before = func(ctx context.Context, req int) (int, error) {
					if req == 1 {
						<-ctx.Done()
						told = ctx.Err()
						time.Sleep(ms) // it does not stop at once
						panic("nobody waits for that")
					}
					return req * 10, nil
				}
				ctx, cancel := context.WithCancelCause(context.Background())
				start := time.Now()
				out := async(ctx, do(p), 1)
				next := async(context.Background(), p.Do, 2)
				cancel(errModel)
				assert.Equal(t, outcome{0, errModel}, <-out)
				assert.Zero(t, time.Since(start), "the caller does not wait for fn")
				pending(t, next)
				answered(t, next, 2)
				assert.Equal(t, ms, time.Since(start), "the place is taken until fn returns")
				assert.Equal(t, context.Canceled, told)
				s := p.Stats()
				assert.EqualValues(t, 1, s.Abandoned)
				assert.EqualValues(t, 1, s.Panics)
			})
		})
	}
}

func TestFuture(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.takes = 10 * ms
		f := p.Go(context.Background(), 1)
		ctx, cancel := context.WithTimeoutCause(context.Background(), ms, errModel)
		defer cancel()
		_, err := f.Wait(ctx)
		assert.Same(t, errModel, err, "the waiter gave up")
		_, err = f.Wait(ctx)
		assert.Same(t, errModel, err)
		outs := make(chan outcome, 3)
		for range 3 {
			go func() {
				resp, err := f.Wait(context.Background())
				outs <- outcome{resp, err}
			}()
		}
		<-f.Done()
		for range 3 {
			answered(t, outs, 1)
		}
		resp, err := f.Wait(ctx)
		require.NoError(t, err, "an outcome that is there is returned in any case")
		assert.Equal(t, 10, resp)
		f.Cancel()
		<-f.Done()
		resp, err = f.Wait(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 10, resp)
	})
}

func TestFutureCancelRunning(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		f := p.Go(context.Background(), 1)
		synctest.Wait()
		f.Cancel()
		_, err := f.Wait(context.Background())
		assert.Equal(t, context.Canceled, err)
		synctest.Wait()
		assert.Zero(t, p.Stats().Busy, "fn's context was cancelled too")
	})
}

func TestShutdown(t *testing.T) {
	bubble(t, pool.Config{Size: 1, MaxQueue: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.takes = 10 * ms
		outs := []<-chan outcome{async(context.Background(), p.Do, 0), async(context.Background(), p.Do, 1), async(context.Background(), p.Do, 2)}
		ctx, cancel := context.WithTimeoutCause(context.Background(), ms, errModel)
		defer cancel()
		assert.Same(t, errModel, p.Shutdown(ctx))
		_, err := p.Do(context.Background(), 3)
		assert.ErrorIs(t, err, pool.ErrClosed)
		_, err = p.Go(context.Background(), 3).Wait(context.Background())
		assert.ErrorIs(t, err, pool.ErrClosed)
		require.NoError(t, p.Shutdown(context.Background()))
		for i, out := range outs {
			answered(t, out, i)
		}
		require.NoError(t, p.Shutdown(ctx), "nothing is left, though ctx has ended")
	})
}

func TestClose(t *testing.T) {
	bubble(t, pool.Config{Size: 2, MaxQueue: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		withValue := context.WithValue(context.Background(), key{}, 1)
		running := []<-chan outcome{async(context.Background(), p.Do, 0), async(withValue, p.Do, 1)}
		queued, blocked := async(context.Background(), p.Do, 2), async(context.Background(), p.Do, 3)
		submitted := async(context.Background(), func(ctx context.Context, req int) (int, error) { return p.Go(ctx, req).Wait(ctx) }, 4)
		drained := make(chan error, 1)
		go func() { drained <- p.Shutdown(context.Background()) }()
		synctest.Wait()
		assert.Empty(t, drained)
		for range 2 {
			go p.Close()
		}
		require.NoError(t, p.Close())
		require.NoError(t, <-drained)
		for _, out := range running {
			assert.ErrorIs(t, (<-out).err, context.Canceled)
		}
		for _, out := range []<-chan outcome{queued, blocked, submitted} {
			assert.ErrorIs(t, (<-out).err, pool.ErrClosed)
		}
		assert.EqualValues(t, 3, p.Stats().Drops.Closed)
		_, err := p.Do(context.Background(), 5)
		assert.ErrorIs(t, err, pool.ErrClosed)
	})
}

type key struct{}

// fn's context says what the caller's does, and ends with it.
func TestContext(t *testing.T) {
	bubble(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "value"), ms)
		defer cancel()
		want, _ := ctx.Deadline()
		var kept, derived context.Context
		after := make(chan struct{})
		m.before = func(ctx context.Context, req int) (int, error) {
			assert.Equal(t, "value", ctx.Value(key{}))
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, want, deadline)
			assert.NoError(t, ctx.Err())
			assert.NoError(t, context.Cause(ctx))
			kept = ctx
			var stop context.CancelFunc
			derived, stop = context.WithCancel(ctx)
			context.AfterFunc(derived, stop) // it is to end with its parent
			if req == 1 {
				stop := context.AfterFunc(ctx, func() { t.Error("stopped") })
				assert.True(t, stop())
				assert.False(t, stop())
				context.AfterFunc(ctx, func() { close(after) })
				<-derived.Done()
				assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
				<-ctx.Done()
			}
			return 0, nil
		}
		_, err := p.Do(ctx, 0)
		require.NoError(t, err)
		assert.ErrorIs(t, kept.Err(), context.Canceled, "it is for the time of the call")
		<-derived.Done()
		_, err = p.Do(ctx, 1)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		<-after
		late := make(chan struct{})
		context.AfterFunc(kept, func() { close(late) })
		<-late
	})
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, err := pool.New(func(_ context.Context, req int) (int, error) { return req, nil }, pool.Config{Size: 4})
	require.NoError(t, err)
	defer p.Close()
	ctx := context.Background()
	assert.Zero(t, testing.AllocsPerRun(2000, func() { p.Do(ctx, 1) }), "Do")
	assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { p.Go(ctx, 1).Wait(ctx) }), 1.0, "Go and Wait")
	request, cancel := context.WithCancel(ctx)
	defer cancel()
	assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { p.Do(request, 1) }), 1.0, "Do with a context that can end")
}
