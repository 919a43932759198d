package pool_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

type key struct{}

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

// watched is a context that knows how many wait for its end by AfterFunc.
type watched struct {
	context.Context
	done chan struct{} // its own, so that the context package cannot do without AfterFunc. It never ends.
	n    atomic.Int64
}

func (w *watched) Done() <-chan struct{} { return w.done }

func (w *watched) AfterFunc(func()) func() bool {
	w.n.Add(1)
	return sync.OnceValue(func() bool {
		w.n.Add(-1)
		return true
	})
}

// Whatever becomes of a Go, its context is not watched any longer.
func TestContextIsReleased(t *testing.T) {
	bubble(t, pool.Config{Size: 1, MaxQueue: 1, RejectWhenFull: true}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx := &watched{Context: context.Background(), done: make(chan struct{})}
		m.gate = make(chan struct{})
		running := p.Go(ctx, 1)
		synctest.Wait()
		evicted := p.Go(ctx, 2)
		cancelled := p.Go(pool.WithPriority(ctx, 1), 3)
		rejected := p.Go(ctx, 4)
		cancelled.Cancel()
		abandoned := p.Go(ctx, 5)
		assert.EqualValues(t, 2, ctx.n.Load())
		close(m.gate)
		for _, f := range []*pool.Future[int]{running, evicted, cancelled, rejected, abandoned} {
			<-f.Done()
		}
		synctest.Wait()
		assert.Zero(t, ctx.n.Load())
		m.gate = make(chan struct{})
		abandoned = p.Go(ctx, 6)
		synctest.Wait()
		closed := p.Go(ctx, 7)
		abandoned.Cancel()
		require.NoError(t, p.Close())
		<-closed.Done()
		assert.Zero(t, ctx.n.Load())
	})
}

// sleepy is a context that has ended, by what Err says, before Done tells those who wait.
type sleepy struct {
	context.Context
	ended atomic.Bool
	done  chan struct{}
}

func (c *sleepy) Done() <-chan struct{} { return c.done }

func (c *sleepy) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}

// A context that has ended is enough, whether or not those who wait for it have been scheduled since.
func TestEndedButNotTold(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		ctx := &sleepy{Context: context.Background(), done: make(chan struct{})}
		running := async(context.Background(), p.Do, 1)
		queued := async(ctx, p.Do, 2)
		ctx.ended.Store(true)
		close(m.gate)
		answered(t, running, 1)
		assert.Equal(t, outcome{0, context.Canceled}, <-queued)
		assert.Equal(t, []int{1}, m.requests(), "it is not executed")
		assert.EqualValues(t, 1, p.Stats().Drops.Cancelled)

		other := &sleepy{Context: context.Background(), done: make(chan struct{})}
		m.before = func(ctx context.Context, _ int) (int, error) {
			assert.NoError(t, ctx.Err())
			other.ended.Store(true)
			assert.Equal(t, context.Canceled, ctx.Err())
			<-ctx.Done()
			return 7, nil
		}
		resp, err := p.Do(other, 3)
		assert.NoError(t, err)
		assert.Equal(t, 7, resp)
	})
}

// untold is a context that has ended, of which neither the caller's first look nor its channel say so.
type untold struct {
	context.Context
	looks atomic.Int32
}

func (u *untold) Done() <-chan struct{} { return make(chan struct{}) }

func (u *untold) Err() error {
	if u.looks.Add(1) == 1 {
		return nil
	}
	return u.Context.Err()
}

// cause is the cause of the end of a context, which is none of the pool's business.
type cause struct{ t *testing.T }

func (c cause) Error() string { return "the caller's own" }

func (c cause) Is(error) bool {
	c.t.Error("the pool has looked into the caller's error")
	return true
}

// It is the context that says whether a request that was not executed has expired or been cancelled, not its cause.
func TestDropsByContext(t *testing.T) {
	for _, size := range []int{1, 16} { // with a worker, and in a lane
		bubble(t, pool.Config{Size: size}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			answered(t, async(t.Context(), p.Do, 1), 1)
			require.Equal(t, size > 1, p.Lanes() > 0)
			expired, cancel := context.WithDeadlineCause(context.Background(), time.Now().Add(-ms), errGaveUp)
			defer cancel()
			_, err := p.Do(&untold{Context: expired}, 2)
			assert.Same(t, errGaveUp, err)
			cancelled, end := context.WithCancelCause(context.Background())
			end(cause{t})
			_, err = p.Do(&untold{Context: cancelled}, 3)
			assert.Equal(t, cause{t}, err)
			s := p.Stats()
			assert.Equal(t, []uint64{1, 1}, []uint64{s.Drops.Expired, s.Drops.Cancelled})
			assert.Equal(t, []int{1}, m.requests())
		})
	}
}
