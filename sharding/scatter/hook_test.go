package scatter_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

// The hook hears of each call, however fetch ends.
func TestOnShardAfterEachEndOfFetch(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		fetch fetch
		is    error
	}{
		"panic": {func(context.Context, sharding.Node, []int) ([]string, error) { time.Sleep(time.Second); panic(down) }, down},
		"goexit": {func(context.Context, sharding.Node, []int) ([]string, error) {
			time.Sleep(time.Second)
			runtime.Goexit()
			return nil, nil
		}, scatter.ErrGoexit},
		"error": {func(context.Context, sharding.Node, []int) ([]string, error) {
			time.Sleep(time.Second)
			return nil, down
		}, down},
		"count": {func(context.Context, sharding.Node, []int) ([]string, error) {
			time.Sleep(time.Second)
			return nil, nil
		}, scatter.ErrResultCount},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events []scatter.ShardEvent
				s := newScatter(t, makeTable(t, 1), c.fetch, scatter.Config{OnShard: func(e scatter.ShardEvent) { events = append(events, e) }})
				_, err := s.Do(t.Context(), makeKeys(3))
				require.ErrorIs(t, err, c.is)
				require.Len(t, events, 1)
				require.ErrorIs(t, events[0].Err, c.is)
				assert.Equal(t, 3, events[0].Keys)
				assert.Equal(t, "shard-0", events[0].Node.Name)
				assert.Equal(t, time.Second, events[0].Duration)
				var p *scatter.PanicError
				assert.Equal(t, name == "panic", errors.As(events[0].Err, &p))
			})
		})
	}
}

// A hook that panics or calls Goexit is an error of the shard, whatever fetch has done; the error of fetch comes first.
func TestOnShardThatFails(t *testing.T) {
	down, broken := errors.New("down"), errors.New("broken")
	fetches := map[error]fetch{
		nil:               answer,
		down:              func(context.Context, sharding.Node, []int) ([]string, error) { panic(down) },
		scatter.ErrGoexit: func(context.Context, sharding.Node, []int) ([]string, error) { runtime.Goexit(); return nil, nil },
	}
	hooks := map[error]func(scatter.ShardEvent){
		broken:            func(scatter.ShardEvent) { panic(broken) },
		scatter.ErrGoexit: func(scatter.ShardEvent) { runtime.Goexit() },
	}
	for want, f := range fetches {
		for hookErr, hook := range hooks {
			s := newScatter(t, makeTable(t, 1), f, scatter.Config{OnShard: hook})
			_, err := s.Do(t.Context(), makeKeys(3))
			if want == nil {
				require.ErrorIs(t, err, hookErr)
			} else {
				require.ErrorIs(t, err, want)
			}
			assert.Zero(t, s.Stats().Nodes[0].InFlight)
		}
	}
}

// A hook that takes its time, or hangs, costs no answer, and no more time than the call may take.
func TestOnShardThatIsSlow(t *testing.T) {
	for name, cfg := range map[string]scatter.Config{
		"ShardTimeout":             {ShardTimeout: 10 * time.Millisecond},
		"the caller's context":     {},
		"both, and a small fanout": {ShardTimeout: 10 * time.Millisecond, MaxFanout: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 35*time.Millisecond)
				defer cancel()
				release := make(chan struct{})
				p := makeTable(t, 3)
				cfg.OnShard = func(e scatter.ShardEvent) {
					assert.NoError(t, e.Err)
					<-release
					panic("nobody waits for it any more")
				}
				s := newScatter(t, p, answer, cfg)
				start := time.Now()
				values, err := s.Do(ctx, makeKeys(20))
				require.NoError(t, err)
				check(t, p, makeKeys(20), values, nil)
				assert.LessOrEqual(t, time.Since(start), 35*time.Millisecond)
				st := s.Stats()
				assert.Zero(t, st.ShardCallsFailed)
				assert.Zero(t, st.Stragglers)
				assert.Zero(t, st.Nodes[0].InFlight)
				// The hooks still have the request; others get another one.
				go func() { time.Sleep(time.Millisecond); close(release) }()
				values, _ = s.Do(t.Context(), makeKeys(30))
				assert.Len(t, values, 30)
				synctest.Wait()
			})
		})
	}
}
