package rollout_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

func TestBlueGreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRegistry(t, rollout.RegistryConfig{})
		models := []*model{{}, {}, {}, {warmErr: errBoom}}
		add(t, r, models...)
		b, err := rollout.NewBlueGreen(r, rollout.BlueGreenConfig{Alias: "live", KeepWarm: time.Hour})
		require.NoError(t, err)
		serves := func(want int) {
			t.Helper()
			got, err := b.Do(ctx, 0)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err = b.Do(ctx, 0)
		require.ErrorIs(t, err, rollout.ErrNoVersion)
		require.NoError(t, b.Switch(ctx, v(1), "first"))
		serves(1)
		require.ErrorIs(t, b.Back(""), rollout.ErrNoWayBack)
		require.NoError(t, b.Switch(ctx, v(2), ""))
		require.NoError(t, b.Switch(ctx, v(2), "again"), "nothing to do")
		serves(2)
		require.ErrorIs(t, b.Switch(ctx, v(4), ""), errBoom)
		serves(2)
		require.ErrorIs(t, b.Switch(ctx, v(5), ""), rollout.ErrUnknown)

		time.Sleep(30 * time.Minute)
		require.NoError(t, b.Step(ctx))
		require.NoError(t, r.Sweep(ctx, ""))
		require.Zero(t, models[0].closes.Load(), "it is kept warm")
		require.NoError(t, b.Back("bad answers"))
		serves(1)
		require.EqualValues(t, 1, models[0].loads.Load(), "the way back loads nothing")
		require.Equal(t, rollout.BlueGreenStats{Live: v(1), Previous: v(2), WarmUntil: time.Now().Add(time.Hour), Switches: 2, Backs: 1}, b.Stats())
		require.NoError(t, b.Back("it was something else"), "and forth")
		serves(2)

		require.NoError(t, b.Switch(ctx, v(3), ""))
		serves(3)
		require.EqualValues(t, 1, models[0].closes.Load(), "the previous one of before")
		require.Zero(t, models[1].closes.Load())
		time.Sleep(time.Hour)
		require.NoError(t, b.Step(ctx))
		require.EqualValues(t, 1, models[1].closes.Load())
		require.ErrorIs(t, b.Back(""), rollout.ErrNoWayBack)
		require.Equal(t, rollout.BlueGreenStats{Live: v(3), Switches: 3, Backs: 2}, b.Stats())
		require.NoError(t, r.Shutdown(ctx))
		require.ErrorIs(t, b.Back(""), rollout.ErrClosed)
		require.ErrorIs(t, b.Switch(ctx, v(2), ""), rollout.ErrClosed)
		require.NoError(t, b.Step(ctx))
	})
}

// What is still held when the time is up is unloaded later.
func TestBlueGreenDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, rollout.RegistryConfig{})
		old := &model{}
		add(t, r, old, &model{})
		b, err := rollout.NewBlueGreen(r, rollout.BlueGreenConfig{Alias: "live"})
		require.NoError(t, err)
		require.NoError(t, b.Switch(t.Context(), v(1), ""))
		lease, err := r.Acquire("live")
		require.NoError(t, err)
		require.NoError(t, b.Switch(t.Context(), v(2), ""))
		time.Sleep(rollout.DefaultBlueGreenKeepWarm)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var drain *rollout.DrainError
		require.ErrorAs(t, b.Step(short), &drain)
		require.Equal(t, 1, b.Stats().Leaving)
		lease.Release()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errBoom)
		defer cancel()
		require.ErrorIs(t, b.Run(ctx, time.Minute), errBoom)
		require.EqualValues(t, 1, old.closes.Load())
		require.Zero(t, b.Stats().Leaving)
		require.ErrorIs(t, b.Step(ctx), errBoom)
		require.Error(t, b.Run(ctx, 0))
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestBlueGreenRejects(t *testing.T) {
	r := newRegistry(t, rollout.RegistryConfig{})
	for _, cfg := range []rollout.BlueGreenConfig{{}, {Alias: "a", KeepWarm: -1}} {
		_, err := rollout.NewBlueGreen(r, cfg)
		require.Error(t, err)
	}
	_, err := rollout.NewBlueGreen[int, int](nil, rollout.BlueGreenConfig{Alias: "a"})
	require.Error(t, err)
}
