package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
	"github.com/scalable-ai/patterns/examples/internal/mnist/mnisttest"
	"github.com/scalable-ai/patterns/examples/internal/nn"
	"github.com/scalable-ai/patterns/pool/session"
)

func firstPixels(p page) []int {
	digits := make([]int, len(p.images))
	for i, image := range p.images {
		digits[i] = int(image[0])
	}
	return digits
}

func TestReadAsksForEachPageOnce(t *testing.T) {
	var mu sync.Mutex
	writers := map[int]int{}
	sick := true
	r := &result{}
	err := r.read(t.Context(), options{pages: 50, page: 3, callers: 8, writers: 5}, func(_ context.Context, p page) ([]int, error) {
		mu.Lock()
		defer mu.Unlock()
		if sick {
			sick = false
			return nil, session.Bad(errSick)
		}
		writers[p.writer]++
		digits := firstPixels(p)
		if p.writer == 0 {
			digits[0] = -1 // wrong
		}
		return digits, nil
	}, mnisttest.FirstPixels(20))
	require.NoError(t, err)
	assert.Equal(t, map[int]int{0: 10, 1: 10, 2: 10, 3: 10, 4: 10}, writers)
	assert.Equal(t, [4]int{50, 150, 140, 1}, [4]int{len(r.latencies), r.digits, r.correct, r.repeated})
}

func TestReadStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	n := 0
	r := &result{}
	err := r.read(t.Context(), options{pages: 50, page: 1, callers: 1, writers: 1}, func(_ context.Context, p page) ([]int, error) {
		if n++; n == 11 {
			return nil, broken
		}
		return firstPixels(p), nil
	}, mnisttest.FirstPixels(20))
	assert.ErrorIs(t, err, broken)
	assert.Len(t, r.latencies, 10)
	assert.Equal(t, 10, r.correct)
}

// A round with time to look at: one session fails, and another is in its place when it has been opened.
func TestRound(t *testing.T) {
	network, err := nn.New(1, mnist.Pixels, mnist.Classes)
	require.NoError(t, err)
	o := options{pages: 40, page: 2, callers: 4, writers: 8, open: time.Second, device: 100 * time.Millisecond, sick: 9}
	for size, want := range map[int]time.Duration{1: 5 * time.Second, 2: 2500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			r := &result{sessions: size}
			require.NoError(t, r.round(t.Context(), o, network, mnisttest.FirstPixels(20)))
			assert.Equal(t, time.Duration(size)*time.Second, r.opening, "one after the other")
			assert.Equal(t, time.Second, r.recovery)
			assert.Equal(t, [3]int{1, 1, 40}, [3]int{r.repeated, r.recovered, len(r.latencies)})
			assert.InDelta(t, want, r.elapsed, 700e6)
			assert.EqualValues(t, size+1, r.stats.Opened)
			assert.InDelta(t, 40/r.elapsed.Seconds(), r.throughput(), 1e-9)
		})
	}
}

func TestReport(t *testing.T) {
	some := &result{
		sessions: 1, latencies: []time.Duration{3e6, 1e6, 2e6}, digits: 6, correct: 3, repeated: 1, elapsed: time.Second,
		recovery: 3 * time.Second, recovered: 2, stats: session.Stats{AffinityHits: 3, AffinityMisses: 1, Opened: 2, Closes: session.Closes{Bad: 1}},
	}
	none := &result{sessions: 2}
	got := report([]*result{some, none})
	assert.Equal(t, `sessions                             1   2
pages read                           3   -
accuracy                       50.00 %   -
pages per second                     3   -
latency, median                2.00 ms   -
latency, 99th percentile       3.00 ms   -
latency, worst                 3.00 ms   -
affinity hits                  75.00 %   -
sessions opened                      2   -
  given up as sick                   1   -
calls that met a sick one            1   -
time to replace it, mean    1500.00 ms   -
`, strings.TrimSuffix(got, "\n"))
	assert.Contains(t, report([]*result{some, {sessions: 2, latencies: some.latencies, elapsed: time.Second / 2}}),
		"With 2 sessions 2.00 times as many pages are read per second as with 1.")
	assert.Equal(t, "-", percent(0, 0))
}
