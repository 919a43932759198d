package limiter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	opts := []limiter.Option[int]{
		limiter.WithCost(func(int) int { return 100 }),
		limiter.WithActual(func(req, _ int, _ error) int { return 70 + req%60 }), // less and more than reserved
		limiter.WithPause(func(int, int, error) time.Duration { return 0 }),
	}
	cfg := limiter.Config{Requests: plenty, Cost: plenty}
	l, err := limiter.New(echo, cfg, opts...)
	require.NoError(t, err)
	k, err := limiter.NewKeyed(func(i int) int { return i % 8 }, echo, limiter.KeyedConfig{Each: cfg, Total: cfg}, opts...)
	require.NoError(t, err)
	unsettled, err := limiter.New(echo, cfg, opts[0])
	require.NoError(t, err)
	i := 0
	for name, c := range map[string]struct {
		want float64
		call func() error
	}{
		"Limiter.Do": {0, func() error { _, err := l.Do(t.Context(), i); return err }},
		"unsettled":  {0, func() error { _, err := unsettled.Do(t.Context(), i); return err }},
		"Keyed.Do":   {0, func() error { _, err := k.Do(t.Context(), i); return err }},
		"Acquire and Settle": {1, func() error { // the permit
			permit, err := l.Acquire(t.Context(), 100)
			permit.Settle(i % 200)
			return err
		}},
	} {
		require.Equal(t, c.want, testing.AllocsPerRun(1000, func() {
			i++
			if err := c.call(); err != nil {
				t.Fatal(err)
			}
		}), name)
	}
}
