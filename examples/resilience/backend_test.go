package main

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

const testPhases = schedule(time.Second)

func TestSchedule(t *testing.T) {
	s := testPhases
	assert.Equal(t, 6*time.Second, s.total())
	for _, c := range []struct {
		at    time.Duration
		phase phase
		want  condition
	}{
		{-time.Second, healthy, condition{1, false}},
		{0, healthy, condition{1, false}},
		{999 * time.Millisecond, healthy, condition{1, false}},
		{time.Second, slow, condition{3, false}},
		{2 * time.Second, failing, condition{3, true}},
		{3 * time.Second, recovering, condition{3, false}},
		{3250 * time.Millisecond, recovering, condition{2, false}},
		{3500 * time.Millisecond, recovering, condition{1, false}},
		{5 * time.Second, recovering, condition{1, false}},
		{time.Hour, recovering, condition{1, false}},
	} {
		assert.Equal(t, c.phase, s.at(c.at), "%v", c.at)
		assert.Equal(t, c.want, s.condition(c.at), "%v", c.at)
	}
}

// testBackend is one whose condition does not change.
func testBackend(c condition) *backend {
	return newBackend(func() condition { return c }, newTrack(time.Now(), testPhases))
}

func TestBackendWorksInItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBackend(condition{slowdown: 1})
		start := time.Now()
		var mu sync.Mutex
		var took []time.Duration
		var wg sync.WaitGroup
		for range 3 * slots {
			wg.Go(func() {
				assert.Equal(t, http.StatusOK, b.serve(t.Context()))
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(start))
			})
		}
		synctest.Wait()
		assert.Equal(t, 3*slots, b.load.value())
		wg.Wait()
		assert.GreaterOrEqual(t, took[0], service)
		assert.Less(t, took[slots-1], 2*service) // slower, for those that wait, but not by much
		assert.GreaterOrEqual(t, took[slots], 2*service)
		assert.GreaterOrEqual(t, took[2*slots], 3*service)
		assert.Zero(t, b.load.value())
		assert.Zero(t, b.wasted.Load())
	})
}

func TestBackendIsSlowerWithABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBackend(condition{slowdown: 1})
		var wg sync.WaitGroup
		start := time.Now()
		for range backlog {
			wg.Go(func() { b.serve(t.Context()) })
		}
		synctest.Wait()
		assert.Equal(t, http.StatusServiceUnavailable, b.serve(t.Context()), "no room")
		assert.Equal(t, start, time.Now())
		wg.Wait()
		ideal := backlog * service / slots
		assert.Greater(t, time.Since(start), ideal*5/4)
		assert.Less(t, time.Since(start), ideal*2)
	})
}

func TestBackendFailsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.Equal(t, http.StatusInternalServerError, testBackend(condition{slowdown: 4, fails: true}).serve(t.Context()))
		assert.Equal(t, 4*service, time.Since(start))
	})
}

func TestBackendWorksForCallersThatHaveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBackend(condition{slowdown: 1})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		b.serve(ctx)
		assert.Equal(t, service, time.Since(start))
		assert.EqualValues(t, 1, b.wasted.Load())
	})
}

func TestBackendStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBackend(condition{slowdown: 1})
		start := time.Now()
		var wg sync.WaitGroup
		for range 2 * slots {
			wg.Go(func() { assert.Equal(t, http.StatusServiceUnavailable, b.serve(t.Context())) })
		}
		synctest.Wait()
		b.close()
		wg.Wait()
		assert.Equal(t, start, time.Now())
	})
}

func TestTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		track := newTrack(time.Now(), schedule(10*time.Second)) // a column is a second
		track.set(3)
		track.set(1)
		time.Sleep(2500 * time.Millisecond)
		assert.Equal(t, 5, track.add(4))
		track.set(0)
		assert.Equal(t, []int{3, 1, 5, 0}, first(4, track.peaks()))
		time.Sleep(2 * time.Second)
		track.set(7)
		assert.Equal(t, []int{3, 1, 5, 0, 7, 0}, first(6, track.peaks()))
		time.Sleep(time.Hour)
		peaks := track.peaks()
		assert.Equal(t, 7, peaks[columns-1])
	})
}

func first(n int, peaks [columns]int) []int { return peaks[:n] }
