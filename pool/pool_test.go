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

// The hook sees each panic, also where nobody takes the outcome, and before the caller does.
func TestOnPanic(t *testing.T) {
	var seen []any // written by one worker at a time, and read when the pool is at rest
	cfg := pool.Config{Size: 1, OnPanic: func(e *pool.PanicError) {
		assert.Contains(t, string(e.Stack), "TestOnPanic")
		seen = append(seen, e.Value)
	}}
	bubble(t, cfg, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.before = func(ctx context.Context, req int) (int, error) {
			switch req {
			case 1:
				return p.Do(ctx, 2) // inside
			case 4:
				<-ctx.Done()
			}
			panic(req)
		}
		_, err := p.Do(context.Background(), 1)
		require.ErrorAs(t, err, new(*pool.PanicError))
		require.Equal(t, []any{2}, seen)
		require.NoError(t, p.Submit(context.Background(), 3))
		ctx, cancel := context.WithCancel(context.Background())
		abandoned := p.Go(ctx, 4)
		synctest.Wait()
		cancel()
		_, err = abandoned.Wait(context.Background())
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Equal(t, []any{2, 3, 4}, seen)
		require.EqualValues(t, 3, p.Stats().Panics)
	})
}

// Goexit in the hook costs the goroutine and nothing else.
func TestGoexitInOnPanic(t *testing.T) {
	bubble(t, pool.Config{Size: 1, OnPanic: func(*pool.PanicError) { runtime.Goexit() }}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.before = func(_ context.Context, req int) (int, error) {
			if req < 0 {
				panic(errModel)
			}
			return req, nil
		}
		_, err := p.Do(context.Background(), -1)
		require.ErrorIs(t, err, errModel)
		resp, err := p.Do(context.Background(), 1)
		require.NoError(t, err)
		require.Equal(t, 1, resp)
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

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, err := pool.New(func(_ context.Context, req int) (int, error) { return req, nil }, pool.Config{Size: 4})
	require.NoError(t, err)
	defer p.Close()
	ctx := context.Background()
	assert.Zero(t, testing.AllocsPerRun(2000, func() { _, _ = p.Do(ctx, 1) }), "Do")
	assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { _, _ = p.Go(ctx, 1).Wait(ctx) }), 1.0, "Go and Wait")
	assert.Zero(t, testing.AllocsPerRun(2000, func() {
		_ = p.Submit(ctx, 1)
		_, _ = p.Do(ctx, 1) // or the queue would become full
	}), "Submit")
	request, cancel := context.WithCancel(ctx)
	defer cancel()
	assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { _, _ = p.Do(request, 1) }), 1.0, "Do with a context that can end")
}
