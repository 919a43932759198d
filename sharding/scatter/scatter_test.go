package scatter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/sharding"
	"github.com/scalable-ai/patterns/sharding/scatter"
)

func makeNodes(n int) []sharding.Node {
	nodes := make([]sharding.Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("shard-%d", i)
	}
	return nodes
}

func makeTable(tb testing.TB, n int) *sharding.Table {
	tb.Helper()
	p, err := sharding.NewTable(makeNodes(n), sharding.TableConfig{Slots: 1024})
	require.NoError(tb, err)
	return p
}

func makeKeys(n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = i
	}
	return keys
}

type fetch = func(context.Context, sharding.Node, []int) ([]string, error)

// answer answers each key with its text, and with the node.
func answer(_ context.Context, n sharding.Node, keys []int) ([]string, error) {
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = fmt.Sprint(key, "@", n.Name)
	}
	return values, nil
}

func newScatter(t testing.TB, p sharding.Placement, f fetch, cfg scatter.Config) *scatter.Scatter[int, string] {
	t.Helper()
	s, err := scatter.New(p, f, cfg)
	require.NoError(t, err)
	return s
}

// check compares values with what the owners answer; the positions in missing have none.
func check(t testing.TB, p sharding.Placement, keys []int, values []string, missing []int) {
	t.Helper()
	require.Len(t, values, len(keys))
	for i, key := range keys {
		want := fmt.Sprint(key, "@", sharding.Owner(p, key).Name)
		if slices.Contains(missing, i) {
			want = ""
		}
		require.Equal(t, want, values[i], i)
	}
}

func partial(t testing.TB, err error) *scatter.PartialError {
	t.Helper()
	var p *scatter.PartialError
	require.ErrorAs(t, err, &p)
	return p
}

func TestDo(t *testing.T) {
	for _, shards := range []int{1, 2, 10, 100} {
		for _, n := range []int{1, 2, 100, 1000} {
			p := makeTable(t, shards)
			s := newScatter(t, p, answer, scatter.Config{})
			for range 3 { // with a request that was used before
				values, err := s.Do(t.Context(), makeKeys(n))
				require.NoError(t, err)
				check(t, p, makeKeys(n), values, nil)
			}
		}
	}
}

func TestDoWithoutKeys(t *testing.T) {
	s := newScatter(t, makeTable(t, 3), answer, scatter.Config{})
	values, err := s.Do(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{}, values)
	assert.Zero(t, s.Stats().Calls)
}

func TestDoFetchesEachKeyOnce(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	p := makeTable(t, 4)
	s := newScatter(t, p, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, key := range keys {
			seen[key]++
		}
		return answer(ctx, n, keys)
	}, scatter.Config{})
	keys := []int{5, 1, 5, 2, 1, 5}
	values, err := s.Do(t.Context(), keys)
	require.NoError(t, err)
	check(t, p, keys, values, nil)
	assert.Equal(t, map[int]int{1: 1, 2: 1, 5: 1}, seen)
	assert.Equal(t, uint64(3), s.Stats().Duplicates)
	assert.Equal(t, uint64(6), s.Stats().Keys)
}

func TestDoWithAHashThatSaysNothing(t *testing.T) {
	p := makeTable(t, 4)
	s, err := scatter.New(p, answer, scatter.Config{}, scatter.WithHash(func(int) uint64 { return 7 }))
	require.NoError(t, err)
	values, err := s.Do(t.Context(), []int{3, 1, 3, 2})
	require.NoError(t, err)
	node := p.Nodes()[p.Owner(7)].Name
	assert.Equal(t, []string{"3@" + node, "1@" + node, "3@" + node, "2@" + node}, values)
}

