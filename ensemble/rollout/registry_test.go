package rollout_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func TestLife(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, rollout.RegistryConfig{})
	m := &model{answer: 7}
	add(t, r, m)
	champion := r.Alias("champion")

	_, err := champion.Do(ctx, 1)
	require.ErrorIs(t, err, rollout.ErrNoVersion)
	_, err = r.SetAlias("champion", v(1), "too early")
	require.ErrorIs(t, err, rollout.ErrNotReady)

	var during []rollout.State
	m.duringLoad = func() { during = append(during, state(r, v(1)).State) }
	m.duringWarm = m.duringLoad
	require.NoError(t, r.Load(ctx, v(1), "go"))
	require.Equal(t, []rollout.State{rollout.Loading, rollout.Warming}, during)
	require.NoError(t, r.Load(ctx, v(1), "again"))
	require.EqualValues(t, 1, m.loads.Load(), "a ready version is not loaded again")

	old, err := r.SetAlias("champion", v(1), "go")
	require.NoError(t, err)
	require.Equal(t, rollout.ID{}, old)
	got, err := champion.Do(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, 7, got)
	require.Equal(t, v(1), champion.ID())

	require.ErrorIs(t, r.Unload(ctx, v(1), ""), rollout.ErrAliased)
	require.ErrorIs(t, r.Forget(v(1), ""), rollout.ErrAliased)
	_, err = r.SetAlias("champion", rollout.ID{}, "take it away")
	require.NoError(t, err)
	require.ErrorIs(t, r.Forget(v(1), ""), rollout.ErrLoaded)
	require.NoError(t, r.Unload(ctx, v(1), ""))
	require.NoError(t, r.Unload(ctx, v(1), ""), "there is nothing to do")
	require.EqualValues(t, 1, m.closes.Load())
	_, err = champion.Do(ctx, 1)
	require.ErrorIs(t, err, rollout.ErrNoVersion)
	require.Equal(t, rollout.VersionStats{ID: v(1), State: rollout.Unloaded, Served: 1}, state(r, v(1)))

	require.NoError(t, r.Load(ctx, v(1), "back"), "it can be loaded again")
	require.EqualValues(t, 2, m.loads.Load())
	require.NoError(t, r.Shutdown(ctx))
}

func TestRegisterRejects(t *testing.T) {
	r := newRegistry(t, rollout.RegistryConfig{})
	require.NoError(t, r.Register(v(1), source(double), ""))
	require.ErrorIs(t, r.Register(v(1), source(double), ""), rollout.ErrExists)
	require.Error(t, r.Register(rollout.ID{Model: "m"}, source(double), ""))
	require.Error(t, r.Register(rollout.ID{Version: "1"}, source(double), ""))
	require.Error(t, r.Register(v(2), rollout.Source[int, int]{}, ""))
	require.ErrorIs(t, r.Load(t.Context(), v(3), ""), rollout.ErrUnknown)
	require.ErrorIs(t, r.Unload(t.Context(), v(3), ""), rollout.ErrUnknown)
	require.ErrorIs(t, r.Forget(v(3), ""), rollout.ErrUnknown)
	_, err := r.SetAlias("a", v(3), "")
	require.ErrorIs(t, err, rollout.ErrUnknown)
	_, err = r.Acquire("nobody")
	require.ErrorIs(t, err, rollout.ErrNoVersion)
	_, err = r.SetAlias("", rollout.ID{}, "")
	require.ErrorContains(t, err, "no name")
	_, err = r.Deploy(t.Context(), "", v(1), "")
	require.ErrorContains(t, err, "no name")
	require.Equal(t, rollout.Registered, state(r, v(1)).State, "nothing was loaded for it")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	require.ErrorIs(t, r.Load(ended, v(1), ""), errBoom)
	_, err = r.Alias("a").Do(ended, 1)
	require.ErrorIs(t, err, errBoom)
	for _, cfg := range []rollout.RegistryConfig{{KeepWarm: -1}, {KeepUnloaded: -1}, {AuditSize: -1}} {
		_, err := rollout.NewRegistry[int, int](cfg)
		require.Error(t, err)
	}
}

// Whatever goes wrong with the new version, the old one goes on.
func TestFailureLeavesTheOldOneServing(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		broken *model
		call   string
		closes int64
		want   error
	}{
		"load fails":   {&model{loadErr: errBoom}, "load", 0, errBoom},
		"warm fails":   {&model{warmErr: errBoom}, "warm", 1, errBoom},
		"load panics":  {&model{duringLoad: func() { panic(errBoom) }}, "load", 0, nil},
		"warm panics":  {&model{duringWarm: func() { panic(errBoom) }}, "warm", 1, nil},
		"load Goexits": {&model{duringLoad: runtime.Goexit}, "load", 0, nil},
		"warm Goexits": {&model{duringWarm: runtime.Goexit}, "warm", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, rollout.RegistryConfig{})
			broken := c.broken
			add(t, r, &model{}, broken)
			_, err := r.Deploy(ctx, "champion", v(1), "")
			require.NoError(t, err)
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
				}()
				err = errors.New("Goexit")
				_, err = r.Deploy(ctx, "champion", v(2), "")
			})
			wg.Wait()
			require.Error(t, err)
			var fail *rollout.LifeCycleError
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				require.ErrorAs(t, err, &fail)
			}
			s := state(r, v(2))
			require.Equal(t, rollout.Failed, s.State)
			require.ErrorAs(t, s.Err, &fail)
			require.Equal(t, c.call, fail.Call)
			require.Equal(t, c.closes, broken.closes.Load(), "what was loaded is closed")

			got, err := r.Alias("champion").Do(ctx, 0)
			require.NoError(t, err)
			require.Equal(t, 1, got)

			broken.loadErr, broken.warmErr, broken.duringLoad, broken.duringWarm = nil, nil, nil, nil
			old, err := r.Deploy(ctx, "champion", v(2), "mended")
			require.NoError(t, err)
			require.Equal(t, v(1), old)
			require.NoError(t, r.Shutdown(ctx))
		})
	}
}

