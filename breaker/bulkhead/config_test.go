package bulkhead_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

func TestNewRejects(t *testing.T) {
	cost := bulkhead.WithCost(itself)
	for name, c := range map[string]struct {
		cfg  bulkhead.Config
		opts []bulkhead.Option[int]
		want string
	}{
		"negative Capacity":      {bulkhead.Config{Capacity: -1}, nil, "Config.Capacity is negative: -1"},
		"negative MaxQueue":      {bulkhead.Config{MaxQueue: -1}, nil, "Config.MaxQueue is negative"},
		"negative MaxWait":       {bulkhead.Config{MaxWait: -1}, nil, "Config.MaxWait is negative"},
		"negative ServiceTime":   {bulkhead.Config{ServiceTime: -1}, nil, "Config.ServiceTime is negative"},
		"negative MaxOvertakes":  {bulkhead.Config{MaxOvertakes: -1}, nil, "Config.MaxOvertakes is negative"},
		"negative Ageing":        {bulkhead.Config{Ageing: -1}, nil, "Config.Ageing is negative"},
		"endless Ageing":         {bulkhead.Config{Ageing: math.MaxInt64}, nil, "more than a year"},
		"MaxWait, no queue":      {bulkhead.Config{MaxWait: 1}, nil, "MaxWait needs MaxQueue"},
		"ServiceTime, no queue":  {bulkhead.Config{ServiceTime: 1}, nil, "ServiceTime needs MaxQueue"},
		"ServiceTime, unguessed": {bulkhead.Config{MaxQueue: 1, ServiceTime: 1, NoEstimate: true}, nil, "contradicts NoEstimate"},
		"overtaking or not":      {bulkhead.Config{MaxOvertakes: 1, NoOvertaking: true}, nil, "contradicts NoOvertaking"},
		"cost of what":           {bulkhead.Config{}, []bulkhead.Option[int]{cost}, "WithCost needs Config.Capacity"},
		"nil option":             {bulkhead.Config{}, []bulkhead.Option[int]{nil}, "nil Option"},
		"nil cost":               {bulkhead.Config{}, []bulkhead.Option[int]{bulkhead.WithCost[int](nil)}, "WithCost: nil function"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := bulkhead.New(echo, c.cfg, c.opts...)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, b)
		})
	}
	_, err := bulkhead.New[int, int](nil, bulkhead.Config{})
	require.ErrorContains(t, err, "bulkhead: nil function")
	if math.MaxInt > math.MaxInt32 {
		huge := math.MaxInt
		_, err = bulkhead.New(echo, bulkhead.Config{Capacity: huge})
		require.ErrorContains(t, err, "more than 1<<40")
	}
}

func TestDefaults(t *testing.T) {
	b, err := bulkhead.New(echo, bulkhead.Config{})
	require.NoError(t, err)
	require.Equal(t, bulkhead.DefaultCapacity, b.Stats().Capacity)
	for range bulkhead.DefaultCapacity {
		p, err := b.Acquire(t.Context(), 1)
		require.NoError(t, err)
		defer p.Release()
	}
	_, err = b.Acquire(t.Context(), 1)
	require.ErrorIs(t, err, bulkhead.ErrFull, "no queue")
}

func TestExtremeConfigIsUsable(t *testing.T) {
	b, err := bulkhead.New(echo, bulkhead.Config{Capacity: math.MaxInt32, MaxQueue: math.MaxInt, MaxWait: math.MaxInt64,
		ServiceTime: math.MaxInt64, MaxOvertakes: math.MaxInt, Ageing: 365 * 24 * time.Hour})
	require.NoError(t, err)
	_, err = b.Do(t.Context(), 1)
	require.NoError(t, err)
	_, err = b.Acquire(t.Context(), math.MaxInt)
	if math.MaxInt > math.MaxInt32 {
		require.ErrorIs(t, err, bulkhead.ErrTooLarge)
	}
}

// Config shows what is in force, and New takes it again.
func TestConfigInForce(t *testing.T) {
	for _, cfg := range []bulkhead.Config{{}, {MaxQueue: 3, NoOvertaking: true}} {
		b, err := bulkhead.New(echo, cfg)
		require.NoError(t, err)
		require.Equal(t, bulkhead.DefaultCapacity, b.Config().Capacity)
		require.NoError(t, b.Resize(3))
		require.Equal(t, 3, b.Config().Capacity)
		again, err := bulkhead.New(echo, b.Config())
		require.NoError(t, err)
		require.Equal(t, b.Config(), again.Config())
	}
}
