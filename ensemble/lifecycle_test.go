package ensemble_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// A member that panics or exits fails like one that returns an error; the ensemble and the other members go on.
func TestPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		m := of(
			func(context.Context, int) (float64, error) {
				if bad {
					panic(errModel)
				}
				return 1, nil
			},
			func(context.Context, int) (float64, error) {
				if bad {
					runtime.Goexit()
				}
				return 1, nil
			},
			after(10*ms, 5),
		)
		for _, concurrency := range []int{0, 1} { // with 1, the goroutine that exits has others to run
			bad = true
			e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Concurrency: concurrency}, m...)
			a, err := e.Ask(t.Context(), 0)
			require.NoError(t, err)
			assert.InDelta(t, 5, a.Value, 0)
			var p *ensemble.PanicError
			require.ErrorAs(t, a.Members[0].Err, &p)
			assert.Equal(t, errModel, p.Value)
			assert.Contains(t, string(p.Stack), "lifecycle_test.go")
			require.ErrorIs(t, a.Members[0].Err, errModel)
			assert.Equal(t, ensemble.ErrGoexit, a.Members[1].Err)
			bad = false
			a, err = e.Ask(t.Context(), 0)
			require.NoError(t, err)
			assert.False(t, a.Partial())
			assert.Empty(t, a.Missing())
			assert.Equal(t, uint64(1), e.Stats().Members[1].Failed)
		}
	})
}

// A panic in a combiner goes on to the caller, and is counted; the ensemble goes on.
func TestPanicOfTheCombiner(t *testing.T) {
	bad := true
	e, err := ensemble.New(of(after(0, 1)), ensemble.Combiner[float64, float64]{
		Combine: func(context.Context, []ensemble.Vote[float64]) (float64, ensemble.Agreement, error) {
			if bad {
				panic("combiner")
			}
			return 3, ensemble.Agreement{}, nil
		},
	}, ensemble.Config{})
	require.NoError(t, err)
	assert.PanicsWithValue(t, "combiner", func() { _, _ = e.Do(t.Context(), 0) })
	bad = false
	got, err := e.Do(t.Context(), 0)
	require.NoError(t, err)
	assert.InDelta(t, 3, got, 0)
	st := e.Stats()
	assert.Equal(t, [3]uint64{2, 1, 1}, [3]uint64{st.Calls, st.Failed, st.Answered})
}

// The members that are not needed are cancelled, and have returned when Do does: here each takes a while for that.
func TestLosersHaveReturned(t *testing.T) {
	for name, cfg := range map[string]ensemble.Config{
		"quorum": {Policy: ensemble.Quorum, Quorum: 1}, "first": {Policy: ensemble.First}, "failure": {},
	} {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			loser := func(ctx context.Context, _ int) (float64, error) {
				running.Add(1)
				defer running.Add(-1)
				<-ctx.Done()
				time.Sleep(5 * ms) // closing a connection, say
				return 0, ctx.Err()
			}
			winner := after(10*ms, 1)
			if name == "failure" {
				winner = fails(10 * ms)
			}
			e := newMean(t, cfg, of(loser, winner, loser)...)
			began := time.Now()
			_, err := e.Do(t.Context(), 0)
			assert.Equal(t, name == "failure", err != nil)
			assert.Zero(t, running.Load(), name)
			assert.Equal(t, 15*ms, time.Since(began), name)
			assert.Zero(t, e.Stats().Stragglers)
		})
	}
}

// The caller's context that ends while the cancelled members are waited for does not hide why the call had failed.
func TestContextEndsDuringGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newMean(t, ensemble.Config{Grace: time.Second}, of(fails(5*ms), deaf(100*ms, 1))...)
		ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		began := time.Now()
		a, err := e.Ask(ctx, 0)
		require.ErrorIs(t, err, errModel)
		assert.Equal(t, 50*ms, time.Since(began))
		assert.Equal(t, []ensemble.Status{ensemble.Failed, ensemble.Cancelled}, statuses(a))
		require.ErrorIs(t, a.Members[1].Err, ensemble.ErrNotNeeded)
		assert.EqualValues(t, 1, e.Stats().Failed)
		time.Sleep(time.Second)
	})
}

