package pool_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// inARow has only one goroutine run at a time, so that the workers which a burst of requests starts come to the queue after the burst.
func inARow(t *testing.T) {
	t.Helper()
	procs := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
}

// A Do does not run in a lane while an older request waits for a place.
func TestLaneDoesNotOvertake(t *testing.T) {
	inARow(t)
	lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		for range 16 {
			require.NoError(t, p.Submit(context.Background(), 2))
		}
		require.Zero(t, p.Lanes())
		_, err := p.Do(context.Background(), 3)
		require.NoError(t, err)
		seen := m.requests()
		require.Equal(t, 3, seen[len(seen)-1], "%v", seen)
	})
}

// A Do in a lane lets workers go first that are on their way to older requests: callers that do nothing else would keep them from running.
func TestLaneLetsWorkersGoFirst(t *testing.T) {
	inARow(t)
	for _, name := range []string{"plain", "values"} {
		lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			const rounds = 100
			late := 0
			for i := range rounds {
				require.NoError(t, p.Submit(context.Background(), 2))
				_, err := p.Do(kinds(t)[name], 3)
				require.NoError(t, err)
				if len(m.requests()) < 1+2*(i+1) {
					late++
				}
				synctest.Wait()
			}
			require.NotZero(t, p.Lanes())
			require.Less(t, late, rounds/4) // the scheduler sometimes goes on with the caller all the same
		})
	}
}

// Lanes get no places that requests in the queue have been promised: otherwise more than MaxQueue would wait while all places are taken.
func TestLanesLeaveRoomForTheQueue(t *testing.T) {
	inARow(t)
	bubble(t, pool.Config{Size: 16, MaxQueue: 1, RejectWhenFull: true}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		p.HastenLanes()
		gate := make(chan struct{})
		m.before = func(_ context.Context, req int) (int, error) {
			if req == 0 || req == 8 {
				<-gate
				return 0, nil
			}
			// One more that needs a place of its own: the first of them come before most of the workers.
			if _, err := p.Do(context.Background(), req+1); err != nil {
				assert.ErrorIs(t, err, pool.ErrQueueFull)
				<-gate
			}
			return 0, nil
		}
		for range 15 {
			require.NoError(t, p.Submit(context.Background(), 0))
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := p.Do(&fickle{Context: ended}, 0) // leaves as soon as it is in the queue
		require.Error(t, err)

		time.AfterFunc(ms, func() {
			s := p.Stats()
			assert.LessOrEqual(t, s.Queued, 1, "%+v", s)
			close(gate)
		})
		_, err = p.Do(context.Background(), 1)
		require.NoError(t, err)
	})
}

// Lanes are opened only while at least half of the places are free.
func TestLanesOpenWithRoom(t *testing.T) {
	for busy := range 16 {
		bubble(t, pool.Config{Size: 16}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
			m.gate = make(chan struct{})
			for range busy {
				require.NoError(t, p.Submit(context.Background(), 1))
			}
			synctest.Wait()
			out := async(context.Background(), p.Do, 2)
			require.Equal(t, busy+1 <= 8, p.Lanes() > 0, "%d busy", busy)
			close(m.gate)
			answered(t, out, 2)
		})
	}
}

// Lanes that have been closed stay so for a number of requests.
func TestLanesRest(t *testing.T) {
	bubble(t, pool.Config{Size: 16}, func(t *testing.T, p *pool.Pool[int, int], _ *model) {
		ctx := context.Background()
		for range 3 {
			answered(t, async(ctx, p.Do, 1), 1)
			require.NotZero(t, p.Lanes())
			for range 20 {
				require.NoError(t, p.Submit(ctx, 1))
				synctest.Wait()
			}
			require.NoError(t, p.Resize(16)) // closes them
			for range 63 {
				answered(t, async(ctx, p.Do, 1), 1)
				require.Zero(t, p.Lanes())
			}
		}
	})
}

// No worker is started for a request whose place is one in which another runs that came by a lane.
func TestLanePlacesCount(t *testing.T) {
	inARow(t)
	lanes(t, pool.Config{}, func(t *testing.T, p *pool.Pool[int, int], m *model) {
		m.gate = make(chan struct{})
		out := async(context.Background(), p.Do, 2)
		require.NotZero(t, p.Lanes())
		require.NoError(t, p.Resize(1))
		require.NoError(t, p.Submit(context.Background(), 3))
		require.Zero(t, p.Stats().Workers)
		close(m.gate)
		answered(t, out, 2)
	})
}
