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

// lanes is bubble with a pool whose lanes are open.
func lanes(t *testing.T, cfg pool.Config, test func(t *testing.T, p *pool.Pool[int, int], m *model)) {
	t.Helper()
	cfg.Size = 16
	bubble(t, cfg, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		p.HastenLanes()
		answered(t, async(t.Context(), p.Do, 1), 1)
		require.NotZero(t, p.Lanes())
		test(t, p, m)
	})
}

// kinds are contexts of the kinds of which a lane makes a difference: that say nothing, that do not end, and that may.
func kinds(t *testing.T) map[string]context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	return map[string]context.Context{
		"plain":  context.Background(),
		"values": pool.WithPriority(context.Background(), 1),
		"ends":   ctx,
	}
}

// eachContext runs the test for each kind of context.
func eachContext(t *testing.T, cfg pool.Config, test func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model)) {
	for _, name := range []string{"plain", "values", "ends"} {
		t.Run(name, func(t *testing.T) {
			lanes(t, cfg, func(t *testing.T, p *pool.Pool[int, int], m *model) { test(t, kinds(t)[name], p, m) })
		})
	}
}

// A place in a lane is given back how ever the function ends, and before the caller has its answer.
func TestLaneGivesThePlaceBack(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		for _, closed := range []bool{false, true} {
			for _, ends := range []func() error{
				func() error { return nil },
				func() error { return errModel },
				func() error { panic(errModel) },
			} {
				m.before = func(context.Context, int) (int, error) {
					if closed {
						_ = p.Resize(p.Config().Size) // closes the lanes
					}
					return 7, ends()
				}
				_, _ = p.Do(ctx, 1)
				s := p.Stats()
				require.Zero(t, s.Busy, "%+v", s)
				require.Zero(t, s.Running, "%+v", s)
				m.before = nil
				for p.Lanes() == 0 {
					_, _ = p.Do(context.Background(), 1)
					synctest.Wait()
				}
			}
		}
		require.EqualValues(t, 4, p.Stats().Failed)
		require.EqualValues(t, 2, p.Stats().Panics)
	})
}

// A Goexit on the caller's goroutine ends that, as it does anywhere. The books are right all the same.
func TestLaneGoexit(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		m.before = func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		}
		var err error
		returned := false
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err = p.Do(ctx, 1)
			returned = true
		})
		wg.Wait()
		assert.Equal(t, ctx.Done() != nil, returned)
		if returned {
			require.ErrorIs(t, err, pool.ErrGoexit)
		}
		s := p.Stats()
		assert.EqualValues(t, 1, s.Failed)
		assert.Zero(t, s.Busy)
	})
}

// A panic(nil), which some programs still have, is no answer.
func TestLanePanicNil(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		m.before = func(context.Context, int) (int, error) { panic(nil) } //nolint:govet // that is what is tested
		_, err := p.Do(ctx, 1)
		require.ErrorIs(t, err, pool.ErrGoexit)
		require.EqualValues(t, 1, p.Stats().Failed)
	})
}

// The context of the function is over when the function is, and is no mark of a call any more.
func TestLaneContextEnds(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		var kept context.Context
		m.before = func(ctx context.Context, _ int) (int, error) {
			kept = ctx
			assert.NoError(t, ctx.Err())
			return 0, nil
		}
		_, err := p.Do(ctx, 1)
		require.NoError(t, err)
		if ctx != context.Background() { // that of a plain one ends with Close
			assert.ErrorIs(t, kept.Err(), context.Canceled)
		}
		m.before = nil
		_, _ = p.Do(kept, 2)
		assert.Zero(t, p.Stats().Nested)
	})
}