// A member that ignores its context holds a decided call no longer than Grace, the deadline or the caller's context; it is counted until it returns.
func TestDeafLosers(t *testing.T) {
	for _, c := range []struct {
		cfg     ensemble.Config
		timeout time.Duration
		at      time.Duration
	}{
		{ensemble.Config{}, time.Hour, 10*ms + ensemble.DefaultGrace},
		{ensemble.Config{Grace: 3 * ms}, time.Hour, 13 * ms},
		{ensemble.Config{Deadline: 12 * ms}, time.Hour, 12 * ms},
		{ensemble.Config{}, 14 * ms, 14 * ms},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.cfg.Policy = ensemble.First
			e := newMean(t, c.cfg, of(deaf(time.Second, 5), after(10*ms, 1), deaf(2*time.Second, 5))...)
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			defer cancel()
			began := time.Now()
			got, err := e.Do(ctx, 0)
			require.NoError(t, err)
			assert.InDelta(t, 1, got, 0)
			assert.Equal(t, c.at, time.Since(began))
			assert.Equal(t, 2, e.Stats().Stragglers)
			time.Sleep(time.Second)
			st := e.Stats()
			assert.Equal(t, 1, st.Stragglers)
			assert.Equal(t, []int{0, 0, 1}, []int{st.Members[0].Stragglers, st.Members[1].Stragglers, st.Members[2].Stragglers})
			time.Sleep(time.Second)
			assert.Zero(t, e.Stats().Stragglers)
			assert.Equal(t, uint64(1), e.Stats().Members[2].Cancelled)
		})
	}
}

// What a member that was left behind returns is in no later call, though calls use their memory again.
func TestLateAnswersGoNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(_ context.Context, req int) (float64, error) {
			time.Sleep(time.Duration(req%7) * 10 * ms)
			return float64(req), nil
		}
		prompt := func(ctx context.Context, req int) (float64, error) { return float64(req), sleep(ctx, 15*ms) }
		e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Deadline: 25 * ms}, of(late, prompt, late, late)...)
		for req := range 200 {
			a, err := e.Ask(t.Context(), req)
			require.NoError(t, err)
			assert.InDelta(t, float64(req), a.Value, 1e-9)
			assert.Zero(t, a.Agreement.Variance)
			assert.Equal(t, req%7 > 2, a.Partial())
		}
		time.Sleep(time.Second)
		assert.Zero(t, e.Stats().Stragglers)
	})
}

// Members see the time that they have in their contexts, and the request of their own call.
func TestMembersSeeTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen [2]time.Duration
		see := func(i int) does {
			return func(ctx context.Context, _ int) (float64, error) {
				deadline, ok := ctx.Deadline()
				if ok {
					seen[i] = time.Until(deadline)
				}
				return 0, nil
			}
		}
		m := of(see(0), see(1))
		m[1].Timeout = 5 * ms
		e := newMean(t, ensemble.Config{Deadline: 20 * ms}, m...)
		_, err := e.Do(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, [2]time.Duration{20 * ms, 5 * ms}, seen)
	})
}

// No more members run at a time than Concurrency says, and each is called once.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, calls atomic.Int32
		do := func(ctx context.Context, _ int) (float64, error) {
			calls.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return 1, sleep(ctx, 10*ms)
		}
		e := newMean(t, ensemble.Config{Concurrency: 2}, of(do, do, do, do, do)...)
		began := time.Now()
		_, err := e.Do(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 30*ms, time.Since(began))
		assert.Equal(t, int32(2), most.Load())
		assert.Equal(t, int32(5), calls.Load())
	})
}

// No member is called after the call is decided.
func TestNoneIsCalledOnceDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		count := func(ctx context.Context, _ int) (float64, error) { calls.Add(1); return 1, sleep(ctx, 10*ms) }
		e := newMean(t, ensemble.Config{Concurrency: 1}, of(fails(10*ms), count, count)...)
		a, err := e.Ask(t.Context(), 0)
		require.ErrorIs(t, err, errModel)
		assert.Zero(t, calls.Load())
		assert.Equal(t, []ensemble.Status{ensemble.Failed, ensemble.NotCalled, ensemble.NotCalled}, statuses(a))
		assert.Equal(t, ensemble.ErrNotNeeded, a.Members[1].Err)
		assert.Zero(t, e.Stats().Members[1].Calls)
	})
}

// No member is called either when the caller's context has ended, nor, of those that wait for the processor, when the call has been decided meanwhile.
func TestNoneIsCalledInVain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	count := func(context.Context, int) (float64, error) { calls.Add(1); return 1, nil }
	e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Concurrency: 1},
		of(func(context.Context, int) (float64, error) { cancel(); return 1, nil }, count, count)...)
	a, err := e.Ask(ctx, 0)
	assert.Equal(t, context.Canceled, err)
	assert.Zero(t, calls.Load())
	assert.Equal(t, []ensemble.Status{ensemble.NotCalled, ensemble.NotCalled}, statuses(a)[1:])

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e = newMean(t, ensemble.Config{Policy: ensemble.First}, of(count, count, count, count, count)...)
	for range 100 {
		_, err := e.Do(t.Context(), 0)
		require.NoError(t, err)
	}
	assert.Less(t, calls.Load(), int32(200), "500 without looking")
}

