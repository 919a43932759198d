package batching_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

const ms = time.Millisecond

// model is a run function that records its batches and takes its time. Everything in it may be changed between calls.
type model struct {
	mu      sync.Mutex
	start   time.Time
	batches [][]int
	at      []time.Duration // when each batch began
	ctxs    []context.Context
	running int
	most    int // that ran at once

	takes time.Duration // how long a batch takes
	gate  chan struct{} // if not nil, a batch also waits for it, or for its context
	err   error         // of every batch
}

func newModel(takes time.Duration) *model { return &model{takes: takes, start: time.Now()} }

func (m *model) run(ctx context.Context, reqs []int) ([]int, error) {
	m.mu.Lock()
	m.batches = append(m.batches, reqs)
	m.at = append(m.at, time.Since(m.start))
	m.ctxs = append(m.ctxs, ctx)
	m.running++
	m.most = max(m.most, m.running)
	takes, gate, err := m.takes, m.gate, m.err
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
			return nil, context.Cause(ctx)
		}
	}
	if takes > 0 {
		time.Sleep(takes)
	}
	resps := make([]int, len(reqs))
	for i, req := range reqs {
		resps[i] = req * 10
	}
	return resps, err
}

func (m *model) seen() [][]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]int(nil), m.batches...)
}

// times are the starts of the batches.
func (m *model) times() []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]time.Duration(nil), m.at...)
}

// outcome is what a Do returned, and when.
type outcome struct {
	resp int
	err  error
	at   time.Time
}

// async starts a Do, waits until it is blocked or over, and returns where its outcome comes.
func async(ctx context.Context, do batching.Func[int, int], req int) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		resp, err := do(ctx, req)
		out <- outcome{resp, err, time.Now()}
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
func answered(t *testing.T, out <-chan outcome, req int) outcome {
	t.Helper()
	o := <-out
	require.NoError(t, o.err)
	require.Equal(t, req*10, o.resp)
	return o
}

// bubble runs the test in a synctest bubble with a batcher, which is closed at the end.
func bubble(t *testing.T, cfg batching.Config, test func(t *testing.T, b *batching.Batcher[int, int], m *model), opts ...batching.Option[int]) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newModel(0)
		b, err := batching.New(m.run, cfg, opts...)
		require.NoError(t, err)
		test(t, b, m)
		require.NoError(t, b.Close())
		checkBooks(t, b.Stats())
	})
}

// checkBooks checks the identities that Stats promises, for a batcher that is closed.
func checkBooks(t *testing.T, s batching.Stats) {
	t.Helper()
	sum := s.Answered + s.Failed + s.Abandoned + s.Drops.Cancelled + s.Drops.Expired + s.Drops.Closed + s.Drops.Evicted + s.Drops.Lost
	require.Equal(t, s.Accepted, sum, "accepted requests without an outcome: %+v", s)
	require.Zero(t, s.Queued+s.Blocked+s.Running+s.InFlight+s.Keys, "%+v", s)
	require.Zero(t, s.QueuedWeight)
	f := s.Flushes
	require.Equal(t, s.Batches, f.Size+f.Weight+f.Wait+f.Slot+f.Deadline+f.Flush+f.Close)
}

var errModel = errors.New("model: out of memory")

// sleepyContext has ended, by what Err says, before Done tells those who wait.
type sleepyContext struct {
	context.Context
	ended atomic.Bool
	done  chan struct{}
}

func (c *sleepyContext) Done() <-chan struct{} { return c.done }

func (c *sleepyContext) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}
