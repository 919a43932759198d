package batching_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// With several slots requests wait for company, but no longer than a run's fixed cost.
func TestDeadlineDefers(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms / 10}
	cfg := batching.Config{MaxSize: 8, Concurrency: 4, Policy: batching.Deadline(200 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		start := time.Now()
		async(t.Context(), b.Do, 0)
		require.Equal(t, 1, b.Stats().InFlight, "nothing runs: nothing to wait for")
		one := async(t.Context(), b.Do, 1)
		time.Sleep(4 * ms)
		two := async(t.Context(), b.Do, 2)
		require.Equal(t, 1, b.Stats().InFlight)
		at := answered10(t, one, 1)
		require.Equal(t, at, answered10(t, two, 2))
		require.Equal(t, [][]int{{0}, {1, 2}}, m.seen())
		// 1 has waited 4 + 3, 2 has waited 3: together a run's fixed cost.
		require.InDelta(t, 7*ms+10*ms+ms/5, at.Sub(start), float64(ms))
	})
}

func TestDeadlineDefersWithinBounds(t *testing.T) {
	for name, c := range map[string]struct {
		maxWait, timeout, most time.Duration
	}{
		"fixed cost": {0, time.Second, 10 * ms},
		"MaxWait":    {2 * ms, time.Second, 2 * ms},
		"deadline":   {0, 15 * ms, 5 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			m := &linear{fixed: 10 * ms, perUnit: ms / 10}
			cfg := batching.Config{MaxSize: 8, Concurrency: 4, MaxWait: c.maxWait, Policy: batching.Deadline(200 * ms)}
			deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
				m.fixed = 100 * ms
				async(t.Context(), b.Do, 0) // runs all the time
				m.fixed = 10 * ms
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				start := time.Now()
				at := answered10(t, async(ctx, b.Do, 1), 1)
				waited := at.Sub(start) - 10*ms - ms/10
				require.InDelta(t, c.most, waited, float64(ms), waited)
			})
		})
	}
}

// When the batch that runs is over, what waits for company goes at once.
func TestDeadlineDefersOnlyWhileABatchRuns(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms / 10}
	cfg := batching.Config{MaxSize: 8, Concurrency: 2, Policy: batching.Deadline(200 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		async(t.Context(), b.Do, 0)
		time.Sleep(8 * ms)
		start := time.Now()
		at := answered10(t, async(t.Context(), b.Do, 1), 1)
		require.Equal(t, 2*ms+ms/10+10*ms+ms/10, at.Sub(start))
	})
}

func answered10(t *testing.T, out <-chan outcome, req int) time.Time {
	t.Helper()
	o := <-out
	require.NoError(t, o.err)
	require.Equal(t, req, o.resp)
	return o.at
}
