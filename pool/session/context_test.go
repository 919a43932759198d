package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

// A request may start work that outlives it. When it is over no session is held, and that work may ask for one.
func TestKeptContextIsNotReentrant(t *testing.T) {
	for _, lock := range []bool{false, true} {
		var warming, checking, using context.Context
		warm := func(ctx context.Context, _ *sess) error { warming = ctx; return nil }
		check := func(ctx context.Context, _ *sess) error { checking = ctx; return nil }
		cfg := session.Config{Min: 1, LockThread: lock, CheckEvery: time.Minute}
		bubble(t, cfg, func(t *testing.T, p *pool, b *backend) {
			answered(t, async(t.Context(), p, req{do: func(ctx context.Context, _ *sess) { using = ctx }}))
			time.Sleep(90 * time.Second)
			synctest.Wait()
			kept := map[string]context.Context{"open and warm-up": warming, "check": checking, "request": using}
			if !lock {
				lease, err := p.Acquire(t.Context(), req{})
				require.NoError(t, err)
				kept["lease"] = lease.Context()
				_, err = p.Do(context.WithoutCancel(lease.Context()), req{})
				require.Equal(t, session.ErrReentrant, err, "not yet")
				lease.Release(nil)
			}
			for name, ctx := range kept {
				ctx = context.WithoutCancel(ctx)
				answered(t, async(ctx, p, req{}))
				// Also when it is handed on: a request made with it is inside of the pool again.
				var inner error
				answered(t, async(ctx, p, req{do: func(ctx context.Context, _ *sess) {
					_, inner = p.Do(context.WithoutCancel(ctx), req{})
				}}))
				require.Equal(t, session.ErrReentrant, inner, name)
			}
		}, session.WithWarmUp(warm), session.WithCheck(check))
	}
}
