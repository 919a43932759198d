package rollout_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func TestLeaseKeepsItsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRegistry(t, rollout.RegistryConfig{})
		old := &model{}
		add(t, r, old, &model{})
		_, err := r.Deploy(ctx, "champion", v(1), "")
		require.NoError(t, err)
		lease, err := r.Acquire("champion")
		require.NoError(t, err)
		require.Equal(t, v(1), lease.ID())

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = r.Deploy(short, "champion", v(2), "")
		var drain *rollout.DrainError
		require.ErrorAs(t, err, &drain)
		require.Equal(t, rollout.DrainError{ID: v(1), Leases: 1, Err: context.DeadlineExceeded}, *drain)
		require.Equal(t, v(2), r.Alias("champion").ID(), "the alias has moved all the same")
		require.ErrorAs(t, r.Load(ctx, v(1), ""), &drain, "it cannot be loaded while the old one is there")

		got, err := lease.Do(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, 1, got)

		done := make(chan error, 2)
		go func() { done <- r.Sweep(ctx, "") }()
		synctest.Wait()
		go func() { done <- r.Unload(ctx, v(1), "") }()
		synctest.Wait()
		require.NoError(t, r.Sweep(ctx, ""), "what somebody else is unloading is left to them")
		require.Empty(t, done)
		require.Zero(t, old.closes.Load())
		require.EqualValues(t, 1, state(r, v(1)).Leases)
		lease.Release()
		lease.Release()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.EqualValues(t, 1, old.closes.Load())
		_, err = lease.Do(ctx, 0)
		require.ErrorIs(t, err, rollout.ErrReleased)
		require.NoError(t, r.Shutdown(ctx))
	})
}

// A request of a lease that is released meanwhile is finished on its model.
func TestReleaseWhileRequestsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRegistry(t, rollout.RegistryConfig{})
		closed := false
		require.NoError(t, r.Register(v(1), rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
			return rollout.Model[int, int]{
				Do: func(context.Context, int) (int, error) {
					time.Sleep(time.Minute)
					if closed {
						t.Error("closed while a request runs")
					}
					return 1, nil
				},
				Close: func() error { closed = true; return nil },
			}, nil
		}}, ""))
		_, err := r.Deploy(ctx, "champion", v(1), "")
		require.NoError(t, err)
		lease, err := r.Acquire("champion")
		require.NoError(t, err)
		for range 3 {
			go func() { _, _ = lease.Do(ctx, 0) }()
		}
		synctest.Wait()
		lease.Release()
		_, err = lease.Do(ctx, 0)
		require.ErrorIs(t, err, rollout.ErrReleased)
		start := time.Now()
		require.NoError(t, r.Shutdown(ctx))
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, closed)
		require.Equal(t, rollout.VersionStats{ID: v(1), State: rollout.Unloaded, Served: 1}, state(r, v(1)))
	})
}

func TestPanicAndGoexitReleaseTheHold(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, rollout.RegistryConfig{})
	require.NoError(t, r.Register(v(1), source(func(_ context.Context, n int) (int, error) {
		if n == 0 {
			runtime.Goexit()
		}
		panic(errBoom)
	}), ""))
	_, err := r.Deploy(ctx, "champion", v(1), "")
	require.NoError(t, err)
	lease, err := r.Acquire("champion")
	require.NoError(t, err)
	for _, do := range []rollout.Func[int, int]{r.Alias("champion").Do, lease.Do} {
		require.PanicsWithValue(t, errBoom, func() { _, _ = do(ctx, 1) })
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = do(ctx, 0) })
		wg.Wait()
	}
	lease.Release()
	require.Zero(t, state(r, v(1)).Leases)
	require.NoError(t, r.Shutdown(ctx))
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRegistry(t, rollout.RegistryConfig{})
		held, slow, failing := &model{}, &model{}, &model{closeErr: errBoom}
		gate := make(chan struct{})
		slow.duringLoad = func() { <-gate }
		add(t, r, held, slow, failing)
		_, err := r.Deploy(ctx, "champion", v(1), "")
		require.NoError(t, err)
		require.NoError(t, r.Load(ctx, v(3), ""))
		lease, err := r.Acquire("champion")
		require.NoError(t, err)
		loading := make(chan error, 1)
		go func() { loading <- r.Load(ctx, v(2), "") }()
		synctest.Wait()
		require.ErrorIs(t, r.Load(ctx, v(2), ""), rollout.ErrBusy)
		require.ErrorIs(t, r.Unload(ctx, v(2), ""), rollout.ErrBusy)
		require.ErrorIs(t, r.Forget(v(2), ""), rollout.ErrBusy)

		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err = r.Shutdown(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 1, failing.closes.Load(), "what is not held is closed, even so")
		for _, err := range []error{
			r.Register(v(4), source(double), ""), r.Load(ctx, v(1), ""), r.Unload(ctx, v(1), ""), r.Forget(v(3), ""), r.Sweep(ctx, ""),
			r.CompareAndSetAlias("champion", v(1), rollout.ID{}, ""),
		} {
			require.ErrorIs(t, err, rollout.ErrClosed)
		}
		_, err = r.Alias("champion").Do(ctx, 0)
		require.ErrorIs(t, err, rollout.ErrClosed)
		_, err = r.Acquire("champion")
		require.ErrorIs(t, err, rollout.ErrClosed)
		_, err = r.Acquire("nobody")
		require.ErrorIs(t, err, rollout.ErrClosed)

		done := make(chan error, 2)
		for range 2 {
			go func() { done <- r.Shutdown(ctx) }()
		}
		synctest.Wait()
		close(gate)
		require.ErrorIs(t, <-loading, rollout.ErrClosed)
		require.EqualValues(t, 1, slow.closes.Load(), "it was loaded for nothing, and closed")
		synctest.Wait()
		require.Empty(t, done)
		lease.Release()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.EqualValues(t, 1, held.closes.Load())
		require.NoError(t, r.Shutdown(ctx))
	})
}