func TestLoadWithoutDo(t *testing.T) {
	r := newRegistry(t, rollout.RegistryConfig{})
	closed := false
	require.NoError(t, r.Register(v(1), rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
		return rollout.Model[int, int]{Close: func() error { closed = true; return nil }}, nil
	}}, ""))
	require.Error(t, r.Load(t.Context(), v(1), ""))
	require.True(t, closed)
	require.Equal(t, rollout.Failed, state(r, v(1)).State)
}

func TestCompareAndSetAlias(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t, rollout.RegistryConfig{})
	add(t, r, &model{}, &model{})
	require.NoError(t, r.Load(ctx, v(1), ""))
	require.NoError(t, r.Load(ctx, v(2), ""))
	require.ErrorIs(t, r.CompareAndSetAlias("a", v(2), v(1), ""), rollout.ErrConflict)
	require.NoError(t, r.CompareAndSetAlias("a", rollout.ID{}, v(1), ""))
	err := r.CompareAndSetAlias("a", rollout.ID{}, v(2), "")
	var conflict *rollout.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, rollout.ConflictError{Alias: "a", Current: v(1)}, *conflict)
	require.Equal(t, `rollout: alias "a" points at m@1, not at none`, err.Error())
	require.NoError(t, r.CompareAndSetAlias("a", v(1), v(2), ""))
	require.NoError(t, r.CompareAndSetAlias("a", v(2), v(2), ""), "no change")
	require.NoError(t, r.CompareAndSetAlias("a", v(2), rollout.ID{}, ""))
	require.Empty(t, r.Stats().Aliases)

	// Of many who want to move it from the same place one succeeds.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 16 {
		wg.Go(func() {
			if r.CompareAndSetAlias("b", rollout.ID{}, v(1+i%2), "") == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, won)
	require.NoError(t, r.Shutdown(ctx))
}

func TestDeployKeepsSomeWarm(t *testing.T) {
	ctx := t.Context()
	for _, keep := range []int{0, 2} {
		r := newRegistry(t, rollout.RegistryConfig{KeepWarm: keep, KeepUnloaded: 3})
		models := make([]*model, 10)
		for i := range models {
			models[i] = &model{}
		}
		add(t, r, models...)
		require.NoError(t, r.Load(ctx, v(10), "for later"))
		for i := range 9 {
			_, err := r.Deploy(ctx, "champion", v(i+1), "")
			require.NoError(t, err)
			loaded, unloaded := 0, 0
			for _, s := range r.Stats().Versions {
				if s.State == rollout.Ready {
					loaded++
				}
				if s.State == rollout.Unloaded {
					unloaded++
				}
			}
			require.Equal(t, 2+min(i, keep), loaded, "the champion, the one for later, and those kept")
			require.LessOrEqual(t, unloaded, 3)
		}
		require.Equal(t, rollout.Ready, state(r, v(10)).State)
		if keep > 0 {
			require.Equal(t, rollout.Ready, state(r, v(8)).State, "the latest are kept")
		}
		require.EqualValues(t, 255, state(r, v(1)).State, "the oldest are forgotten")
		require.NoError(t, r.Register(v(1), source(double), ""))
		require.NoError(t, r.Shutdown(ctx))
		for i, m := range models {
			require.EqualValues(t, 1, m.closes.Load(), "version %d", i+1)
		}
	}
}

func TestAudit(t *testing.T) {
	ctx := t.Context()
	var told []rollout.Event
	var r *rollout.Registry[int, int]
	r = newRegistry(t, rollout.RegistryConfig{AuditSize: 4, OnEvent: func(e rollout.Event) {
		r.Stats() // not under a lock
		told = append(told, e)
	}})
	add(t, r, &model{}, &model{loadErr: errBoom})
	_, err := r.Deploy(ctx, "champion", v(1), "ann: first")
	require.NoError(t, err)
	_, err = r.Deploy(ctx, "champion", v(2), "bob: better")
	require.ErrorIs(t, err, errBoom)
	require.NoError(t, r.Shutdown(ctx))
	var lines []string
	for i, e := range told {
		lines = append(lines, e.String())
		require.EqualValues(t, i+1, e.Seq)
		require.False(t, e.Time.IsZero())
	}
	require.Equal(t, []string{
		"1 registered m@1 (test)",
		"2 registered m@2 (test)",
		"3 loading m@1 (ann: first)",
		"4 ready m@1 (ann: first)",
		"5 alias champion: none -> m@1 (ann: first)",
		"6 loading m@2 (bob: better)",
		"7 failed m@2: rollout: load m@2: boom (bob: better)",
		"8 closed",
		"9 draining m@1 (shutdown)",
		"10 unloaded m@1 (shutdown)",
	}, lines)
	require.Equal(t, told[6:], r.Audit(), "the latest four")
	require.EqualValues(t, 10, r.Stats().Events)
}