// The context of a call in a lane is not taken for that of the next one that has its frame, not even for a moment.
func TestLaneContextIsNotTheNext(t *testing.T) {
	var (
		p    *pool.Pool[int, int]
		kept [4]atomic.Pointer[context.Context]
		bad  atomic.Int64
	)
	p, err := pool.New(func(ctx context.Context, req int) (int, error) {
		mine := ctx.Value(p)
		for i := range kept {
			if other := kept[i].Load(); other != nil && i != req && mine != nil && (*other).Value(p) == mine {
				bad.Add(1)
			}
		}
		kept[req].Store(&ctx)
		return 0, nil
	}, pool.Config{Size: 6})
	require.NoError(t, err)
	defer p.Close()
	ctx := pool.WithPriority(context.Background(), 1)
	for range 100 {
		_, _ = p.Do(ctx, 0)
	}
	var wg sync.WaitGroup
	for id := range kept {
		wg.Go(func() {
			for i := range 30000 {
				_, _ = p.Do(ctx, id)
				if i%1000 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	require.NotZero(t, p.Lanes())
	require.Zero(t, bad.Load())
}

// Close ends the contexts of those that run in lanes, and waits for them.
func TestLaneClose(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		var ended atomic.Bool
		m.before = func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			time.Sleep(ms)
			ended.Store(true)
			return 0, ctx.Err()
		}
		out := async(ctx, p.Do, 1)
		require.NotZero(t, p.Lanes())
		late, cancel := context.WithTimeout(t.Context(), ms)
		defer cancel()
		require.ErrorIs(t, p.Shutdown(late), context.DeadlineExceeded)
		require.NoError(t, p.Close())
		require.True(t, ended.Load())
		require.ErrorIs(t, (<-out).err, context.Canceled)
	})
}

// A caller whose context ends gets away from a function that does not stop, and the place stays taken.
func TestLaneCallerLeaves(t *testing.T) {
	lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.takes = 5 * ms
		var kept context.Context
		m.before = func(ctx context.Context, _ int) (int, error) {
			kept = ctx
			return 0, nil
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*ms, errGaveUp)
		defer cancel()
		start := time.Now()
		_, err := p.Do(ctx, 1)
		require.ErrorIs(t, err, errGaveUp)
		require.Equal(t, 2*ms, time.Since(start))
		s := p.Stats()
		require.Equal(t, []int{1, 1, 0}, []int{s.Busy, s.Workers, s.Running})
		require.EqualValues(t, 1, s.Abandoned)
		time.Sleep(4 * ms)
		s = p.Stats()
		require.Equal(t, []int{0, 0, 0}, []int{s.Busy, s.Workers, s.Running})
		require.ErrorIs(t, kept.Err(), context.DeadlineExceeded)
	})
}

// fickle is a context that ends between the caller's look at it and that of the goroutine that is to execute the request.
type fickle struct {
	context.Context
	looks atomic.Int32
}

func (f *fickle) Err() error {
	if f.looks.Add(1) > 1 {
		return context.DeadlineExceeded
	}
	return nil
}

// A request whose context has ended before the function is called is not executed, and counted as one that was not.
func TestLaneEndsBefore(t *testing.T) {
	lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := p.Do(&fickle{Context: ctx}, 2)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []int{1}, m.requests())
		s := p.Stats()
		require.EqualValues(t, 1, s.Drops.Expired)
		require.Zero(t, s.Busy)
	})
}

// A call from inside that outlives its function keeps the place, but not the answer.
func TestLaneLeftBehind(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		gate := make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		m.before = func(ctx context.Context, req int) (int, error) {
			if req == 0 {
				<-gate
				return 0, nil
			}
			wg.Go(func() {
				_, err := p.Do(ctx, 0)
				assert.NoError(t, err)
			})
			time.Sleep(ms) // until that is inside
			return 8, nil
		}
		resp, err := p.Do(ctx, 1)
		require.NoError(t, err)
		require.Equal(t, 8, resp)
		synctest.Wait()
		s := p.Stats()
		require.Equal(t, []int{1, 1}, []int{s.Busy, s.Inside}, "%+v", s)
		late, cancel := context.WithTimeout(t.Context(), ms)
		defer cancel()
		require.ErrorIs(t, p.Shutdown(late), context.DeadlineExceeded)
		close(gate)
		require.NoError(t, p.Shutdown(t.Context()))
		require.Zero(t, p.Stats().Busy)
	})
}

