package route_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

// What a Router that is a member refuses, for lack of time or capability, is no failure of it.
func TestRouterAsAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		picky := says("picky")
		picky.Accepts = func(string) bool { return false }
		hasty, narrow := newRouter(t, route.Config{MinTime: time.Hour}, says("a")), newRouter(t, route.Config{}, picky)
		outer := newRouter(t, route.Config{MaxFailures: 1}, member{Name: "hasty", Do: hasty.Do}, member{Name: "narrow", Do: narrow.Do}, says("last"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		answer, err := outer.Do(ctx, "")
		require.NoError(t, err)
		assert.Equal(t, "last", answer)
		for _, name := range []string{"hasty", "narrow"} {
			assert.Equal(t, uint64(1), stats(outer, name).Busy)
			assert.Equal(t, route.Up, stats(outer, name).State)
		}
	})
}

// rejection is an error of a member that has not begun to work, and says when to come again.
type rejection struct{ error }

func (rejection) Rejected() bool            { return true }
func (rejection) RetryAfter() time.Duration { return time.Hour }

// A member that turns a request away has not failed: it gets the next one again.
func TestRejectionsAreBusy(t *testing.T) {
	full := fmt.Errorf("wrapped: %w", rejection{errDown})
	r := newRouter(t, route.Config{MaxFailures: 1}, fails("full", &full), says("z"))
	for range 3 {
		answer, err := r.Do(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, "z", answer)
	}
	assert.Equal(t, uint64(3), stats(r, "full").Busy)
	assert.Equal(t, route.Up, stats(r, "full").State)

	// Of an inner router somebody has been asked, and failed, whatever another has said.
	both := newRouter(t, route.Config{}, fails("full", &full), fails("down", &errDown))
	r = newRouter(t, route.Config{MaxFailures: 1}, member{Name: "both", Do: both.Do}, says("z"))
	_, err := r.Do(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, uint64(1), stats(r, "both").Failed)
	assert.Equal(t, route.Cooling, stats(r, "both").State)
}

// A Mixture without room has not failed.
func TestMixtureAsAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := func(context.Context, string) ([]float64, error) { return []float64{1}, nil }
		slow := route.Expert[string, string]{Name: "e", Do: func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			return "e", nil
		}}
		heaviest := func(parts []route.Part[string]) (string, error) { return parts[0].Answer, nil }
		m, err := route.NewMixture(gate, []route.Expert[string, string]{slow}, heaviest, route.MixtureConfig{Concurrency: 1, CapacityFactor: 1})
		require.NoError(t, err)
		r := newRouter(t, route.Config{MaxFailures: 1}, member{Name: "mixture", Do: m.Do}, says("z"))
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { _, _ = r.Do(t.Context(), "") })
			synctest.Wait()
		}
		group.Wait()
		assert.Equal(t, route.Up, stats(r, "mixture").State)
		assert.Equal(t, uint64(2), stats(r, "mixture").Busy)
		assert.Equal(t, uint64(1), stats(r, "mixture").Answered)
	})
}

// A Router that is a member comes back when the first of its members does.
func TestRetryAfterOfARouterThatIsAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long, short, other := error(retryError(time.Hour)), error(retryError(time.Minute)), errDown
		for name, c := range map[string]struct {
			second *error
			wait   time.Duration
		}{"both ask": {&short, time.Minute}, "one does not": {&other, 0}} {
			inner := newRouter(t, route.Config{}, fails("a", &long), fails("b", c.second))
			outer := newRouter(t, route.Config{}, member{Name: "inner", Do: inner.Do}, says("z"))
			answer, err := outer.Do(t.Context(), "")
			require.NoError(t, err, name)
			assert.Equal(t, "z", answer, name)
			assert.Equal(t, c.wait, stats(outer, "inner").Wait, name)
		}
		assert.Zero(t, (&route.Error{}).RetryAfter())
	})
}
