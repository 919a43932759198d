package session_test

import (
	"context"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool/session"
)

// All that is done with a session is done on its thread, which no other session has.
func TestOneThreadForASession(t *testing.T) {
	on := func(_ context.Context, thread int) error {
		assert.Equal(t, thread, syscall.Gettid())
		return nil
	}
	seen := map[int]bool{}
	var mu sync.Mutex
	p, err := session.New(
		func(context.Context) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			seen[syscall.Gettid()] = true
			return syscall.Gettid(), nil
		},
		func(thread int) { _ = on(t.Context(), thread) },
		func(ctx context.Context, thread, _ int) (int, error) { return thread, on(ctx, thread) },
		session.Config{Min: 3, LockThread: true}, session.WithWarmUp(on), session.WithCheck(on))
	require.NoError(t, err)
	require.NoError(t, p.Ready(t.Context()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				_, err := p.Do(t.Context(), i)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, p.Close())
	require.Len(t, seen, 3)
}
