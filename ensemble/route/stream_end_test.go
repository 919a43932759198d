package route_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

// A panic of the member counts against it, one of the consumer does not; both go on.
func TestStreamPanics(t *testing.T) {
	stopped := 0
	for name, c := range map[string]struct {
		steps    []any
		consumer func()
		failed   uint64
	}{
		"member, before": {[]any{func() { panic("boom") }}, func() {}, 1},
		"member, after":  {[]any{"a", func() { panic("boom") }}, func() {}, 1},
		"member, goexit": {[]any{"a", runtime.Goexit}, func() {}, 1},
		"consumer":       {[]any{"a"}, func() { panic("boom") }, 0},
		"consumer later": {[]any{"a"}, runtime.Goexit, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreamer(t, route.Config{Timeout: time.Hour}, script("a", &stopped, c.steps...))
			before, through := stopped, false
			var group sync.WaitGroup
			group.Go(func() {
				defer func() { _ = recover() }()
				for _, err := range s.Stream(t.Context(), "") {
					assert.NoError(t, err)
					c.consumer()
				}
				through = true
			})
			group.Wait()
			assert.False(t, through)
			assert.Equal(t, before+1, stopped)
			assert.Equal(t, c.failed, stats(s, "a").Failed)
			checkAccounts(t, s)
		})
	}
}

// A member that panics when its consumer has left, here by going on all the same, has failed.
func TestStreamMemberPanicsAfterTheConsumerHasLeft(t *testing.T) {
	s := newStreamer(t, route.Config{}, source{Name: "a", Do: func(context.Context, string) (chunks, error) {
		return func(yield func(string, error) bool) {
			yield("1", nil)
			yield("2", nil)
		}, nil
	}})
	assert.Panics(t, func() {
		for _, err := range s.Stream(t.Context(), "") {
			assert.NoError(t, err)
			break
		}
	})
	assert.Equal(t, uint64(1), stats(s, "a").Failed)
	checkAccounts(t, s)
}

// A stream that began before its member was put aside does not end the cool-down, also if its first chunk comes during it.
func TestStreamThatBeganBeforeTheCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := script("a", new(int), time.Second, "1", time.Second)
		long := slow.Do
		slow.Do = func(ctx context.Context, req string) (chunks, error) {
			if req == "bad" {
				return nil, retryError(time.Hour)
			}
			return long(ctx, req)
		}
		s := newStreamer(t, route.Config{}, slow)
		var group sync.WaitGroup
		group.Go(func() {
			all, errs := collect(s.Stream(t.Context(), "good"))
			assert.Equal(t, []string{"1"}, all)
			assert.Empty(t, errs)
		})
		synctest.Wait()
		_, errs := collect(s.Stream(t.Context(), "bad"))
		require.Len(t, errs, 1)
		group.Wait()
		assert.Equal(t, route.Cooling, stats(s, "a").State)
		assert.Equal(t, time.Hour-2*time.Second, stats(s, "a").Wait)
		checkAccounts(t, s)
	})
}

// After its first chunk the attempt of a probe is like any other: when it fails then, that counts.
func TestStreamProbeThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := 0
		s := newStreamer(t, route.Config{MaxFailures: 1}, script("a", &stopped, "1", errDown))
		for range 2 {
			_, errs := collect(s.Stream(t.Context(), ""))
			require.Len(t, errs, 1)
			assert.Equal(t, route.Cooling, stats(s, "a").State)
			assert.Equal(t, route.DefaultCooldown, stats(s, "a").Wait, "the first chunk was a success, so it does not double")
			time.Sleep(route.DefaultCooldown)
		}
		assert.Equal(t, uint64(1), stats(s, "a").Probes)
		checkAccounts(t, s)
	})
}

// A stream that ends silently because its caller has gone is not an empty answer.
func TestStreamEndsSilentlyWithItsContext(t *testing.T) {
	begun := make(chan struct{})
	silent := source{Name: "a", Do: func(ctx context.Context, _ string) (chunks, error) {
		return func(func(string, error) bool) {
			close(begun)
			<-ctx.Done()
		}, nil
	}}
	s := newStreamer(t, route.Config{}, silent)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-begun
		cancel(errBad)
	}()
	_, errs := collect(s.Stream(ctx, ""))
	assert.Equal(t, []error{errBad}, errs)
	assert.Equal(t, uint64(1), stats(s, "a").Cancelled)

	// Nor is one that has begun complete.
	ctx, cancel = context.WithCancelCause(t.Context())
	part := source{Name: "a", Do: func(context.Context, string) (chunks, error) {
		return func(yield func(string, error) bool) {
			if yield("1", nil) {
				cancel(errBad)
			}
		}, nil
	}}
	s = newStreamer(t, route.Config{}, part)
	all, errs := collect(s.Stream(ctx, ""))
	assert.Equal(t, []string{"1"}, all)
	assert.Equal(t, []error{errBad}, errs)
	assert.Equal(t, uint64(1), stats(s, "a").Cancelled)
	for _, err := range s.Stream(t.Context(), "") {
		assert.NoError(t, err)
		break // nothing is yielded to a loop that was left
	}
	checkAccounts(t, s)
}
