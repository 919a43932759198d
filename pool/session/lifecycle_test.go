package session_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

func TestShutdownDrains(t *testing.T) {
	for _, lock := range []bool{false, true} {
		bubble(t, session.Config{MaxQueue: 1, LockThread: lock}, func(t *testing.T, p *pool, b *backend) {
			b.openTakes, b.closeTakes = time.Second, time.Second
			var outs []<-chan outcome
			for range 3 {
				outs = append(outs, async(t.Context(), p, req{takes: time.Second}))
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errGone)
			defer cancel()
			require.ErrorIs(t, p.Shutdown(ctx), errGone)
			require.Equal(t, session.ErrClosed, (<-async(t.Context(), p, req{})).err)
			require.NoError(t, p.Shutdown(t.Context()))
			require.Equal(t, 5*time.Second, time.Since(b.start), "opened, three answers, closed")
			for _, out := range outs {
				answered(t, out)
			}
			require.NoError(t, p.Shutdown(ctx))
		})
	}
}

// Sessions that have to be renewed while draining are: what was accepted is answered.
func TestShutdownWithSickSessions(t *testing.T) {
	bubble(t, session.Config{MaxUses: 1}, func(t *testing.T, p *pool, b *backend) {
		var outs []<-chan outcome
		for range 4 {
			outs = append(outs, async(t.Context(), p, req{takes: time.Second}))
		}
		require.NoError(t, p.Shutdown(t.Context()))
		for i, out := range outs {
			require.Equal(t, i, answered(t, out))
		}
	})
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		sick := async(t.Context(), p, req{takes: time.Second, err: session.Bad(errModel)})
		waits := async(t.Context(), p, req{})
		b.mu.Lock()
		b.openErr = errModel
		b.mu.Unlock()
		require.NoError(t, p.Shutdown(t.Context()))
		require.Error(t, (<-sick).err)
		require.ErrorIs(t, (<-waits).err, session.ErrOpen, "and nobody hangs if that cannot be")
	})
}

// Nobody waits for a session that nobody needs any more.
func TestShutdownCancelsOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		b.openTakes = time.Hour
		p, err := session.New(b.open, b.close, b.fn, session.Config{Min: 2})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, p.Shutdown(t.Context()))
		require.Zero(t, time.Since(b.start))
		checkBooks(t, p, b)
	})
}

func TestCloseFailsWhatWaitsAndCancelsWhatRuns(t *testing.T) {
	for _, lock := range []bool{false, true} {
		bubble(t, session.Config{MaxQueue: 1, LockThread: lock}, func(t *testing.T, p *pool, b *backend) {
			running := async(t.Context(), p, req{takes: time.Hour})
			queued, blocked := async(t.Context(), p, req{}), async(t.Context(), p, req{})
			require.NoError(t, p.Close())
			require.Equal(t, context.Canceled, (<-running).err, "the cause of fn's context: ErrClosed would say that no work began")
			require.Equal(t, session.ErrClosed, (<-queued).err)
			require.Equal(t, session.ErrClosed, (<-blocked).err)
			require.EqualValues(t, 2, p.Stats().Drops.Closed)
			require.NoError(t, p.Close())
			require.NoError(t, p.Shutdown(t.Context()))
			_, err := p.Do(t.Context(), req{})
			require.Equal(t, session.ErrClosed, err)
		})
	}
}

func TestCloseDuringOpening(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		b.openTakes = time.Hour
		out := async(t.Context(), p, req{})
		require.NoError(t, p.Close())
		require.Equal(t, session.ErrClosed, (<-out).err)
		require.Zero(t, time.Since(b.start))
	})
	// One that does not look at its context is waited for, and its session closed.
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		p, err := session.New(func(ctx3) (int, error) { time.Sleep(time.Second); return 1, nil }, func(int) { closed++ },
			func(ctx3, int, int) (int, error) { return 0, nil }, session.Config{Min: 1})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, p.Close())
		require.Equal(t, 1, closed)
		require.EqualValues(t, 1, p.Stats().Closes.Shutdown)
	})
}

func TestCloseDuringCheckAndShutdown(t *testing.T) {
	bubble(t, session.Config{Min: 1, CheckEvery: time.Second}, func(t *testing.T, p *pool, b *backend) {
		time.Sleep(1500 * ms)
		require.Equal(t, 1, p.Stats().Load)
		errs := make(chan error, 1)
		go func() { errs <- p.Shutdown(t.Context()) }()
		require.NoError(t, p.Close())
		require.NoError(t, <-errs)
		require.Equal(t, 1500*ms, time.Since(b.start), "the check is cancelled")
		require.Zero(t, p.Stats().Closes.Check)
	}, session.WithCheck(func(ctx context.Context, _ *sess) error { <-ctx.Done(); return ctx.Err() }))
}

