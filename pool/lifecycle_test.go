package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

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

func TestConfigInForce(t *testing.T) {
	bubble(t, pool.Config{Size: 2}, func(t *testing.T, p *pool.Pool[int, int], _ *model) {
		want := pool.Config{Size: 2, MaxQueue: pool.DefaultMaxQueue, ClassTurn: pool.DefaultClassTurn}
		require.Equal(t, want, p.Config())
		want.Size = 3
		require.NoError(t, p.Resize(3))
		require.Equal(t, want, p.Config())
	})
}
