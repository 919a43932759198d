package route_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

type chunks = iter.Seq2[string, error]
type source = route.Member[string, chunks]

// script is a member whose stream yields the steps: a string is a chunk, an error is an error, a duration a wait, a func is called. It ends when its context does,
// with the context's error. stopped counts the streams that have ended.
func script(name string, stopped *int, steps ...any) source {
	return source{Name: name, Do: func(ctx context.Context, _ string) (chunks, error) {
		return func(yield func(string, error) bool) {
			defer func() { *stopped++ }()
			for _, step := range steps {
				switch s := step.(type) {
				case string:
					if !yield(s, nil) {
						return
					}
				case error:
					if !yield("", s) {
						return
					}
				case func():
					s()
				case time.Duration:
					select {
					case <-time.After(s):
					case <-ctx.Done():
						yield("", ctx.Err())
						return
					}
				}
			}
		}, nil
	}}
}

func newStreamer(t testing.TB, cfg route.Config, members ...source) *route.Streamer[string, string] {
	t.Helper()
	s, err := route.NewStream(route.Table[string, chunks]{Members: members}, cfg)
	require.NoError(t, err)
	return s
}

// collect returns the chunks and the errors.
func collect(seq chunks) (all []string, errs []error) {
	for chunk, err := range seq {
		if err != nil {
			errs = append(errs, err)
		} else {
			all = append(all, chunk)
		}
	}
	return all, errs
}

func TestStreamFallsBackBeforeTheFirstChunk(t *testing.T) {
	stopped := 0
	refuses := source{Name: "refuses", Do: func(context.Context, string) (chunks, error) { return nil, errDown }}
	null := source{Name: "nil", Do: func(context.Context, string) (chunks, error) { return nil, nil }}
	s := newStreamer(t, route.Config{MaxFailures: 1}, refuses, null, script("breaks", &stopped, errDown, "never"), script("ok", &stopped, "a", "b"))
	all, errs := collect(s.Stream(t.Context(), ""))
	assert.Equal(t, []string{"a", "b"}, all)
	assert.Empty(t, errs)
	assert.Equal(t, 2, stopped)
	for _, name := range []string{"refuses", "nil", "breaks"} {
		assert.Equal(t, route.Cooling, stats(s, name).State, name)
	}
	assert.Equal(t, uint64(1), stats(s, "ok").Answered)
	assert.Equal(t, uint64(1), s.Stats().Answered)
	checkAccounts(t, s)
}

func TestStreamErrorAfterTheFirstChunkIsPassedOn(t *testing.T) {
	stopped := 0
	s := newStreamer(t, route.Config{MaxFailures: 1}, script("breaks", &stopped, "a", errDown, "b", errBad), script("ok", &stopped, "x"))
	all, errs := collect(s.Stream(t.Context(), ""))
	assert.Equal(t, []string{"a", "b"}, all)
	assert.Equal(t, []error{errDown, errBad}, errs, "as they are")
	assert.Equal(t, route.Cooling, stats(s, "breaks").State, "it counts as a failure")
	assert.Equal(t, uint64(1), stats(s, "breaks").Failed)
	assert.Zero(t, stats(s, "ok").Calls)
	assert.Zero(t, s.Stats().Answered)
	checkAccounts(t, s)

	all, errs = collect(s.Stream(t.Context(), ""))
	assert.Equal(t, []string{"x"}, all)
	assert.Empty(t, errs)
}

func TestStreamYieldsOneErrorWhenAllFail(t *testing.T) {
	stopped := 0
	s := newStreamer(t, route.Config{Classify: classify}, script("a", &stopped, errDown), script("b", &stopped, errFull))
	all, errs := collect(s.Stream(t.Context(), ""))
	assert.Empty(t, all)
	require.Len(t, errs, 1)
	assert.Equal(t, `route: 2 failed: "a": down; "b": full`, errs[0].Error())

	s = newStreamer(t, route.Config{Classify: classify}, script("a", &stopped, errBad), script("b", &stopped, "x"))
	_, errs = collect(s.Stream(t.Context(), ""))
	require.Len(t, errs, 1)
	var m *route.MemberError
	require.ErrorAs(t, errs[0], &m)
	assert.Equal(t, "a", m.Member)
	assert.Zero(t, stats(s, "b").Calls)
}

func TestStreamWithoutChunksIsAnAnswer(t *testing.T) {
	stopped := 0
	s := newStreamer(t, route.Config{}, script("a", &stopped), script("b", &stopped, "x"))
	all, errs := collect(s.Stream(t.Context(), ""))
	assert.Empty(t, all)
	assert.Empty(t, errs)
	assert.Equal(t, uint64(1), stats(s, "a").Answered)
	assert.Equal(t, uint64(1), s.Stats().Answered)
}

// Leaving the loop stops the member, and only then is its place given back.
func TestStreamLeftEarly(t *testing.T) {
	stopped := 0
	var memberCtx context.Context
	a := script("a", &stopped, "1", "2", "3")
	open := a.Do
	a.Do = func(ctx context.Context, q string) (chunks, error) { memberCtx = ctx; return open(ctx, q) }
	s := newStreamer(t, route.Config{}, a)
	for chunk, err := range s.Stream(t.Context(), "") {
		require.NoError(t, err)
		assert.Equal(t, 1, stats(s, "a").InFlight)
		assert.Zero(t, stopped)
		if chunk == "2" {
			break
		}
	}
	assert.Equal(t, 1, stopped)
	require.Error(t, memberCtx.Err())
	assert.Equal(t, uint64(1), stats(s, "a").Answered)
	checkAccounts(t, s)
}

