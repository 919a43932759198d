package route_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

func TestCooldownAfterMaxFailuresWithinTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := errDown
		r := newRouter(t, route.Config{MaxFailures: 3, FailureWindow: 10 * time.Second}, fails("a", &err), says("b"))
		fail := func() route.State {
			_, _ = r.Do(t.Context(), "")
			return stats(r, "a").State
		}
		assert.Equal(t, route.Up, fail())
		time.Sleep(6 * time.Second)
		assert.Equal(t, route.Up, fail())
		time.Sleep(5 * time.Second) // the first is out of the window
		assert.Equal(t, route.Up, fail())
		time.Sleep(5 * time.Second) // 10 s since the second: just within
		assert.Equal(t, route.Cooling, fail())
		assert.Equal(t, uint64(1), stats(r, "a").Cooldowns)
		_, _ = r.Do(t.Context(), "")
		assert.Equal(t, uint64(4), stats(r, "a").Calls, "it is not asked while it cools down")
	})
}

func TestCooldownDoublesUpToItsCapAndBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := errDown
		var events []string
		r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: time.Second, MaxCooldown: 5 * time.Second, OnStateChange: func(e route.StateEvent) {
			events = append(events, fmt.Sprint(e.Member, " ", e.From, "→", e.To, " ", e.Wait, " ", e.Err))
		}}, fails("a", &err))
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			_, got := r.Do(t.Context(), "")
			require.ErrorIs(t, got, errDown)
			assert.Equal(t, want, stats(r, "a").Wait)
			time.Sleep(want - time.Millisecond)
			_, got = r.Do(t.Context(), "")
			var u *route.UnavailableError
			require.ErrorAs(t, got, &u)
			assert.Equal(t, time.Millisecond, u.RetryAfter())
			require.ErrorIs(t, got, route.ErrNoMember)
			time.Sleep(time.Millisecond)
		}
		err = nil
		_, got := r.Do(t.Context(), "")
		require.NoError(t, got)
		assert.Equal(t, route.Up, stats(r, "a").State)
		err = errDown
		_, _ = r.Do(t.Context(), "")
		assert.Equal(t, time.Second, stats(r, "a").Wait)
		assert.Equal(t, uint64(5), stats(r, "a").Probes)
		assert.Equal(t, uint64(5), r.Stats().Unavailable)
		assert.Equal(t, []string{"a up→cooling 1s down", "a cooling→probing 0s <nil>", "a probing→cooling 2s down"}, events[:3])
		assert.Equal(t, "a probing→up 0s <nil>", events[len(events)-2])
		checkAccounts(t, r)
	})
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct{ asks, want time.Duration }{
		{30 * time.Second, 30 * time.Second},
		{time.Second, 5 * time.Second}, // less than the cool-down
		{-time.Second, 0},              // nonsense: one failure of three
		{0, 0},
		{math.MaxInt64, time.Hour},
	} {
		t.Run(c.asks.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := fmt.Errorf("wrapped: %w", retryError(c.asks))
				r := newRouter(t, route.Config{}, fails("a", &err), says("b"))
				answer, got := r.Do(t.Context(), "")
				require.NoError(t, got)
				assert.Equal(t, "b", answer)
				assert.Equal(t, c.want, stats(r, "a").Wait)
				assert.Equal(t, c.want > 0, stats(r, "a").State == route.Cooling)
			})
		})
	}
	t.Run("through another router", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var err error = retryError(40 * time.Second)
			inner := newRouter(t, route.Config{}, fails("a", &err))
			outer := newRouter(t, route.Config{}, member{Name: "inner", Do: inner.Do}, says("b"))
			for range 2 {
				_, got := outer.Do(t.Context(), "")
				require.NoError(t, got)
			}
			assert.Equal(t, 40*time.Second, stats(outer, "inner").Wait)
			assert.Equal(t, uint64(1), stats(inner, "a").Calls)
		})
	})
	t.Run("of all that is allowed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var err error = retryError(math.MaxInt64)
			time.Sleep(time.Second)
			r := newRouter(t, route.Config{MaxRetryAfter: math.MaxInt64}, fails("a", &err))
			time.Sleep(time.Second)
			_, _ = r.Do(t.Context(), "")
			assert.Equal(t, route.Cooling, stats(r, "a").State)
			_, got := r.Do(t.Context(), "")
			require.ErrorIs(t, got, route.ErrNoMember, "no overflow")
		})
	})
}

