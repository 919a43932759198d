package rollout_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/rollout"
)

var errBoom = errors.New("boom")

func v(n int) rollout.ID { return rollout.ID{Model: "m", Version: strconv.Itoa(n)} }

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func constant(answer int) rollout.Func[int, int] {
	return func(context.Context, int) (int, error) { return answer, nil }
}

func source(do rollout.Func[int, int]) rollout.Source[int, int] {
	return rollout.Source[int, int]{Load: func(context.Context) (rollout.Model[int, int], error) {
		return rollout.Model[int, int]{Do: do}, nil
	}}
}

// model counts its life, and fails if it is used out of turn.
type model struct {
	answer                 int
	loadErr, warmErr       error
	loads, warms, closes   atomic.Int64
	closed                 atomic.Bool
	usedClosed             atomic.Int64
	duringLoad, duringWarm func()
	closeErr               error
}

func (m *model) do(context.Context, int) (int, error) {
	if m.closed.Load() {
		m.usedClosed.Add(1)
		return 0, errors.New("the model is closed")
	}
	return m.answer, nil
}

func (m *model) source() rollout.Source[int, int] {
	return rollout.Source[int, int]{
		Load: func(context.Context) (rollout.Model[int, int], error) {
			m.loads.Add(1)
			m.closed.Store(false)
			if m.duringLoad != nil {
				m.duringLoad()
			}
			return rollout.Model[int, int]{Do: m.do, Close: func() error {
				m.closed.Store(true)
				m.closes.Add(1)
				return m.closeErr
			}}, m.loadErr
		},
		Warm: func(ctx context.Context, do rollout.Func[int, int]) error {
			m.warms.Add(1)
			if m.duringWarm != nil {
				m.duringWarm()
			}
			if m.warmErr != nil {
				return m.warmErr
			}
			_, err := do(ctx, 0)
			return err
		},
	}
}

func newRegistry(t testing.TB, cfg rollout.RegistryConfig) *rollout.Registry[int, int] {
	t.Helper()
	r, err := rollout.NewRegistry[int, int](cfg)
	require.NoError(t, err)
	return r
}

// add registers models as v(1), v(2), ...
func add(t testing.TB, r *rollout.Registry[int, int], models ...*model) {
	t.Helper()
	for i, m := range models {
		if m.answer == 0 {
			m.answer = i + 1
		}
		require.NoError(t, r.Register(v(i+1), m.source(), "test"))
	}
}

func state(r *rollout.Registry[int, int], id rollout.ID) rollout.VersionStats {
	for _, s := range r.Stats().Versions {
		if s.ID == id {
			return s
		}
	}
	return rollout.VersionStats{ID: id, State: 255}
}

// locked is the naive way: a read lock around each request.
type locked struct {
	mu    sync.RWMutex
	model rollout.Func[int, int]
}

func (l *locked) Do(ctx context.Context, n int) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.model(ctx, n)
}

// counted has one counter for all.
type counted struct {
	n     atomic.Int64
	model rollout.Func[int, int]
}

func (c *counted) Do(ctx context.Context, n int) (int, error) {
	c.n.Add(1)
	defer c.n.Add(-1)
	return c.model(ctx, n)
}