func TestStreamIsLazyAndCanBeRepeated(t *testing.T) {
	stopped := 0
	s := newStreamer(t, route.Config{}, script("a", &stopped, "1"))
	seq, err := s.Do(t.Context(), "")
	require.NoError(t, err)
	assert.Zero(t, s.Stats().Calls)
	for range 2 {
		all, _ := collect(seq)
		assert.Equal(t, []string{"1"}, all)
	}
	assert.Equal(t, uint64(2), stats(s, "a").Calls)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBad)
	_, err = s.Do(ctx, "")
	require.Equal(t, errBad, err)
	_, errs := collect(s.Stream(ctx, ""))
	assert.Equal(t, []error{errBad}, errs)
}

// The timeout is for the first chunk; those after it may take their time.
func TestStreamTimeToFirstChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := 0
		quick := script("quick", &stopped, time.Second, "a", time.Hour, "b")
		silent := source{Name: "silent", Timeout: 5 * time.Second, Do: func(ctx context.Context, _ string) (chunks, error) {
			return func(func(string, error) bool) { <-ctx.Done() }, nil // ends without a word
		}}
		opens := source{Name: "opens", Do: func(ctx context.Context, _ string) (chunks, error) { <-ctx.Done(); return nil, ctx.Err() }}
		deaf := script("deaf", &stopped, func() { time.Sleep(time.Minute) }, "too late")
		s := newStreamer(t, route.Config{Timeout: 2 * time.Second, MaxFailures: 1}, script("slow", &stopped, 3*time.Second, "x"), silent, opens, deaf, quick)
		start := time.Now()
		var first time.Duration
		var all []string
		for chunk, err := range s.Stream(t.Context(), "") {
			require.NoError(t, err)
			if all = append(all, chunk); len(all) == 1 {
				first = time.Since(start)
			}
		}
		assert.Equal(t, []string{"a", "b"}, all)
		assert.Equal(t, (2+5+2+60+1)*time.Second, first)
		for _, name := range []string{"slow", "silent", "opens", "deaf"} {
			assert.Equal(t, uint64(1), stats(s, name).Failed, name)
			assert.Equal(t, uint64(1), stats(s, name).Cooldowns, name)
		}
		checkAccounts(t, s)
		_, errs := collect(newStreamer(t, route.Config{}, silent, source{Name: "b", Timeout: 1, Do: opens.Do}).Stream(t.Context(), ""))
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], route.ErrTimeout)
	})
}

// The estimate is the time to the first chunk; a probe is decided by it, the place is held until the end.
func TestStreamFirstChunkDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("x")
		stopped := 0
		ok := script("a", &stopped, time.Second, "1", time.Hour, "2")
		a := source{Name: "a", Do: func(ctx context.Context, q string) (chunks, error) {
			if down != nil {
				return nil, down
			}
			return ok.Do(ctx, q)
		}}
		s := newStreamer(t, route.Config{MaxFailures: 1, Cooldown: time.Second}, a)
		_, errs := collect(s.Stream(t.Context(), ""))
		require.Len(t, errs, 1)
		down = nil
		time.Sleep(time.Second)
		var group sync.WaitGroup
		group.Go(func() { _, errs := collect(s.Stream(t.Context(), "")); assert.Empty(t, errs) })
		time.Sleep(500 * time.Millisecond)
		assert.Equal(t, route.Probing, stats(s, "a").State)
		time.Sleep(time.Second)
		m := stats(s, "a")
		assert.Equal(t, route.Up, m.State)
		assert.Equal(t, 1, m.InFlight)
		assert.InDelta(t, 1, m.Latency.Seconds(), 0.1)
		group.Wait()
		checkAccounts(t, s)
	})
}

func TestStreamCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := 0
		s := newStreamer(t, route.Config{MaxFailures: 1}, script("a", &stopped, time.Hour, "x"), script("b", &stopped, "y"))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBad)
		defer cancel()
		_, errs := collect(s.Stream(ctx, ""))
		assert.Equal(t, []error{errBad}, errs)
		assert.Equal(t, uint64(1), stats(s, "a").Cancelled)
		assert.Zero(t, stats(s, "b").Calls)

		s = newStreamer(t, route.Config{MaxFailures: 1}, script("a", &stopped, "x", time.Hour, "y"))
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		all, errs := collect(s.Stream(ctx, ""))
		assert.Equal(t, []string{"x"}, all)
		assert.Equal(t, []error{context.DeadlineExceeded}, errs, "as the member says it")
		assert.Equal(t, route.Up, stats(s, "a").State)
		assert.Equal(t, uint64(1), stats(s, "a").Cancelled)
		checkAccounts(t, s)
	})
}

// A stream that is refused is a request too.
func TestStreamDoCountsWhatItRefuses(t *testing.T) {
	s := newStreamer(t, route.Config{}, script("a", new(int), "1"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBad)
	_, err := s.Do(ctx, "")
	assert.Equal(t, errBad, err)
	assert.Equal(t, uint64(1), s.Stats().Calls)
}

func TestStreamUpdateAndConfig(t *testing.T) {
	stopped := 0
	s := newStreamer(t, route.Config{}, script("a", &stopped, "1", "2"))
	var all []string
	for chunk, err := range s.Stream(t.Context(), "") {
		require.NoError(t, err)
		all = append(all, chunk)
		require.NoError(t, s.Update(func(route.Table[string, chunks]) route.Table[string, chunks] {
			return route.Table[string, chunks]{Members: []source{script("b", &stopped, "3")}}
		}))
	}
	assert.Equal(t, []string{"1", "2"}, all)
	all, _ = collect(s.Stream(t.Context(), ""))
	assert.Equal(t, []string{"3"}, all)
	_, err := route.NewStream(route.Table[string, chunks]{}, route.Config{})
	require.Error(t, err)
}