func TestBadConfig(t *testing.T) {
	p := makeTable(t, 1)
	bad := func(says string) func(any, error) {
		return func(_ any, err error) { t.Helper(); assert.ErrorContains(t, err, says) }
	}
	bad("nil function")(scatter.New[int, string](p, nil, scatter.Config{}))
	bad("no nodes")(scatter.New(nil, answer, scatter.Config{}))
	bad("MaxFanout is negative")(scatter.New(p, answer, scatter.Config{MaxFanout: -1}))
	bad("ShardTimeout is negative")(scatter.New(p, answer, scatter.Config{ShardTimeout: -1}))
	bad("nil option")(scatter.New(p, answer, scatter.Config{}, nil))
	bad("WithHash: nil function")(scatter.New(p, answer, scatter.Config{}, scatter.WithHash[int](nil)))
	byFloat := func(context.Context, sharding.Node, []float64) ([]int, error) { return nil, nil }
	bad("holds a float64")(scatter.New(p, byFloat, scatter.Config{}))
	_, err := scatter.New(p, byFloat, scatter.Config{}, scatter.WithHash(math.Float64bits))
	require.NoError(t, err)
}

func TestPartialAnswers(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		fail fetch
		is   error
	}{
		"error":     {func(context.Context, sharding.Node, []int) ([]string, error) { return nil, down }, down},
		"too few":   {func(context.Context, sharding.Node, []int) ([]string, error) { return nil, nil }, scatter.ErrResultCount},
		"too many":  {func(context.Context, sharding.Node, []int) ([]string, error) { return make([]string, 999), nil }, scatter.ErrResultCount},
		"panic":     {func(context.Context, sharding.Node, []int) ([]string, error) { panic(down) }, down},
		"goexit":    {func(context.Context, sharding.Node, []int) ([]string, error) { runtime.Goexit(); return nil, nil }, scatter.ErrGoexit},
		"both":      {func(context.Context, sharding.Node, []int) ([]string, error) { return make([]string, 999), down }, down},
		"cancelled": {func(context.Context, sharding.Node, []int) ([]string, error) { return nil, context.Canceled }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			p := makeTable(t, 4)
			s := newScatter(t, p, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
				if n.Name == "shard-2" {
					return c.fail(ctx, n, keys)
				}
				return answer(ctx, n, keys)
			}, scatter.Config{})
			keys := append(makeKeys(50), makeKeys(50)...)
			values, err := s.Do(t.Context(), keys)
			require.ErrorIs(t, err, c.is)
			e := partial(t, err)
			require.Len(t, e.Shards, 1)
			assert.Equal(t, "shard-2", e.Shards[0].Node.Name)
			assert.Equal(t, 4, e.Calls)
			assert.Equal(t, 100, e.Keys)
			want := []int{}
			for i, key := range keys {
				if sharding.Owner(p, key).Name == "shard-2" {
					want = append(want, i)
				}
			}
			assert.Equal(t, want, e.Missing())
			check(t, p, keys, values, want)
			assert.Contains(t, err.Error(), fmt.Sprintf(`scatter: %d of 100 keys have no answer, 1 of 4 shards failed; shard "shard-2": `, len(want)))
			st := s.Stats()
			assert.Equal(t, uint64(1), st.ShardCallsFailed)
			assert.Equal(t, uint64(1), st.Partial)
			assert.Equal(t, uint64(1), st.Nodes[2].Failed)
			assert.Zero(t, st.Stragglers)
		})
	}
}

func TestErrorOfNothing(t *testing.T) {
	assert.Equal(t, "scatter: no shard failed", new(scatter.PartialError).Error())
}

func TestPanicCarriesTheStack(t *testing.T) {
	s := newScatter(t, makeTable(t, 1), func(context.Context, sharding.Node, []int) ([]string, error) { panic("oh") }, scatter.Config{})
	values, err := s.Do(t.Context(), []int{1})
	var p *scatter.PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "oh", p.Value)
	assert.Contains(t, string(p.Stack), "TestPanicCarriesTheStack")
	assert.Equal(t, []string{""}, values)
}