// While a probe runs nobody else is let in; afterwards all are.
func TestProbeIsASingleRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := errDown
		release := make(chan struct{})
		r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: time.Second}, member{Name: "a", Do: func(context.Context, string) (string, error) {
			if err != nil {
				return "", err
			}
			<-release
			return "a", nil
		}})
		_, _ = r.Do(t.Context(), "")
		err = nil
		time.Sleep(time.Second)
		var group sync.WaitGroup
		refused, answered := 0, 0
		var mu sync.Mutex
		for range 10 {
			group.Go(func() {
				_, err := r.Do(t.Context(), "")
				mu.Lock()
				defer mu.Unlock()
				var u *route.UnavailableError
				if assert.ObjectsAreEqual(nil, err) {
					answered++
				} else if assert.ErrorAs(t, err, &u) {
					assert.Zero(t, u.Wait)
					refused++
				}
			})
		}
		synctest.Wait()
		assert.Equal(t, route.Probing, stats(r, "a").State)
		assert.Equal(t, 1, stats(r, "a").InFlight)
		close(release)
		group.Wait()
		assert.Equal(t, 9, refused)
		assert.Equal(t, 1, answered)
		assert.Equal(t, route.Up, stats(r, "a").State)
	})
}

// A probe that decides nothing leaves the probing to the next request.
func TestUndecidedProbe(t *testing.T) {
	for name, outcome := range map[string]error{"busy": errFull, "caller left": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := errDown
				ctx, cancel := context.WithCancel(t.Context())
				r := newRouter(t, route.Config{MaxFailures: 1, Classify: classify}, member{Name: "a", Do: func(context.Context, string) (string, error) {
					if err == context.Canceled { //nolint:errorlint // it is this test's own
						cancel()
					}
					return "a", err
				}})
				_, _ = r.Do(ctx, "")
				time.Sleep(route.DefaultCooldown)
				err = outcome
				_, got := r.Do(ctx, "")
				require.ErrorIs(t, got, outcome)
				assert.Equal(t, route.Cooling, stats(r, "a").State)
				assert.Zero(t, stats(r, "a").Wait)
				err = errDown
				_, got = r.Do(t.Context(), "")
				require.ErrorIs(t, got, errDown)
				assert.Equal(t, 2*route.DefaultCooldown, stats(r, "a").Wait)
				assert.Equal(t, uint64(2), stats(r, "a").Probes)
			})
		})
	}
}

// The request's own fault shows that the member is alive.
func TestRejectedProbeEndsTheCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := errDown
		r := newRouter(t, route.Config{MaxFailures: 1, Classify: classify}, fails("a", &err))
		_, _ = r.Do(t.Context(), "")
		time.Sleep(route.DefaultCooldown)
		err = errBad
		_, _ = r.Do(t.Context(), "")
		assert.Equal(t, route.Up, stats(r, "a").State)
	})
}

// What began before the member was put aside ends without effect: its failures do not prolong the cool-down, its success does not end it.
func TestLateOutcomesDoNotCount(t *testing.T) {
	for name, late := range map[string]error{"failure": errDown, "retry after": retryError(time.Hour), "success": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan error)
				r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: 10 * time.Second}, member{Name: "a", Do: func(_ context.Context, q string) (string, error) {
					if q == "late" {
						return "", <-release
					}
					return "", errDown
				}})
				go func() { _, _ = r.Do(t.Context(), "late") }()
				go func() { _, _ = r.Do(t.Context(), "late") }()
				synctest.Wait()
				_, _ = r.Do(t.Context(), "")
				time.Sleep(time.Second)
				release <- late
				synctest.Wait()
				assert.Equal(t, 9*time.Second, stats(r, "a").Wait)
				time.Sleep(9 * time.Second)
				_, _ = r.Do(t.Context(), "") // the probe fails
				release <- late
				synctest.Wait()
				assert.Equal(t, 20*time.Second, stats(r, "a").Wait)
				checkAccounts(t, r)
			})
		})
	}
}

func TestUseCooling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := errDown, error(retryError(time.Minute))
		r := newRouter(t, route.Config{MaxFailures: 1, Cooldown: 2 * time.Minute, UseCooling: true}, fails("a", &a), fails("b", &b))
		_, err := r.Do(t.Context(), "")
		require.ErrorIs(t, err, errDown)
		time.Sleep(time.Second)
		_, err = r.Do(t.Context(), "")
		require.ErrorIs(t, err, errDown)
		assert.Equal(t, uint64(2), stats(r, "a").Calls, "the first, of equal times")
		assert.Equal(t, 2*time.Minute-time.Second, stats(r, "a").Wait, "it is put aside no longer for it")
		assert.Equal(t, uint64(1), stats(r, "b").Calls, "one member, once")
		a = nil
		_, err = r.Do(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, route.Up, stats(r, "a").State)
		assert.Equal(t, route.Cooling, stats(r, "b").State)
		assert.Zero(t, r.Stats().Unavailable)
	})
}

// A member that is put aside for less long than the first recovers first.
func TestUseCoolingTakesTheOneThatRecoversFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := error(retryError(time.Hour)), errDown
		r := newRouter(t, route.Config{MaxFailures: 1, UseCooling: true}, fails("a", &a), fails("b", &b))
		_, _ = r.Do(t.Context(), "")
		_, _ = r.Do(t.Context(), "")
		assert.Equal(t, uint64(1), stats(r, "a").Calls)
		assert.Equal(t, uint64(2), stats(r, "b").Calls)
	})
}
