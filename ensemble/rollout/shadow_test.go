package rollout_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

type result = rollout.ShadowResult[int, int]

func newShadow(t testing.TB, shadow rollout.Func[int, int], cfg rollout.ShadowConfig, opts ...rollout.ShadowOption[int, int]) *rollout.Shadow[int, int] {
	t.Helper()
	s, err := rollout.NewShadow(double, shadow, cfg, opts...)
	require.NoError(t, err)
	return s
}

func equal(_ int, a, b int) bool { return a == b }

func TestShadowCompares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var mu sync.Mutex
		var results []result
		s := newShadow(t, func(ctx context.Context, n int) (int, error) {
			require.Equal(t, "ann", ctx.Value(key{}))
			require.NoError(t, ctx.Err())
			if n == 3 {
				return 0, errBoom
			}
			return 2 * (n / 2 * 2), nil // wrong for odd ones
		}, rollout.ShadowConfig{}, rollout.WithCompare(equal), rollout.WithResult(func(_ context.Context, r result) {
			mu.Lock()
			defer mu.Unlock()
			results = append(results, r)
		}))
		for n := range 4 {
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "ann"))
			got, err := s.Do(ctx, n)
			cancel() // the caller has its answer and goes: the shadow goes on
			require.NoError(t, err)
			require.Equal(t, 2*n, got)
			synctest.Wait()
		}
		require.Equal(t, []result{
			{Request: 0, Compared: true, Agree: true},
			{Request: 1, Primary: 2, Shadow: 0, Compared: true},
			{Request: 2, Primary: 4, Shadow: 4, Compared: true, Agree: true},
			{Request: 3, Primary: 6, Err: errBoom},
		}, results)
		require.Equal(t, rollout.ShadowStats{Calls: 4, Sampled: 4, Begun: 4, Failed: 1, Agreed: 2, Differed: 1}, s.Stats())
		require.NoError(t, s.Shutdown(t.Context()))
	})
}

// A shadow that hangs, panics, calls Goexit or whose callbacks do changes nothing for the primary, and the shadow itself goes on.
func TestShadowCannotHarmThePrimary(t *testing.T) {
	bad := map[string]func(ctx context.Context, n int) (int, error){
		"fails":   failing(errBoom),
		"panics":  func(context.Context, int) (int, error) { panic(errBoom) },
		"nil":     func(context.Context, int) (int, error) { panic(nil) }, //nolint:govet // what a shadow may do
		"Goexits": func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil },
		"honours": func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		"ignores": func(_ context.Context, _ int) (int, error) { time.Sleep(time.Hour); return 0, nil },
	}
	for name, shadow := range bad {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int64
				s := newShadow(t, shadow, rollout.ShadowConfig{Concurrency: 2, MaxQueue: 3, Timeout: time.Second}, rollout.WithCompare(equal),
					rollout.WithResult(func(_ context.Context, r result) {
						if r.Err != nil || r.Took == time.Hour {
							told.Add(1)
						}
					}))
				start := time.Now()
				for n := range 100 {
					got, err := s.Do(t.Context(), n)
					require.NoError(t, err)
					require.Equal(t, 2*n, got)
				}
				require.Equal(t, start, time.Now(), "the primary does not wait")
				st := s.Stats()
				require.LessOrEqual(t, st.Running, 2)
				require.LessOrEqual(t, st.Queued, 3)
				synctest.Wait()
				require.NoError(t, s.Shutdown(t.Context()))
				st = s.Stats()
				require.Zero(t, st.Running+st.Queued)
				require.EqualValues(t, 100, st.Begun+st.Dropped)
				require.EqualValues(t, st.Begun, told.Load())
				require.GreaterOrEqual(t, st.Begun, uint64(5))
				if name == "honours" {
					require.Equal(t, st.Begun, st.TimedOut)
				}
				got, err := s.Do(t.Context(), 4)
				require.NoError(t, err, "after Shutdown")
				require.Equal(t, 8, got)
			})
		})
	}
}

func TestShadowCallbacksCannotHarm(t *testing.T) {
	panics := func() { panic(errBoom) }
	for name, opts := range map[string][]rollout.ShadowOption[int, int]{
		"compare panics":  {rollout.WithCompare(func(int, int, int) bool { panics(); return true })},
		"compare Goexits": {rollout.WithCompare(func(int, int, int) bool { runtime.Goexit(); return true })},
		"result panics":   {rollout.WithResult(func(context.Context, result) { panics() })},
		"result Goexits":  {rollout.WithResult(func(context.Context, result) { runtime.Goexit() })},
		"request panics":  {rollout.WithClone(func(int) int { panics(); return 0 }, func(n int) int { return n })},
		"answer panics":   {rollout.WithClone(func(n int) int { return n }, func(int) int { panics(); return 0 })},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShadow(t, double, rollout.ShadowConfig{Concurrency: 1, MaxQueue: 100}, opts...)
				for n := range 10 {
					got, err := s.Do(t.Context(), n)
					require.NoError(t, err)
					require.Equal(t, 2*n, got)
				}
				require.NoError(t, s.Shutdown(t.Context()))
				st := s.Stats()
				require.EqualValues(t, 10, st.Begun+st.Dropped, "%+v", st)
				require.Zero(t, st.Running)
			})
		})
	}
}

func TestShadowClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		primary := func(_ context.Context, req []int) ([]int, error) {
			req[0] = -req[0] // it works in the request's own memory
			return req, nil
		}
		clones := 0
		clone := func(req []int) []int { clones++; return append([]int(nil), req...) }
		var saw [][]int
		s, err := rollout.NewShadow(primary, func(_ context.Context, req []int) ([]int, error) {
			time.Sleep(time.Second)
			return append([]int(nil), req...), nil
		}, rollout.ShadowConfig{Concurrency: 1, MaxQueue: 1}, rollout.WithClone(clone, clone),
			rollout.WithResult(func(_ context.Context, r rollout.ShadowResult[[]int, []int]) { saw = append(saw, r.Request, r.Primary) }))
		require.NoError(t, err)
		buffer := []int{7}
		for range 5 {
			buffer[0] = 7
			got, err := s.Do(t.Context(), buffer)
			require.NoError(t, err)
			require.Equal(t, []int{-7}, got)
			buffer[0] = 99
		}
		require.NoError(t, s.Shutdown(t.Context()))
		require.Equal(t, [][]int{{7}, {-7}, {7}, {-7}}, saw)
		require.Equal(t, 4, clones, "what is dropped is not copied")
	})
}

func TestShadowPrimaryAndSampling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		primary := func(_ context.Context, n int) (int, error) {
			switch n {
			case -1:
				panic(errBoom)
			case -2:
				runtime.Goexit()
			case -3:
				return 0, errBoom
			}
			return n, nil
		}
		s, err := rollout.NewShadow(primary, double, rollout.ShadowConfig{Sample: 0.2, MaxQueue: 1 << 30})
		require.NoError(t, err)
		const n = 20_000
		for i := range n {
			_, _ = s.Do(t.Context(), i)
		}
		require.NoError(t, s.Shutdown(t.Context()))
		st := s.Stats()
		within(t, int(st.Begun), n, 0.2)
		require.Equal(t, st.Sampled, st.Begun)
		require.EqualValues(t, n, st.Calls)

		s, err = rollout.NewShadow(primary, double, rollout.ShadowConfig{})
		require.NoError(t, err)
		require.PanicsWithValue(t, errBoom, func() { _, _ = s.Do(t.Context(), -1) })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = s.Do(t.Context(), -2) })
		wg.Wait()
		_, err = s.Do(t.Context(), -3)
		require.ErrorIs(t, err, errBoom)
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		_, err = s.Do(ended, 1)
		require.ErrorIs(t, err, errBoom)
		require.NoError(t, s.Close())
		require.Zero(t, s.Stats().Begun, "only what has an answer is shadowed")
	})
}

func TestShadowShutdownAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := make(chan error, 1)
		s := newShadow(t, func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			cause <- ctx.Err()
			return 0, ctx.Err()
		}, rollout.ShadowConfig{Concurrency: 1, Timeout: time.Hour})
		for range 5 {
			_, err := s.Do(t.Context(), 1)
			require.NoError(t, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { assert.NoError(t, s.Close()) })
		}
		wg.Wait()
		require.Equal(t, context.Canceled, <-cause)
		require.NoError(t, s.Close())
		require.NoError(t, s.Shutdown(ctx), "it is done, even if the time is up")
		require.Equal(t, rollout.ShadowStats{Calls: 5, Sampled: 5, Dropped: 4, Begun: 1, Failed: 1}, s.Stats())
		got, err := s.Do(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, 2, got)
	})
}

// Close, Do and Shutdown at once, for the race detector.
func TestShadowConcurrently(t *testing.T) {
	for range 50 {
		s := newShadow(t, double, rollout.ShadowConfig{Concurrency: 2, MaxQueue: 4}, rollout.WithCompare(equal))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for n := range 200 {
					if got, err := s.Do(t.Context(), n); got != 2*n || err != nil {
						t.Errorf("Do(%d) = %d, %v", n, got, err)
					}
				}
			})
		}
		wg.Go(func() { assert.NoError(t, s.Close()) })
		wg.Go(func() { _ = s.Shutdown(t.Context()) })
		wg.Wait()
		require.NoError(t, s.Close())
		st := s.Stats()
		require.EqualValues(t, 800, st.Begun+st.Dropped)
		require.Equal(t, st.Begun, st.Agreed)
	}
}

func TestShadowRejects(t *testing.T) {
	for _, cfg := range []rollout.ShadowConfig{{Sample: -1}, {Sample: 1.5}, {Sample: math.NaN()}, {Concurrency: -1}, {MaxQueue: -1}, {Timeout: -1}} {
		_, err := rollout.NewShadow(double, double, cfg)
		require.Error(t, err, "%+v", cfg)
	}
	_, err := rollout.NewShadow(double, nil, rollout.ShadowConfig{})
	require.Error(t, err)
	for _, opt := range []rollout.ShadowOption[int, int]{nil, rollout.WithCompare[int, int](nil), rollout.WithResult[int, int](nil)} {
		_, err := rollout.NewShadow(double, double, rollout.ShadowConfig{}, opt)
		require.Error(t, err)
	}
	var p *rollout.PanicError
	require.ErrorAs(t, error(&rollout.PanicError{Value: errBoom}), &p)
	require.ErrorIs(t, p, errBoom)
	require.NotErrorIs(t, &rollout.PanicError{Value: 7}, errBoom)
}
