package rollout_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

// chaos makes models whose callbacks fail, panic and exit now and then, and which know when they are used out of turn.
type chaos struct{ outOfTurn, loaded atomic.Int64 }

// stumble returns an error, panics or calls Goexit in three of 40 cases.
func stumble() error {
	switch rand.IntN(40) {
	case 0:
		return errBoom
	case 1:
		panic(errBoom)
	case 2:
		runtime.Goexit()
	}
	return nil
}

func (c *chaos) source() rollout.Source[int, int] {
	return rollout.Source[int, int]{
		Load: func(context.Context) (rollout.Model[int, int], error) {
			if err := stumble(); err != nil {
				return rollout.Model[int, int]{}, err
			}
			var running, closed atomic.Int64
			c.loaded.Add(1)
			return rollout.Model[int, int]{
				Do: func(context.Context, int) (int, error) {
					running.Add(1)
					defer running.Add(-1)
					runtime.Gosched()
					c.outOfTurn.Add(closed.Load())
					return 0, stumble()
				},
				Close: func() error {
					c.outOfTurn.Add(closed.Load() + running.Load())
					closed.Store(1)
					c.loaded.Add(-1)
					return stumble()
				},
			}, nil
		},
		Warm: func(context.Context, rollout.Func[int, int]) error { return stumble() },
	}
}

// survived calls f on a goroutine of its own and says whether it has returned.
func survived(f func()) (returned bool) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		f()
		returned = true
	})
	wg.Wait()
	return returned
}

// All that can be done to a registry, at once, in any order, by callbacks that fail: no model is used before it is loaded or after it is closed, each is closed once, and nothing is left.
func TestChaos(t *testing.T) {
	for round := range 12 {
		var c chaos
		ctx := t.Context()
		var r *rollout.Registry[int, int]
		r = newRegistry(t, rollout.RegistryConfig{KeepWarm: round % 3, KeepUnloaded: 3, AuditSize: 8, OnEvent: func(rollout.Event) {
			if rand.IntN(10) == 0 {
				_, _ = r.SetAlias("hook", rollout.ID{}, "")
				r.Audit()
			}
		}})
		b, err := rollout.NewBlueGreen(r, rollout.BlueGreenConfig{Alias: "b", KeepWarm: 1})
		require.NoError(t, err)
		names := []string{"a", "b", "b/previous", "hook"}
		name := func() string { return names[rand.IntN(len(names))] }
		id := func() rollout.ID { return v(rand.IntN(5)) }
		calls := []func(){
			func() { _ = r.Register(id(), c.source(), "") },
			func() { _ = r.Load(ctx, id(), "") },
			func() { _ = r.Unload(ctx, id(), "") },
			func() { _, _ = r.Deploy(ctx, name(), id(), "") },
			func() { _ = r.Sweep(ctx, "") },
			func() { _, _ = r.SetAlias(name(), id(), "") },
			func() { n := name(); _ = r.CompareAndSetAlias(n, r.Alias(n).ID(), id(), "") },
			func() { _ = r.Forget(id(), "") },
			func() { _ = b.Switch(ctx, id(), "") },
			func() { _ = b.Back("") },
			func() { _ = b.Step(ctx) },
			func() { _, _ = r.Alias(name()).Do(ctx, 1) },
			func() {
				if l, err := r.Acquire(name()); err == nil {
					defer l.Release()
					_, _ = l.Do(ctx, 1)
				}
			},
			func() {
				for _, s := range r.Stats().Versions {
					if s.Leases > 8 {
						t.Errorf("%+v: more leases than goroutines", s)
					}
				}
			},
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 500 {
					survived(calls[rand.IntN(len(calls))])
				}
				if round%2 == 0 {
					survived(func() { _ = r.Shutdown(ctx) })
				}
			})
		}
		wg.Wait()
		for !survived(func() { _ = r.Shutdown(ctx) }) { // until no Close panics
		}
		for _, s := range r.Stats().Versions {
			require.Zero(t, s.Leases, "%+v", s)
			require.Contains(t, []rollout.State{rollout.Registered, rollout.Unloaded, rollout.Failed}, s.State, "%+v", s)
		}
		require.Zero(t, c.outOfTurn.Load(), "models that were used out of turn")
		require.Zero(t, c.loaded.Load(), "models that were not closed")
	}
}