func TestDoWithAContextThatHasEnded(t *testing.T) {
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	s := newScatter(t, makeTable(t, 2), func(context.Context, sharding.Node, []int) ([]string, error) {
		t.Error("called")
		return nil, nil
	}, scatter.Config{})
	values, err := s.Do(ctx, makeKeys(3))
	assert.Equal(t, why, err)
	assert.Nil(t, values)
}

type wrongOwner struct{ sharding.Placement }

func (wrongOwner) Owner(hash uint64) int { return int(hash%3) - 1 }

func TestDoWithAPlacementThatIsWrong(t *testing.T) {
	s := newScatter(t, wrongOwner{makeTable(t, 1)}, answer, scatter.Config{})
	for range 3 {
		values, err := s.Do(t.Context(), makeKeys(50))
		require.ErrorIs(t, err, scatter.ErrPlacement)
		assert.Nil(t, values)
	}
}

// hang waits for the release, whatever becomes of the context.
func hang(release chan struct{}, names ...string) fetch {
	return func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
		if slices.Contains(names, n.Name) {
			<-release
		}
		return answer(ctx, n, keys)
	}
}

// A shard that hangs and ignores its context holds up nobody: the others are asked, though it took a place of the fan-out.
func TestShardTimeout(t *testing.T) {
	for _, fanout := range []int{1, 2, 0} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			p := makeTable(t, 6)
			s := newScatter(t, p, hang(release, "shard-1", "shard-4"), scatter.Config{MaxFanout: fanout, ShardTimeout: time.Second})
			start := time.Now()
			values, err := s.Do(t.Context(), makeKeys(100))
			elapsed := time.Since(start)
			if fanout == 0 {
				assert.Equal(t, time.Second, elapsed)
			}
			assert.LessOrEqual(t, elapsed, 2*time.Second)
			require.ErrorIs(t, err, scatter.ErrShardTimeout)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			e := partial(t, err)
			assert.Len(t, e.Shards, 2)
			check(t, p, makeKeys(100), values, e.Missing())
			st := s.Stats()
			assert.Equal(t, 2, st.Stragglers)
			assert.Equal(t, uint64(2), st.ShardCallsTimedOut)
			assert.Equal(t, 1, st.Nodes[1].InFlight)
			// The request that they still have is not used for others.
			close(release)
			values, err = s.Do(t.Context(), makeKeys(100))
			require.NoError(t, err)
			check(t, p, makeKeys(100), values, nil)
			synctest.Wait()
			assert.Zero(t, s.Stats().Stragglers)
			assert.Zero(t, s.Stats().Nodes[1].InFlight)
		})
	}
}

// A shard that does notice the end of its time is a timeout too, and has left when Do returns or soon after.
func TestShardTimeoutThatIsNoticed(t *testing.T) {
	for range 50 { // who is first to notice, the call or Do, is left to chance
		synctest.Test(t, func(t *testing.T) {
			s := newScatter(t, makeTable(t, 3), func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
				if n.Name == "shard-1" {
					<-ctx.Done()
					assert.Equal(t, scatter.ErrShardTimeout, context.Cause(ctx))
					return nil, ctx.Err()
				}
				return answer(ctx, n, keys)
			}, scatter.Config{ShardTimeout: time.Second})
			_, err := s.Do(t.Context(), makeKeys(20))
			require.ErrorIs(t, err, scatter.ErrShardTimeout)
			synctest.Wait()
			assert.Zero(t, s.Stats().Stragglers)
			assert.Equal(t, uint64(1), s.Stats().ShardCallsTimedOut)
		})
	}
}

// A call's time begins when it is started, not when Do is.
func TestShardTimeoutIsThatOfEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTable(t, 5)
		s := newScatter(t, p, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			time.Sleep(900 * time.Millisecond)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return answer(ctx, n, keys)
		}, scatter.Config{MaxFanout: 2, ShardTimeout: time.Second})
		start := time.Now()
		values, err := s.Do(t.Context(), makeKeys(100))
		require.NoError(t, err)
		check(t, p, makeKeys(100), values, nil)
		assert.Equal(t, 2700*time.Millisecond, time.Since(start))
	})
}

func TestFanoutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		s := newScatter(t, makeTable(t, 20), func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Duration(1+len(n.Name)%3) * time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return answer(ctx, n, keys)
		}, scatter.Config{MaxFanout: 3})
		_, err := s.Do(t.Context(), makeKeys(200))
		require.NoError(t, err)
		assert.Equal(t, 3, most)
	})
}

// When the caller's context ends Do returns at once, with the answers that are there.
func TestCallerGivesUp(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		for _, fanout := range []int{2, 0} {
			synctest.Test(t, func(t *testing.T) {
				why := errors.New("why")
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
				defer cancel()
				release := make(chan struct{})
				p := makeTable(t, 6)
				s := newScatter(t, p, hang(release, "shard-1", "shard-4"), scatter.Config{MaxFanout: fanout, ShardTimeout: timeout})
				start := time.Now()
				values, err := s.Do(ctx, makeKeys(100))
				assert.Equal(t, time.Second, time.Since(start))
				require.ErrorIs(t, err, why)
				e := partial(t, err)
				check(t, p, makeKeys(100), values, e.Missing())
				assert.GreaterOrEqual(t, len(e.Shards), 2)
				assert.Equal(t, 2, s.Stats().Stragglers)
				close(release)
			})
		}
	}
}

func TestPlacementChangesWhileACallRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := makeTable(t, 3), makeTable(t, 5)
		s := newScatter(t, before, func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			time.Sleep(time.Second)
			return answer(ctx, n, keys)
		}, scatter.Config{MaxFanout: 1})
		go func() {
			time.Sleep(time.Second + time.Millisecond)
			assert.NoError(t, s.SetPlacement(after))
			assert.ErrorIs(t, s.SetPlacement(nil), sharding.ErrNoNodes)
		}()
		values, err := s.Do(t.Context(), makeKeys(60))
		require.NoError(t, err)
		check(t, before, makeKeys(60), values, nil)
		values, err = s.Do(t.Context(), makeKeys(60))
		require.NoError(t, err)
		check(t, after, makeKeys(60), values, nil)
		assert.Same(t, after, s.Placement())
		assert.Equal(t, uint64(2), s.Stats().Nodes[0].Calls, "the counters of nodes that stay are kept")
		assert.Equal(t, uint64(1), s.Stats().Nodes[4].Calls)
	})
}

func TestOnShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []scatter.ShardEvent
		s := newScatter(t, makeTable(t, 2), func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
			time.Sleep(time.Second)
			return answer(ctx, n, keys)
		}, scatter.Config{OnShard: func(e scatter.ShardEvent) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}})
		_, err := s.Do(t.Context(), makeKeys(30))
		require.NoError(t, err)
		slices.SortFunc(events, func(a, b scatter.ShardEvent) int { return strings.Compare(a.Node.Name, b.Node.Name) })
		require.Len(t, events, 2)
		assert.Equal(t, 30, events[0].Keys+events[1].Keys)
		assert.Equal(t, "shard-1", events[1].Node.Name)
		assert.Equal(t, time.Second, events[0].Duration)
	})
}

// The keys that fetch has been given are its own.
func TestFetchMayKeepTheKeys(t *testing.T) {
	kept := map[int][]int{}
	round := 0
	s := newScatter(t, makeTable(t, 1), func(ctx context.Context, n sharding.Node, keys []int) ([]string, error) {
		kept[round] = keys
		return answer(ctx, n, keys)
	}, scatter.Config{})
	for round = range 3 {
		_, err := s.Do(t.Context(), []int{round, round + 10})
		require.NoError(t, err)
	}
	assert.Equal(t, map[int][]int{0: {0, 10}, 1: {1, 11}, 2: {2, 12}}, kept)
}
