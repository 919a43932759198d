package pool_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// What requests of Go use one after the other, their tasks and the context of a worker, must not let one disturb another.

func TestCancelOfOverDoesNotReachNext(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx := context.Background()
		over := p.Go(ctx, 1)
		_, _ = over.Wait(ctx)
		m.gate = make(chan struct{})
		runs, queued := p.Go(ctx, 2), p.Go(ctx, 3)
		synctest.Wait()
		over.Cancel()
		<-over.Done()
		close(m.gate)
		for want, f := range map[int]*pool.Future[int]{20: runs, 30: queued} {
			got, err := f.Wait(ctx)
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		}
	})
}

func TestCancelOfRunningDoesNotReachNext(t *testing.T) {
	bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		ctx := context.Background()
		gate := make(chan struct{})
		m.before = func(ctx context.Context, req int) (int, error) {
			if req == 1 {
				<-gate // takes no notice of its context
			}
			return req, ctx.Err()
		}
		runs, next := p.Go(ctx, 1), p.Go(ctx, 2)
		synctest.Wait()
		runs.Cancel()
		close(gate)
		_, err := next.Wait(ctx)
		assert.NoError(t, err)
	})
}

// A context that fn has passed on ends, whether it is asked for its end before fn returns or after.
func TestContextEndsThatIsKept(t *testing.T) {
	for name, asked := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pool.Config{Size: 1}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
				kept := make(chan context.Context, 1)
				m.before = func(ctx context.Context, req int) (int, error) {
					if asked {
						go func() { <-ctx.Done() }()
						runtime.Gosched()
					}
					kept <- ctx
					return req, nil
				}
				_, _ = p.Go(context.Background(), 1).Wait(context.Background())
				c := <-kept
				<-c.Done()
				assert.Equal(t, context.Canceled, c.Err())
			})
		})
	}
}

// large is a request, or an answer.
type large [1000]int

// A pool keeps neither a request nor its answer when it is over, also if the caller has left.
func TestLaneForgets(t *testing.T) {
	leave, gate := func() {}, make(chan struct{})
	close(gate)
	p, err := pool.New(func(context.Context, *large) (*large, error) {
		leave()
		<-gate
		return &large{}, nil
	}, pool.Config{Size: 16})
	require.NoError(t, err)
	defer p.Close()
	do := func(ctx context.Context) (req, resp weak.Pointer[large]) {
		var wg sync.WaitGroup
		wg.Go(func() {
			r := &large{}
			req = weak.Make(r)
			got, _ := p.Do(ctx, r)
			resp = weak.Make(got)
		})
		wg.Wait()
		return req, resp
	}
	forgotten := func(name string, req, resp weak.Pointer[large]) {
		require.NotZero(t, p.Lanes())
		runtime.GC()
		runtime.GC()
		assert.Nil(t, req.Value(), name)
		assert.Nil(t, resp.Value(), name)
	}
	do(context.Background()) // opens the lanes
	for name, ctx := range kinds(t) {
		req, resp := do(ctx)
		forgotten(name, req, resp)
	}
	ctx, cancel := context.WithCancel(context.Background())
	leave, gate = cancel, make(chan struct{})
	req, resp := do(ctx)
	require.EqualValues(t, 1, p.Stats().Abandoned)
	close(gate)
	for p.Stats().Busy > 0 {
		runtime.Gosched()
	}
	forgotten("leaves", req, resp)
}