// An answer that comes while a decided call waits for its losers is not in the call's answer.
func TestAnswersOfLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newMean(t, ensemble.Config{Policy: ensemble.Quorum, Quorum: 2}, of(after(5*ms, 1), after(10*ms, 1), deaf(15*ms, 70))...)
		began := time.Now()
		a, err := e.Ask(t.Context(), 0)
		require.NoError(t, err)
		assert.InDelta(t, 1, a.Value, 0)
		assert.Equal(t, ensemble.Cancelled, a.Members[2].Status)
		assert.Equal(t, 15*ms, time.Since(began))
	})
}

// A member that has timed out returns in the time of a later call, which has nothing to do with it, nor with the place that it has left.
func TestTimedOutMembersReturnLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := of(deaf(25*ms, 1e6), func(ctx context.Context, req int) (float64, error) { return float64(req), sleep(ctx, 3*ms) })
		m[0].Timeout = 10 * ms
		e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Concurrency: 1}, m...)
		for req := range 50 {
			began := time.Now()
			got, err := e.Do(t.Context(), req)
			require.NoError(t, err)
			assert.InDelta(t, float64(req), got, 0)
			assert.Equal(t, 13*ms, time.Since(began))
			assert.Positive(t, e.Stats().Stragglers)
		}
		time.Sleep(time.Second)
		s := e.Stats()
		assert.Zero(t, s.Stragglers)
		slow := s.Members[0]
		assert.Equal(t, [3]uint64{50, 50, 50}, [3]uint64{slow.Calls, slow.Failed, slow.TimedOut}, "what timed out has failed")
	})
}

// The largest duration is no bound, also beside members that have one, and after the ensemble has been there for a while.
func TestLargestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := of(after(30*ms, 1), after(time.Hour, 2))
		m[0].Timeout, m[1].Timeout = math.MaxInt64, 10*ms
		e := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, Deadline: math.MaxInt64, Grace: math.MaxInt64}, m...)
		for range 3 {
			a, err := e.Ask(t.Context(), 0)
			require.NoError(t, err)
			assert.Equal(t, []ensemble.Status{ensemble.Answered, ensemble.TimedOut}, statuses(a))
			time.Sleep(time.Hour)
		}
	})
}

// A nested ensemble's time-outs are not taken for the outer's.
func TestNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newMean(t, ensemble.Config{MemberTimeout: 30 * ms}, of(after(time.Hour, 1))...)
		outer := newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, MemberTimeout: 10 * ms}, of(inner.Do, after(0, 1))...)
		a, err := outer.Ask(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, ensemble.TimedOut, a.Members[0].Status)
		synctest.Wait()
		assert.Equal(t, uint64(1), inner.Stats().Cancelled)
		outer = newMean(t, ensemble.Config{Policy: ensemble.Partial, Quorum: 1, MemberTimeout: 50 * ms}, of(inner.Do, after(0, 1))...)
		a, err = outer.Ask(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, ensemble.Failed, a.Members[0].Status, "it is the inner's member that has timed out")
	})
}

// Many callers at once, with members that fail, hang and are cancelled.
func TestManyCallers(t *testing.T) {
	why := errors.New("why")
	do := func(ctx context.Context, req int) (float64, error) {
		switch req % 5 {
		case 0:
			return 0, errModel
		case 1:
			<-ctx.Done()
			return 0, context.Cause(ctx)
		case 2:
			runtime.Gosched()
		}
		return float64(req), nil
	}
	shift := func(by int) does {
		return func(ctx context.Context, req int) (float64, error) {
			x, err := do(ctx, req+by)
			return x - float64(by), err
		}
	}
	e := newMean(t, ensemble.Config{Policy: ensemble.Quorum, Quorum: 2}, of(shift(0), shift(1), shift(2), shift(3))...)
	done := make(chan struct{})
	for c := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 500 {
				ctx, cancel := context.WithCancelCause(t.Context())
				if i%10 == 0 {
					go cancel(why)
				}
				req := 1000*c + i
				got, err := e.Do(ctx, req)
				if err == nil {
					assert.InDelta(t, float64(req), got, 1e-6)
				} else {
					assert.Equal(t, why, err)
				}
				cancel(nil)
			}
		}()
	}
	for range 8 {
		<-done
	}
	st := e.Stats()
	assert.Equal(t, st.Calls, st.Answered+st.Partial+st.Failed+st.Cancelled)
	for _, m := range st.Members {
		assert.Equal(t, m.Calls, m.Answered+m.Failed+m.Cancelled)
	}
}
