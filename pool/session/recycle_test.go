package session_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

func TestMaxUses(t *testing.T) {
	var events []session.CloseEvent
	cfg := session.Config{MaxUses: 3, OnClose: func(e session.CloseEvent) { events = append(events, e) }}
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		var used []int
		for range 8 {
			used = append(used, answered(t, async(t.Context(), p, req{takes: time.Second})))
		}
		require.Equal(t, []int{0, 0, 0, 1, 1, 1, 2, 2}, used)
		require.EqualValues(t, 2, p.Stats().Closes.Uses)
		require.Equal(t, session.CloseEvent{Reason: session.ReasonUses, Uses: 3, Age: 2 * time.Second}, events[0])
	})
}

// With several requests at a time, the last use waits for the others before the session is closed.
func TestMaxUsesWithOthersRunning(t *testing.T) {
	bubble(t, session.Config{MaxUses: 2, PerSession: 4}, func(t *testing.T, p *pool, b *backend) {
		long := async(t.Context(), p, req{takes: time.Second})
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{})))
		third := async(t.Context(), p, req{})
		pending(t, long, third) // Max is 1: the next session has to wait for this one's end
		require.Equal(t, 0, answered(t, long))
		require.Equal(t, 1, answered(t, third))
	})
}

func TestMaxAge(t *testing.T) {
	bubble(t, session.Config{Min: 1, MaxAge: time.Minute}, func(t *testing.T, p *pool, b *backend) {
		time.Sleep(59 * time.Second)
		require.Equal(t, 0, answered(t, async(t.Context(), p, req{takes: 2 * time.Second})), "a request is not interrupted")
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
		time.Sleep(10*time.Minute - time.Second)
		require.EqualValues(t, 10, p.Stats().Closes.Age, "idle sessions are renewed before somebody needs them")
	})
}

// Sessions of the same age are not all renewed at once.
func TestRenewalIsSpread(t *testing.T) {
	bubble(t, session.Config{Min: 4, MaxOpening: 4, MaxAge: 100 * time.Second, MaxUses: 1000}, func(t *testing.T, p *pool, b *backend) {
		b.mu.Lock()
		b.openTakes = time.Second
		b.mu.Unlock()
		for range 102 {
			time.Sleep(time.Second)
			require.GreaterOrEqual(t, p.Stats().Sessions, 3)
		}
		require.Len(t, b.sessions(), 8)
	})
}

func TestBadSessionIsReplaced(t *testing.T) {
	var events []session.CloseEvent
	cfg := session.Config{OnClose: func(e session.CloseEvent) { events = append(events, e) }}
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		own := session.Bad(errModel)
		for _, err := range []error{own, fmt.Errorf("wrapped: %w", own), errGone} {
			require.Equal(t, len(events), answered(t, async(t.Context(), p, req{})))
			require.Equal(t, err, (<-async(t.Context(), p, req{err: err})).err, "fn's error is untouched")
			synctest.Wait()
			require.Equal(t, session.ReasonBad, events[len(events)-1].Reason)
			require.Equal(t, err, events[len(events)-1].Err)
		}
		// An error of the request is not one of the session.
		require.Equal(t, errModel, (<-async(t.Context(), p, req{err: errModel})).err)
		require.Equal(t, 3, answered(t, async(t.Context(), p, req{})))
		require.EqualValues(t, 3, p.Stats().Closes.Bad)
		require.EqualValues(t, 3, p.Stats().Closes.Sick())
	}, session.WithBroken(func(err error) bool { return errors.Is(err, errGone) }))
}

func TestBad(t *testing.T) {
	require.NoError(t, session.Bad(nil))
	err := session.Bad(errModel)
	require.ErrorIs(t, err, errModel)
	require.Equal(t, errModel.Error(), err.Error())
}

// A sick session answers those that are in it, takes nobody new, and its place is taken at once if there is one to spare.
func TestQuarantine(t *testing.T) {
	bubble(t, session.Config{Max: 2, PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
		long := async(t.Context(), p, req{takes: time.Second})
		require.Error(t, (<-async(t.Context(), p, req{err: session.Bad(errModel)})).err)
		synctest.Wait()
		s := p.Stats()
		require.Equal(t, [2]int{1, 1}, [2]int{s.Sessions, s.Leaving})
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
		require.False(t, b.isClosed(0))
		require.Equal(t, 0, answered(t, long))
		synctest.Wait()
		require.True(t, b.isClosed(0))
	})
}

// The panic is the caller's, the session is given up.
func TestPanicAndGoexitInFn(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		answered(t, async(t.Context(), p, req{}))
		require.PanicsWithValue(t, errModel, func() {
			_, _ = p.Do(t.Context(), req{do: func(context.Context, *sess) { panic(errModel) }})
		})
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
		gone := async(t.Context(), p, req{do: func(context.Context, *sess) { runtime.Goexit() }})
		require.ErrorContains(t, (<-gone).err, "did not return")
		require.Equal(t, 2, answered(t, async(t.Context(), p, req{})))
		s := p.Stats()
		require.EqualValues(t, 2, s.Closes.Panic)
		require.EqualValues(t, 2, s.Failed)
	})
}

