package ensemble_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble"
)

// The counters add up at every moment, however many goroutines call, and none is lost.
func TestStatsAddUp(t *testing.T) {
	const callers, calls = 16, 100
	odd := func(_ context.Context, x float64) (float64, error) {
		if int(x)%2 == 1 {
			return 0, errors.New("odd")
		}
		return x, nil
	}
	even := func(_ context.Context, x float64) (float64, error) { return x, nil }
	e, err := ensemble.New([]ensemble.Member[float64, float64]{{Name: "even", Do: even}, {Name: "odd", Do: odd}},
		ensemble.Mean[float64](), ensemble.Config{Policy: ensemble.Partial, Quorum: 1})
	require.NoError(t, err)
	check := func() ensemble.Stats {
		s := e.Stats()
		assert.Equal(t, s.Calls, s.Answered+s.Partial+s.Failed+s.Cancelled)
		for _, m := range s.Members {
			assert.Equal(t, s.Calls, m.Calls)
			assert.Equal(t, m.Calls, m.Answered+m.Failed+m.Cancelled)
		}
		return s
	}
	var over atomic.Bool
	var watcher, wg sync.WaitGroup
	watcher.Go(func() {
		for !over.Load() {
			check()
		}
	})
	for range callers {
		wg.Go(func() {
			for i := range calls {
				_, err := e.Do(t.Context(), float64(i))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	over.Store(true)
	watcher.Wait()
	s := check()
	assert.EqualValues(t, callers*calls, s.Calls)
	assert.EqualValues(t, callers*calls/2, s.Partial)
	assert.EqualValues(t, callers*calls/2, s.Members[1].Failed)
	assert.Equal(t, "odd", s.Members[1].Name)
	assert.Zero(t, s.Stragglers)
}