func TestLease(t *testing.T) {
	bubble(t, session.Config{PerSession: 2}, func(t *testing.T, p *pool, b *backend) {
		ctx, cancel := context.WithCancelCause(t.Context())
		lease, err := p.Acquire(ctx, req{cost: 2})
		require.NoError(t, err)
		require.Same(t, b.all[0], lease.Session())
		slot, _, ok := session.SlotOf(lease.Context())
		require.True(t, ok)
		require.Zero(t, slot)
		waits := async(t.Context(), p, req{})
		pending(t, waits)
		require.NoError(t, lease.Context().Err())
		require.Equal(t, 1, p.Stats().Running)
		cancel(errGone)
		require.ErrorIs(t, context.Cause(lease.Context()), errGone)
		pending(t, waits) // the session is the caller's until it says so
		lease.Release(nil)
		lease.Release(session.Bad(errModel)) // only the first counts
		require.Equal(t, 0, answered(t, waits))
		require.EqualValues(t, 2, p.Stats().Answered)

		lease, err = p.Acquire(t.Context(), req{})
		require.NoError(t, err)
		streamCtx := lease.Context()
		lease.Release(session.Bad(errModel))
		require.ErrorIs(t, streamCtx.Err(), context.Canceled)
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
		require.EqualValues(t, 1, p.Stats().Failed)
	}, session.WithCost(byCost))
}

func TestLeaseAndClose(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		lease, err := p.Acquire(t.Context(), req{})
		require.NoError(t, err)
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		<-lease.Context().Done()
		require.Equal(t, context.Canceled, context.Cause(lease.Context()))
		synctest.Wait()
		require.Empty(t, closed, "Close waits for the lease")
		lease.Release(nil)
		require.NoError(t, <-closed)
	})
}

func TestReleasePanicsInBroken(t *testing.T) {
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		lease, err := p.Acquire(t.Context(), req{})
		require.NoError(t, err)
		require.PanicsWithValue(t, errGone, func() { lease.Release(errModel) })
		require.Equal(t, 1, answered(t, async(t.Context(), p, req{})))
	}, session.WithBroken(func(error) bool { panic(errGone) }))
}

// The context of a request: its caller's values, deadline and end, the end of the pool, and no use after the request.
func TestContextOfARequest(t *testing.T) {
	type key struct{}
	bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
		parent, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Hour)
		defer cancel()
		var kept, lazy context.Context
		answered(t, async(parent, p, req{do: func(ctx context.Context, _ *sess) {
			lazy = ctx
			require.Equal(t, "value", ctx.Value(key{}))
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			require.Equal(t, "value", child.Value(key{}))
			deadline, ok := child.Deadline()
			require.True(t, ok)
			require.Equal(t, b.start.Add(time.Hour), deadline)
			require.NoError(t, child.Err())
			kept = child
		}}))
		require.ErrorIs(t, kept.Err(), context.Canceled)
		require.ErrorIs(t, lazy.Err(), context.Canceled)
		answered(t, async(parent, p, req{do: func(ctx context.Context, _ *sess) { lazy = ctx }}))
		require.ErrorIs(t, lazy.Err(), context.Canceled, "though nobody asked while it ran")
		<-lazy.Done()
	})
}

// A pool that is closed during a request that asks only afterwards.
func TestContextAfterClose(t *testing.T) {
	for _, first := range []string{"Err", "Done"} {
		bubble(t, session.Config{}, func(t *testing.T, p *pool, b *backend) {
			gate := make(chan struct{})
			out := async(t.Context(), p, req{do: func(ctx context.Context, _ *sess) {
				<-gate
				if first == "Done" {
					<-ctx.Done()
				}
				require.ErrorIs(t, ctx.Err(), context.Canceled)
				require.Equal(t, context.Canceled, context.Cause(ctx))
			}})
			go func() { _ = p.Close() }()
			synctest.Wait()
			close(gate)
			answered(t, out)
		})
	}
}

func TestLockThread(t *testing.T) {
	for name, fault := range map[string]func(){"panic": func() { panic(errModel) }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			bubble(t, session.Config{Min: 2, MaxOpening: 2, LockThread: true}, func(t *testing.T, p *pool, b *backend) {
				lease, err := p.Acquire(t.Context(), req{})
				require.Equal(t, session.ErrLockThread, err)
				lease.Release(nil) // does nothing on a nil Lease
				answered(t, async(t.Context(), p, req{}))
				require.Equal(t, errModel, (<-async(t.Context(), p, req{err: errModel})).err)
				_, err = p.Do(t.Context(), req{do: func(context.Context, *sess) { fault() }})
				if name == "panic" {
					var panicked *session.PanicError
					require.ErrorAs(t, err, &panicked)
					require.ErrorIs(t, err, errModel)
				} else {
					require.Equal(t, session.ErrGoexit, err)
				}
				synctest.Wait()
				require.EqualValues(t, 1, p.Stats().Closes.Panic)
				require.Equal(t, 2, p.Stats().Sessions)
				answered(t, async(t.Context(), p, req{}))
			})
		})
	}
}

