package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.NoError(t, For(t.Context(), time.Second))
		assert.Equal(t, time.Second, time.Since(start))

		reason := errors.New("the reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		assert.ErrorIs(t, For(ctx, time.Hour), reason)
		assert.Equal(t, 2*time.Second, time.Since(start))

		assert.NoError(t, For(ctx, 0))
		assert.NoError(t, For(ctx, -time.Hour))
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.True(t, Until(t.Context(), start.Add(time.Second)))
		assert.Equal(t, time.Second, time.Since(start))
		assert.True(t, Until(t.Context(), start))

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		assert.False(t, Until(ctx, start.Add(time.Hour)))
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.False(t, Until(ctx, start), "the time had come, but ctx had ended")
	})
}
