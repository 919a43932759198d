package batching_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

func TestReconfigurePolicy(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	cfg := batching.Config{MaxSize: 8, Policy: batching.Deadline(50 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		async(t.Context(), b.Do, 0)
		var outs []<-chan outcome
		for i := range 40 {
			outs = append(outs, async(t.Context(), b.Do, i))
		}
		cfg.Policy = batching.Window()
		require.NoError(t, b.Reconfigure(cfg))
		require.Zero(t, b.Stats().Latency)
		for i, out := range outs[:8] {
			answered10(t, out, i)
		}
		cfg.Policy = batching.Deadline(45 * ms)
		require.NoError(t, b.Reconfigure(cfg))
		for _, out := range outs[8:16] { // the next batch runs already
			require.NoError(t, (<-out).err)
		}
		for _, out := range outs[16:] {
			require.ErrorIs(t, (<-out).err, batching.ErrDeadline)
		}
	})
}

func TestBadPolicy(t *testing.T) {
	for _, p := range []batching.Policy{batching.Deadline(0), batching.Deadline(-ms), batching.AIMD(0), batching.AIMD(-1)} {
		_, err := batching.New(free, batching.Config{Policy: p})
		require.ErrorContains(t, err, "Config.Policy "+p.String())
	}
	require.Equal(t, "Window", batching.Window().String())
	require.Equal(t, "Deadline(50ms)", batching.Deadline(50*ms).String())
	require.Equal(t, "AIMD(25ms)", batching.AIMD(25*ms).String())
}

// An objective that no clock can reach is as good as none.
func TestHugeDeadline(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	cfg := batching.Config{MaxSize: 8, Concurrency: 2, Policy: batching.Deadline(math.MaxInt64)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		_, err := b.DoAll(t.Context(), make([]int, 100))
		require.NoError(t, err)
	})
}

func TestAIMDFindsTheSize(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	synctest.Test(t, func(t *testing.T) {
		b, err := batching.New(m.run, batching.Config{MaxSize: 64, MaxQueue: 4096, Policy: batching.AIMD(30 * ms)})
		require.NoError(t, err)
		require.Equal(t, 1, b.Stats().SizeLimit)
		_, err = b.DoAll(t.Context(), make([]int, 2000))
		require.NoError(t, err)
		require.InDelta(t, 20, b.Stats().SizeLimit, 3)
		for _, batch := range m.seen()[30 : len(m.seen())-1] { // the last holds the rest
			require.InDelta(t, 20, len(batch), 3)
		}
		for range 10 { // few requests say nothing about large batches
			_, err = b.Do(t.Context(), 0)
			require.NoError(t, err)
		}
		require.InDelta(t, 20, b.Stats().SizeLimit, 3)
		require.NoError(t, b.Close())
	})
}

// Late answers are counted with every policy, by the deadline of the caller's context.
func TestLateIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			time.Sleep(20 * ms)
			return reqs, nil
		}, batching.Config{})
		require.NoError(t, err)
		ctx := deafContext{t.Context(), time.Now().Add(10 * ms)}
		_, err = b.Do(ctx, 1)
		require.NoError(t, err)
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		s := b.Stats()
		require.EqualValues(t, 1, s.Late)
		require.InDelta(t, 0.5, s.Goodput(), 1e-9)
		require.NoError(t, b.Close())
		require.InDelta(t, 1, batching.Stats{}.Goodput(), 1e-9)
	})
}

// deafContext has a deadline but does not end by it.
type deafContext struct {
	context.Context
	deadline time.Time
}

func (c deafContext) Deadline() (time.Time, bool) { return c.deadline, true }