// With a thread of its own, the session goes on when its caller leaves; the next request waits for it.
func TestLockThreadCallerLeaves(t *testing.T) {
	bubble(t, session.Config{LockThread: true}, func(t *testing.T, p *pool, b *backend) {
		ctx, cancel := context.WithCancelCause(t.Context())
		deaf := async(ctx, p, req{do: func(context.Context, *sess) { time.Sleep(time.Second) }})
		next := async(t.Context(), p, req{})
		cancel(errGone)
		require.Equal(t, errGone, (<-deaf).err)
		pending(t, next)
		answered(t, next)
		require.Equal(t, time.Second, time.Since(b.start))
		require.EqualValues(t, 1, p.Stats().Abandoned)
	})
}

func TestNewRejects(t *testing.T) {
	b := newBackend()
	nan := math.NaN()
	for _, c := range []struct {
		cfg  session.Config
		opts []session.Option
		want string
	}{
		{session.Config{Min: -1}, nil, "Config.Min is negative: -1"},
		{session.Config{MaxAge: -1}, nil, "Config.MaxAge is negative"},
		{session.Config{MaxQueue: -1}, nil, "Config.MaxQueue is negative"},
		{session.Config{Min: 3, Max: 2}, nil, "Max 2 is less than Min 3"},
		{session.Config{Max: 2, Devices: 3}, nil, "Max 2 is less than Devices 3"},
		{session.Config{Max: 1 << 20}, nil, "Max 1048576 is more than 65536"},
		{session.Config{Devices: math.MaxInt}, nil, "is more than 65536"},
		{session.Config{Backoff: 2, MaxBackoff: 1}, nil, "MaxBackoff 1ns is less than Backoff 2ns"},
		{session.Config{Imbalance: 2}, nil, "need WithKey"},
		{session.Config{MaxKeys: 2}, nil, "need WithKey"},
		{session.Config{Imbalance: nan}, []session.Option{session.WithKey(byKey)}, "Imbalance NaN is less than 1"},
		{session.Config{Imbalance: 0.5}, []session.Option{session.WithKey(byKey)}, "Imbalance 0.5 is less than 1"},
		{session.Config{CheckEvery: 1}, nil, "CheckEvery needs WithCheck"},
		{session.Config{LockThread: true, PerSession: 2}, nil, "LockThread needs PerSession 1"},
		{session.Config{}, []session.Option{nil}, "nil Option"},
		{session.Config{}, []session.Option{session.WithBroken(nil)}, "WithBroken: nil function"},
		{session.Config{}, []session.Option{session.WithKey[req, string](nil)}, "WithKey: nil function"},
		{session.Config{}, []session.Option{session.WithCost(func(int) int { return 1 })}, "WithCost: the callback is a func(int) int, the pool needs a func(session_test.req) int"},
		{session.Config{}, []session.Option{session.WithKey(func(int) int { return 1 })}, "WithKey: the callback is a func(int)"},
		{session.Config{}, []session.Option{session.WithCheck(func(ctx3, int) error { return nil })}, "WithCheck: the callback is a func(context.Context, int) error"},
		{session.Config{}, []session.Option{session.WithWarmUp(func(ctx3, int) error { return nil })}, "WithWarmUp: the callback"},
	} {
		_, err := session.New(b.open, b.close, b.fn, c.cfg, c.opts...)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, "session: ")
	}
	_, err := session.New[*sess, req, int](nil, b.close, b.fn, session.Config{})
	require.ErrorContains(t, err, "nil open, close or fn")
}

func TestDefaults(t *testing.T) {
	bubble(t, session.Config{Devices: 2}, func(t *testing.T, p *pool, b *backend) {
		require.Equal(t, session.Config{
			Max: 2, PerSession: 1, Devices: 2, MaxOpening: 1, CheckEvery: session.DefaultCheckEvery,
			TargetDelay: session.DefaultTargetDelay, Interval: session.DefaultInterval, Cooldown: session.DefaultCooldown,
			IdleTimeout: session.DefaultIdleTimeout, Backoff: session.DefaultBackoff, MaxBackoff: session.DefaultMaxBackoff,
			Imbalance: session.DefaultImbalance, MaxKeys: session.DefaultMaxKeys, MaxQueue: session.DefaultMaxQueue,
		}, p.Config())
	}, session.WithKey(byKey), session.WithCheck(func(ctx3, *sess) error { return nil }))
	require.Equal(t, "uses", session.ReasonUses.String())
	require.Equal(t, "shutdown", session.ReasonShutdown.String())
	require.Equal(t, "Reason(99)", session.Reason(99).String())
}
