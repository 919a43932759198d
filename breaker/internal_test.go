package breaker

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Successes that end together with the first one after a quiet time are of now, and not of the step before, which has left the window.
// The others cannot be made to come just between two steps of the first from outside, so the test holds mu.
func TestTimeWindowKeepsSuccessesAfterQuiet(t *testing.T) {
	errDown := errors.New("back-end: down")
	b, err := New(func(_ context.Context, err error) (int, error) { return 0, err }, Config{WindowTime: 10 * time.Second})
	require.NoError(t, err)
	do := func(err error) {
		if _, got := b.Do(t.Context(), err); !errors.Is(got, err) {
			t.Errorf("Do returned %v", got)
		}
	}
	do(nil)
	b.c.base = b.c.base.Add(-time.Hour) // an hour passes
	var calls, begun sync.WaitGroup
	b.c.mu.Lock()
	for range 80 {
		begun.Add(1)
		calls.Go(func() {
			begun.Done()
			do(nil)
		})
	}
	begun.Wait()
	for range 10000 { // until those that count themselves without mu have done so
		if b.c.closed.Load().calls.sum() == 81 {
			break
		}
		runtime.Gosched()
	}
	b.c.mu.Unlock()
	calls.Wait()
	require.Equal(t, 80, b.Stats().WindowCalls)
	for range 20 {
		do(errDown)
	}
	require.Equal(t, StateClosed, b.State(), "20 of 100 are less than half")
}

// fickle is a window that stops being calm while a call is being counted.
type fickle struct {
	countWindow
	asked, observed int
}

func (w *fickle) calm(time.Duration) bool {
	w.asked++
	return w.asked != 2
}

func (w *fickle) observe(calls *counter, failed, slow bool, now time.Duration) tally {
	w.observed++
	return w.countWindow.observe(calls, failed, slow, now)
}

// A success that found the window calm, but no more once it was counted, shows itself: who made it so may not have seen it. It
// is counted once.
func TestSuccessLooksAgain(t *testing.T) {
	b, err := New(func(context.Context, int) (int, error) { return 0, nil }, Config{})
	require.NoError(t, err)
	w := &fickle{countWindow: countWindow{size: 10, minCalls: 5}}
	e := &era{calls: newCounter(), window: w}
	b.c.closed.Store(e)
	_, err = b.Do(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, w.observed)
	require.EqualValues(t, 1, b.Stats().Calls)
}

// A call or a method that has found its key's breaker just before Remove goes on with it.
func TestKeyedRemoveComesBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("back-end: down")
		g, err := NewKeyed(func(key int) int { return key }, func(context.Context, int) (int, error) { return 0, errDown }, Config{MinCalls: 1})
		require.NoError(t, err)
		for _, open := range []bool{false, true} {
			m, err := g.member(1)
			require.NoError(t, err)
			if open {
				m.c.force(StateForcedOpen, ReasonForced)
			}
			g.Remove(1)
			m.c.force(StateForcedOpen, ReasonForced)
			m.c.force(StateClosed, ReasonReset)
			_, err = do(t.Context(), m.c, g.next, nil, 1)
			require.Equal(t, errDown, err)
			permit, err := m.c.allow(t.Context())
			require.NoError(t, err)
			permit.Done(nil)
			m.unpin()
			require.Equal(t, StateClosed, m.c.current())
			require.EqualValues(t, 2, m.c.snapshot().Late)
			require.Zero(t, g.Stats().Open)
		}
	})
}