func TestPanicInBroken(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		require.PanicsWithValue(t, errGone, func() { _, _ = p.Do(t.Context(), req{err: errModel}) })
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
	}, session.WithBroken(func(error) bool { panic(errGone) }))
}

// Sessions that open but never work are not opened over and over.
func TestSessionsThatNeverWorkAreBackedOff(t *testing.T) {
	cfg := session.Config{Backoff: 100 * ms, MaxBackoff: time.Second}
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		sick := req{takes: ms, err: session.Bad(errModel)}
		first, second, third := async(t.Context(), p, sick), async(t.Context(), p, sick), async(t.Context(), p, sick)
		require.ErrorIs(t, (<-first).err, errModel)
		require.ErrorIs(t, (<-second).err, errModel)
		err := (<-third).err // one bad request may make one session sick, but two in a row are the sessions' fault
		require.ErrorIs(t, err, session.ErrOpen)
		require.ErrorIs(t, err, errModel)
		require.Len(t, b.attempts(), 2)
		for range 10_000 {
			_, err := p.Do(t.Context(), sick)
			require.Error(t, err)
			time.Sleep(ms)
		}
		require.Less(t, len(b.attempts()), 20)
		time.Sleep(time.Second)
		answered(t, async(t.Context(), p, req{}))
		require.Error(t, (<-async(t.Context(), p, sick)).err)
		answered(t, async(t.Context(), p, req{})) // a session that has worked is replaced at once
	})
}

func TestCheck(t *testing.T) {
	var mu sync.Mutex
	var checked []int
	sick := -1
	seen := func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(checked))
	}
	cfg := session.Config{Min: 2, CheckEvery: 10 * time.Second}
	bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
		time.Sleep(10*time.Second - 1)
		require.Empty(t, seen())
		time.Sleep(500 * ms)
		require.Equal(t, []int{0, 1}, seen())
		time.Sleep(25 * time.Second)
		require.Len(t, seen(), 6)
		require.EqualValues(t, 6, p.Stats().Checks)

		mu.Lock()
		sick = 1
		mu.Unlock()
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1, p.Stats().Closes.Check)
		require.Equal(t, 2, p.Stats().Sessions, "it is replaced")
		require.Len(t, b.sessions(), 3)
	}, session.WithCheck(func(_ context.Context, s *sess) error {
		mu.Lock()
		defer mu.Unlock()
		checked = append(checked, s.id)
		if s.id == sick {
			return errModel
		}
		return nil
	}))
}

// A session that is always busy is checked nevertheless, between two requests.
func TestCheckOfABusySession(t *testing.T) {
	for _, lock := range []bool{false, true} {
		bubble(t, session.Config{CheckEvery: 10 * time.Second, LockThread: lock}, func(t *testing.T, p *pool, b *backend) {
			var outs []<-chan outcome
			for range 49 {
				outs = append(outs, async(t.Context(), p, req{takes: time.Second}))
			}
			for _, out := range outs {
				answered(t, out)
			}
			require.EqualValues(t, 4, p.Stats().Checks)
			require.Equal(t, 53*time.Second, time.Since(b.start), "a check has the session for itself")
			time.Sleep(time.Minute)
			require.GreaterOrEqual(t, p.Stats().Checks, uint64(9), "and goes on when the session is idle")
		}, session.WithCheck(func(context.Context, *sess) error { time.Sleep(time.Second); return nil }))
	}
}

func TestCheckPanicsAndGoexits(t *testing.T) {
	for _, lock := range []bool{false, true} {
		for name, fault := range map[string]func(){"panic": func() { panic(errModel) }, "goexit": runtime.Goexit} {
			t.Run(name, func(t *testing.T) {
				var events []session.CloseEvent
				sick := true
				cfg := session.Config{Min: 1, CheckEvery: time.Second, LockThread: lock, OnClose: func(e session.CloseEvent) { events = append(events, e) }}
				bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
					time.Sleep(1500 * ms)
					synctest.Wait()
					require.Equal(t, session.ReasonCheck, events[0].Reason)
					require.Error(t, events[0].Err)
					require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
				}, session.WithCheck(func(context.Context, *sess) error {
					if sick {
						sick = false
						fault()
					}
					return nil
				}))
			})
		}
	}
}

func TestClosePanicsAndGoexits(t *testing.T) {
	for _, lock := range []bool{false, true} {
		for name, fault := range map[string]func(){"panic": func() { panic(errModel) }, "goexit": runtime.Goexit} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBackend()
					var events []session.CloseEvent
					end := func(s *sess) { b.close(s); fault() }
					cfg := session.Config{MaxUses: 1, LockThread: lock, OnClose: func(e session.CloseEvent) { events = append(events, e) }}
					p, err := session.New(b.open, end, b.fn, cfg)
					require.NoError(t, err)
					for i := range 3 {
						require.Equal(t, i, answered(t, async(t.Context(), p, req{})))
					}
					require.NoError(t, p.Close())
					checkBooks(t, p, b)
					require.EqualValues(t, 4, p.Stats().ClosePanics)
					require.Len(t, events, 4)
					require.Error(t, events[0].CloseErr)
				})
			})
		}
	}
}
