package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// contexts are the two ways of Submit: with a Future behind it, and without.
var contexts = map[string]func() (context.Context, context.CancelFunc){
	"background":  func() (context.Context, context.CancelFunc) { return context.Background(), func() {} },
	"cancellable": func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
}

func TestSubmit(t *testing.T) {
	for name, newContext := range contexts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &model{before: func(_ context.Context, req int) (int, error) {
					switch req {
					case 1:
						return 0, errModel
					case 2:
						panic("boom")
					}
					return req, nil
				}}
				p, err := pool.New(m.run, pool.Config{Size: 1})
				require.NoError(t, err)
				ctx, cancel := newContext()
				defer cancel()
				for i := range 4 {
					require.NoError(t, p.Submit(ctx, i))
				}
				require.NoError(t, p.Shutdown(context.Background()))
				assert.Equal(t, []int{0, 1, 2, 3}, m.requests())
				s := p.Stats()
				assert.EqualValues(t, 4, s.Accepted)
				assert.EqualValues(t, 2, s.Answered)
				assert.EqualValues(t, 2, s.Failed)
				assert.EqualValues(t, 1, s.Panics)
				require.ErrorIs(t, p.Submit(ctx, 5), pool.ErrClosed)
			})
		})
	}
}

func TestSubmitQueueFull(t *testing.T) {
	for name, newContext := range contexts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &model{gate: make(chan struct{})}
				p, err := pool.New(m.run, pool.Config{Size: 1, MaxQueue: 1, RejectWhenFull: true})
				require.NoError(t, err)
				defer p.Close()
				ctx, cancel := newContext()
				defer cancel()
				require.NoError(t, p.Submit(ctx, 0))
				synctest.Wait()
				require.NoError(t, p.Submit(ctx, 1))
				require.ErrorIs(t, p.Submit(ctx, 2), pool.ErrQueueFull)
				require.NoError(t, p.Submit(pool.WithPriority(ctx, 1), 3), "takes the place of 1")
				close(m.gate)
				synctest.Wait()
				assert.Equal(t, []int{0, 3}, m.requests())
				assert.EqualValues(t, 1, p.Stats().Drops.Evicted)
			})
		})
	}
}

// A Submit that finds no room waits for it, and is told if that ends with Close or with its context.
func TestSubmitWaitsForRoom(t *testing.T) {
	for name, newContext := range contexts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &model{gate: make(chan struct{})}
				p, err := pool.New(m.run, pool.Config{Size: 1, MaxQueue: 1})
				require.NoError(t, err)
				ctx, cancel := newContext()
				defer cancel()
				require.NoError(t, p.Submit(ctx, 0))
				synctest.Wait()
				require.NoError(t, p.Submit(ctx, 1))
				var errs [3]error
				var wg sync.WaitGroup
				returned := [3]atomic.Bool{}
				leaving, leave := context.WithCancelCause(ctx)
				for i, ctx := range []context.Context{ctx, ctx, leaving} {
					wg.Go(func() {
						errs[i] = p.Submit(ctx, 2+i)
						returned[i].Store(true)
					})
					synctest.Wait()
				}
				gone := errors.New("gone")
				leave(gone)
				synctest.Wait()
				require.True(t, returned[2].Load())
				require.ErrorIs(t, errs[2], gone)
				require.False(t, returned[0].Load())
				m.gate <- struct{}{}
				synctest.Wait()
				require.True(t, returned[0].Load(), "there is room")
				require.NoError(t, errs[0])
				require.False(t, returned[1].Load())
				require.NoError(t, p.Close())
				wg.Wait()
				require.ErrorIs(t, errs[1], pool.ErrClosed)
				assert.Equal(t, []int{0, 1}, m.requests())
			})
		})
	}
}

func TestSubmitCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{gate: make(chan struct{})}
		p, err := pool.New(m.run, pool.Config{Size: 1})
		require.NoError(t, err)
		defer p.Close()
		ctx, cancel := context.WithCancel(context.Background())
		require.NoError(t, p.Submit(context.Background(), 0))
		synctest.Wait()
		require.NoError(t, p.Submit(ctx, 1))
		cancel()
		require.ErrorIs(t, p.Submit(ctx, 2), context.Canceled)
		synctest.Wait()
		assert.EqualValues(t, 1, p.Stats().Drops.Cancelled)
		close(m.gate)
		synctest.Wait()
		assert.Equal(t, []int{0}, m.requests())
	})
}

// From inside of fn a Submit does not wait for room that only its own request could make.
func TestSubmitInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *pool.Pool[int, int]
		m := &model{}
		m.before = func(ctx context.Context, req int) (int, error) {
			for range req {
				if err := p.Submit(ctx, 0); err != nil {
					return 0, err
				}
			}
			return req, nil
		}
		var err error
		p, err = pool.New(m.run, pool.Config{Size: 1, MaxQueue: 1})
		require.NoError(t, err)
		defer p.Close()
		got, err := p.Do(context.Background(), 5)
		require.NoError(t, err)
		assert.Equal(t, 5, got)
		synctest.Wait()
		s := p.Stats()
		assert.Equal(t, s.Accepted, s.Answered+s.Drops.Cancelled+s.Abandoned)
	})
}

// The tasks of Submit and Go are the same ones, used again: none may get another's outcome.
func TestSubmitBesideGo(t *testing.T) {
	var ran atomic.Int64
	p, err := pool.New(func(_ context.Context, req int) (int, error) {
		ran.Add(1)
		if req%3 == 0 {
			return 0, errModel
		}
		return req, nil
	}, pool.Config{Size: 2, MaxQueue: 4})
	require.NoError(t, err)
	const each = 3000
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := range each {
				assert.NoError(t, p.Submit(ctx, i))
			}
		})
		wg.Go(func() {
			for i := range each {
				got, err := p.Go(ctx, i).Wait(ctx)
				if i%3 == 0 {
					assert.ErrorIs(t, err, errModel)
				} else {
					assert.NoError(t, err)
					assert.Equal(t, i, got)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, p.Shutdown(ctx))
	assert.EqualValues(t, 6*each, ran.Load())
	s := p.Stats()
	assert.EqualValues(t, 6*each, s.Accepted)
	assert.EqualValues(t, 6*each, s.Answered+s.Failed)
}
