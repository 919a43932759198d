package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

const ms = time.Millisecond

var errModel = errors.New("model: out of memory")

// model is a function for a pool that records its calls and takes its time.
type model struct {
	mu      sync.Mutex
	seen    []int
	running int
	most    int // that ran at once

	takes  time.Duration
	gate   chan struct{}                                   // if not nil, a call waits for it, or for its context
	before func(ctx context.Context, req int) (int, error) // if not nil, what a call does instead of answering ten times its request
}

func (m *model) run(ctx context.Context, req int) (int, error) {
	m.mu.Lock()
	m.seen = append(m.seen, req)
	m.running++
	m.most = max(m.most, m.running)
	takes, gate, before := m.takes, m.gate, m.before
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running--
		m.mu.Unlock()
	}()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if takes > 0 {
		time.Sleep(takes)
	}
	if before != nil {
		return before(ctx, req)
	}
	return req * 10, nil
}

func (m *model) requests() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]int(nil), m.seen...)
}

func (m *model) peak() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.most
}

// outcome is what a Do returned.
type outcome struct {
	resp int
	err  error
}

// async starts a Do, waits until it is blocked or over, and returns where its outcome comes.
func async(ctx context.Context, do pool.Func[int, int], req int) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		resp, err := do(ctx, req)
		out <- outcome{resp, err}
	}()
	synctest.Wait()
	return out
}

// pending asserts that the outcome has not come yet.
func pending(t *testing.T, outs ...<-chan outcome) {
	t.Helper()
	synctest.Wait()
	for i, out := range outs {
		select {
		case o := <-out:
			t.Fatalf("request %d has an outcome already: %+v", i, o)
		default:
		}
	}
}

// answered asserts that the outcome is an answer of the model to req.
func answered(t *testing.T, out <-chan outcome, req int) {
	t.Helper()
	o := <-out
	require.NoError(t, o.err)
	require.Equal(t, req*10, o.resp)
}

// bubble runs the test in a synctest bubble with a pool, which is closed at the end.
func bubble(t *testing.T, cfg pool.Config, test func(t *testing.T, p *pool.Pool[int, int], m *model)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		p, err := pool.New(m.run, cfg)
		require.NoError(t, err)
		test(t, p, m)
		require.NoError(t, p.Close())
		checkBooks(t, p.Stats())
	})
}

// checkBooks checks what Stats promises, for a pool that is closed.
func checkBooks(t *testing.T, s pool.Stats) {
	t.Helper()
	sum := s.Answered + s.Failed + s.Abandoned + s.Drops.Cancelled + s.Drops.Expired + s.Drops.Closed + s.Drops.Evicted
	require.Equal(t, s.Accepted, sum, "accepted requests without an outcome: %+v", s)
	require.Zero(t, s.Queued+s.Blocked+s.Running+s.Inside+s.Busy+s.Workers, "%+v", s)
}