// Close waits for requests and leases, however many call it, and each model is closed once.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRegistry(t, rollout.RegistryConfig{})
		gate := make(chan struct{})
		closes := 0
		require.NoError(t, r.Register(v(1), rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
			return rollout.Model[int, int]{
				Do:    func(context.Context, int) (int, error) { <-gate; return 7, nil },
				Close: func() error { closes++; return errBoom },
			}, nil
		}}, ""))
		_, err := r.Deploy(ctx, "champion", v(1), "")
		require.NoError(t, err)
		lease, err := r.Acquire("champion")
		require.NoError(t, err)
		answer := make(chan int, 1)
		go func() {
			got, _ := r.Alias("champion").Do(ctx, 0)
			answer <- got
		}()
		synctest.Wait()

		const callers = 3
		done := make(chan error, callers)
		for range callers {
			go func() { done <- r.Close() }()
		}
		synctest.Wait()
		_, err = r.Alias("champion").Do(ctx, 0)
		require.ErrorIs(t, err, rollout.ErrClosed)
		lease.Release()
		synctest.Wait()
		require.Empty(t, done, "a request runs")
		require.Zero(t, closes)
		close(gate)
		require.Equal(t, 7, <-answer)
		failed := 0
		for range callers {
			if err := <-done; err != nil {
				require.ErrorIs(t, err, errBoom)
				failed++
			}
		}
		require.Equal(t, 1, failed, "the error of a model comes once")
		require.Equal(t, 1, closes)
		require.NoError(t, r.Close())
		require.NoError(t, r.Shutdown(ctx))
	})
}

func TestCloseErrorAndPanic(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, rollout.RegistryConfig{})
	add(t, r, &model{closeErr: errBoom})
	require.NoError(t, r.Load(ctx, v(1), ""))
	err := r.Unload(ctx, v(1), "")
	var fail *rollout.LifeCycleError
	require.ErrorAs(t, err, &fail)
	require.Equal(t, rollout.LifeCycleError{ID: v(1), Call: "close", Err: errBoom}, *fail)
	require.Equal(t, rollout.Unloaded, state(r, v(1)).State)

	require.NoError(t, r.Register(v(2), rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
		return rollout.Model[int, int]{Do: double, Close: func() error { panic(errBoom) }}, nil
	}}, ""))
	require.NoError(t, r.Load(ctx, v(2), ""))
	require.PanicsWithValue(t, errBoom, func() { _ = r.Unload(ctx, v(2), "") })
	require.Equal(t, rollout.Unloaded, state(r, v(2)).State, "it is not closed twice")
	require.NoError(t, r.Shutdown(ctx))
}

// The promise: a thousand swaps under load, each request on one version from beginning to end, none fails, none on a closed model.
func TestHotSwapUnderLoad(t *testing.T) {
	swaps := 1000
	if raceEnabled {
		swaps = 300
	}
	ctx := t.Context()
	r := newRegistry(t, rollout.RegistryConfig{KeepUnloaded: 2})
	champion := r.Alias("champion")
	var usedClosed, mixed, failed, requests atomic.Int64
	load := func(version int) rollout.Source[int, int] {
		return rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
			var closed atomic.Bool
			state := new(int) // written by Close: the race detector sees a request after it too
			*state = version
			return rollout.Model[int, int]{
				Do: func(_ context.Context, n int) (int, error) {
					first := *state
					if n%64 == 0 {
						runtime.Gosched() // some requests are slow enough to meet a swap
					}
					if closed.Load() {
						usedClosed.Add(1)
					}
					if *state != first || first == 0 {
						mixed.Add(1)
					}
					return first, nil
				},
				Close: func() error {
					closed.Store(true)
					*state = 0
					return nil
				},
			}, nil
		}}
	}
	require.NoError(t, r.Register(v(1), load(1), ""))
	_, err := r.Deploy(ctx, "champion", v(1), "")
	require.NoError(t, err)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				requests.Add(1)
				if g%4 == 0 { // by lease, two requests
					lease, err := r.Acquire("champion")
					if err != nil {
						failed.Add(1)
						continue
					}
					a, err1 := lease.Do(ctx, n)
					b, err2 := lease.Do(ctx, n)
					if err1 != nil || err2 != nil {
						failed.Add(1)
					}
					if a != b {
						mixed.Add(1)
					}
					lease.Release()
					continue
				}
				if got, err := champion.Do(ctx, n); err != nil || got == 0 {
					failed.Add(1)
				}
			}
		})
	}
	for i := 2; i <= swaps+1; i++ {
		require.NoError(t, r.Register(v(i), load(i), ""))
		_, err := r.Deploy(ctx, "champion", v(i), "")
		require.NoError(t, err)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests, %d swaps", requests.Load(), swaps)
	require.Greater(t, requests.Load(), int64(swaps))
	require.Zero(t, failed.Load(), "failed")
	require.Zero(t, usedClosed.Load(), "on a closed model")
	require.Zero(t, mixed.Load(), "mixed")
	require.NoError(t, r.Shutdown(ctx))
	require.Zero(t, state(r, v(swaps+1)).Leases)
}