// No request is rejected, and none waits, for a place that lies in a lane.
func TestLanesGiveWay(t *testing.T) {
	for name, submit := range map[string]func(p *pool.Pool[int, int], wg *sync.WaitGroup){
		"Submit": func(p *pool.Pool[int, int], _ *sync.WaitGroup) { assert.NoError(t, p.Submit(context.Background(), 3)) },
		"Do": func(p *pool.Pool[int, int], wg *sync.WaitGroup) {
			wg.Go(func() {
				_, err := p.Do(context.Background(), 3)
				assert.NoError(t, err)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			lanes(t, pool.Config{MaxQueue: 1, RejectWhenFull: true}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
				m.takes = ms
				start := time.Now()
				var wg sync.WaitGroup
				for range 16 {
					submit(p, &wg)
				}
				wg.Wait()
				require.NoError(t, p.Shutdown(t.Context()))
				require.Equal(t, ms, time.Since(start))
				require.Equal(t, 16, m.peak())
			})
		})
	}
}

// Stats add up while requests run in lanes, and the times are taken of one in 16.
func TestLaneStats(t *testing.T) {
	eachContext(t, pool.Config{}, func(t *testing.T, ctx context.Context, p *pool.Pool[int, int], m *model) {
		before := p.Stats()
		m.takes = ms
		const rounds, each = 64, 4
		for range rounds {
			var outs []<-chan outcome
			for range each {
				outs = append(outs, async(ctx, p.Do, 1))
			}
			s := p.Stats()
			require.Equal(t, each, s.Busy)
			require.Equal(t, each, s.Running)
			if ctx.Done() != nil {
				require.Equal(t, each, s.Workers)
			} else {
				require.LessOrEqual(t, s.Workers, each)
			}
			for _, out := range outs {
				answered(t, out, 1)
			}
		}
		synctest.Wait()
		s := p.Stats()
		require.EqualValues(t, rounds*each, s.Accepted-before.Accepted)
		require.EqualValues(t, rounds*each, s.Answered-before.Answered)
		require.InDelta(t, rounds*each/16, s.Timed, rounds*each/32)
		require.GreaterOrEqual(t, s.MeanRunTime(), ms/2) // the first one took no time
		require.Zero(t, s.Busy+s.Workers)
	})
}

// tardy is a context that takes its time, but for the first look at it.
type tardy struct {
	context.Context
	looks atomic.Int32
}

func (s *tardy) Err() error {
	if s.looks.Add(1) > 1 {
		time.Sleep(ms)
	}
	return s.Context.Err()
}

// What passes before a request's own goroutine calls the function is counted as a wait, and not as time in the function.
func TestLaneWait(t *testing.T) {
	lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], _ *model) {
		before := p.Stats()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for range 40 {
			_, _ = p.Do(&tardy{Context: ctx}, 1)
		}
		s := p.Stats()
		require.NotZero(t, s.Timed-before.Timed)
		require.Equal(t, ms*time.Duration(s.Timed-before.Timed), s.QueueWait-before.QueueWait)
		require.Equal(t, before.RunTime, s.RunTime)
	})
}

func TestLaneAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p, err := pool.New(func(_ context.Context, req int) (int, error) { return req, nil }, pool.Config{Size: 64})
	require.NoError(t, err)
	defer p.Close()
	for name, ctx := range kinds(t) {
		most := 1.0
		if name == "plain" {
			most = 0
		}
		assert.LessOrEqual(t, testing.AllocsPerRun(2000, func() { _, _ = p.Do(ctx, 1) }), most, name)
	}
	require.NotZero(t, p.Lanes())
}
