package batching_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// linear is a model that takes fixed + perUnit for each unit of a batch, and whose answers are the requests.
type linear struct {
	fixed, perUnit time.Duration
	units          func(reqs []int) int // nil: their number

	mu      sync.Mutex
	batches [][]int
}

func (m *linear) run(_ context.Context, reqs []int) ([]int, error) {
	units := len(reqs)
	if m.units != nil {
		units = m.units(reqs)
	}
	m.mu.Lock()
	m.batches = append(m.batches, reqs)
	m.mu.Unlock()
	time.Sleep(m.fixed + time.Duration(units)*m.perUnit)
	return reqs, nil
}

func (m *linear) seen() [][]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.batches
}

func (m *linear) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = nil
}

// deadlineBubble runs the test with a batcher of the policy that has learnt the model's times from a few batches.
func deadlineBubble(
	t *testing.T, m *linear, cfg batching.Config, test func(t *testing.T, b *batching.Batcher[int, int]), opts ...batching.Option[int],
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := batching.New(m.run, cfg, opts...)
		require.NoError(t, err)
		for _, n := range []int{1, 4, 2, 8, 1, 8, 4, 2, 8, 1} {
			_, err := b.DoAll(t.Context(), make([]int, n))
			require.NoError(t, err)
		}
		m.forget()
		test(t, b)
		require.NoError(t, b.Close())
		checkBooks(t, b.Stats())
	})
}

func TestDeadlineLearnsTheLatency(t *testing.T) {
	m := &linear{fixed: 8 * ms, perUnit: ms / 2}
	cfg := batching.Config{Policy: batching.Deadline(50 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		l := b.Stats().Latency
		require.InDelta(t, 8*ms, l.Fixed, float64(ms)/10)
		require.InDelta(t, ms/2, l.PerUnit, float64(ms)/20)
		require.False(t, l.ByWeight)
	})
}

func TestDeadlineLearnsByWeight(t *testing.T) {
	m := &linear{fixed: 5 * ms, perUnit: ms / 10, units: func(reqs []int) (sum int) {
		for _, req := range reqs {
			sum += req
		}
		return sum
	}}
	cfg := batching.Config{Policy: batching.Deadline(50 * ms), MaxSize: 8, MaxWeight: 400}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		for i := range 150 { // until the first guesses are forgotten
			reqs := []int{10 + i*7%90, 20, 30 + i*13%60, 5}
			_, err := b.DoAll(t.Context(), reqs[:1+i%4])
			require.NoError(t, err)
		}
		l := b.Stats().Latency
		require.True(t, l.ByWeight)
		require.InDelta(t, 5*ms, l.Fixed, float64(ms))
		require.InDelta(t, ms/10, l.PerUnit, float64(ms)/100)

		// 5 + 0.1·(100+100+100) = 35 ms are possible, all four at a time are not.
		m.forget()
		resps, err := b.DoAll(t.Context(), []int{100, 100, 100, 200})
		require.Len(t, m.seen()[0], 3)
		var each batching.ItemErrors
		require.ErrorAs(t, err, &each)
		require.Equal(t, []int{100, 100, 100, 0}, resps)
		require.ErrorIs(t, each[3], batching.ErrDeadline)
	}, batching.WithWeight(identity))
}

// A batch that cannot be answered in time is not begun: of 32 requests as many go as the objective allows.
func TestDeadlineTakesAsManyAsCanBeInTime(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: 2 * ms}
	cfg := batching.Config{MaxSize: 32, Policy: batching.Deadline(40 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		before := b.Stats()
		_, err := b.DoAll(t.Context(), make([]int, 32))
		var each batching.ItemErrors
		require.ErrorAs(t, err, &each)
		require.Len(t, m.seen(), 1, "one batch uses all of the time: the rest has none left")
		n := len(m.seen()[0])
		require.InDelta(t, 14, n, 1)
		for i, err := range each {
			if i < n {
				require.NoError(t, err, i)
				continue
			}
			var lost *batching.DeadlineError
			require.ErrorAs(t, err, &lost, i)
			require.ErrorIs(t, err, batching.ErrDeadline)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Positive(t, lost.RetryAfter())
		}
		s := b.Stats()
		require.EqualValues(t, 32-n, s.Drops.Lost-before.Drops.Lost)
		require.Zero(t, s.Late)
		require.InDelta(t, float64(s.Answered)/float64(s.Accepted), s.Goodput(), 1e-9)
	})
}

// Of requests that cannot all be in time, those that make the larger batch are taken.
func TestDeadlinePassesOverTheMostUrgent(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	cfg := batching.Config{MaxSize: 32, Policy: batching.Deadline(100 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		async(t.Context(), b.Do, 0) // occupies the slot for 11 ms
		urgent, cancel := context.WithTimeout(t.Context(), 26*ms)
		defer cancel()
		first := async(urgent, b.Do, 1)
		for i := 2; i < 20; i++ {
			async(t.Context(), b.Do, i)
		}
		time.Sleep(12 * ms)
		require.Len(t, m.seen(), 2)
		require.Len(t, m.seen()[1], 18, "with the urgent one it would have been a batch of 4")
		require.ErrorIs(t, (<-first).err, batching.ErrDeadline)
	})
}

// Requests with different deadlines are taken by deadline, not by arrival.
func TestDeadlineOrder(t *testing.T) {
	m := &linear{fixed: 10 * ms}
	cfg := batching.Config{MaxSize: 8, Policy: batching.Deadline(time.Second)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		async(t.Context(), b.Do, 0)
		for i := range 16 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100-i)*ms)
			defer cancel()
			async(ctx, b.Do, 100-i)
		}
		time.Sleep(50 * ms)
		require.Equal(t, [][]int{{0}, {85, 86, 87, 88, 89, 90, 91, 92}, {93, 94, 95, 96, 97, 98, 99, 100}}, m.seen())
	})
}

func TestDeadlineRefusesAtOnce(t *testing.T) {
	m := &linear{fixed: 20 * ms, perUnit: ms}
	cfg := batching.Config{Policy: batching.Deadline(time.Second)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		short, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		_, err := b.Do(short, 1)
		require.ErrorIs(t, err, batching.ErrDeadline)
		require.Empty(t, m.seen())
		time.Sleep(time.Second)
		short, cancel = context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		_, err = b.Do(short, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, m.seen(), 1, "nothing was learnt for a while, so it is tried")
		time.Sleep(50 * ms)

		async(t.Context(), b.Do, 2)
		start := time.Now()
		for _, c := range []struct {
			left   time.Duration
			refuse bool
		}{{15 * ms, true}, {35 * ms, true}, {60 * ms, false}} {
			ctx, cancel := context.WithTimeout(t.Context(), c.left)
			defer cancel()
			out := async(ctx, b.Do, 3)
			if !c.refuse {
				pending(t, out)
				continue
			}
			o := <-out
			require.ErrorIs(t, o.err, batching.ErrDeadline)
			require.Zero(t, o.at.Sub(start))
			var refused *batching.DeadlineError
			require.ErrorAs(t, o.err, &refused)
			require.InDelta(t, 21*ms, refused.RetryAfter(), float64(4*ms))
		}
		require.EqualValues(t, 2, b.Stats().Drops.Refused)
		time.Sleep(time.Second)
		require.EqualValues(t, 1, b.Stats().Drops.Expired+b.Stats().Abandoned)
	})
}

// What has become hopeless is told so while the model is still busy with something else.
func TestDeadlineIsEnforcedWhileTheModelHangs(t *testing.T) {
	m := &linear{fixed: 10 * ms}
	cfg := batching.Config{Policy: batching.Deadline(50 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		m.fixed = 10 * time.Second
		stuck := async(t.Context(), b.Do, 1)
		start := time.Now()
		var outs []<-chan outcome
		for i := range 20 {
			time.Sleep(ms)
			outs = append(outs, async(t.Context(), b.Do, i))
		}
		for i, out := range outs {
			o := <-out
			require.ErrorIs(t, o.err, batching.ErrDeadline)
			require.WithinRange(t, o.at, start.Add(time.Duration(i+30)*ms), start.Add(time.Duration(i+51)*ms))
		}
		require.Zero(t, b.Stats().Queued)
		answered := <-stuck
		require.NoError(t, answered.err, "late, but an answer")
		require.EqualValues(t, 1, b.Stats().Late)
	})
}

// A model that is slower than the objective is tried again and again, one batch at a time, and used as soon as it has recovered.
func TestDeadlineRecovers(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	cfg := batching.Config{MaxSize: 8, Policy: batching.Deadline(50 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		inTime := func(lasts time.Duration) (share float64) {
			before := b.Stats()
			for range lasts / (5 * ms) {
				go func() { _, _ = b.Do(context.Background(), 0) }()
				time.Sleep(5 * ms)
			}
			time.Sleep(time.Second)
			s := b.Stats()
			return float64(s.Answered-s.Late-before.Answered+before.Late) / float64(lasts/(5*ms))
		}
		require.InDelta(t, 1, inTime(time.Second), 0.01)
		m.fixed = 400 * ms
		require.InDelta(t, 0, inTime(5*time.Second), 0.05)
		require.NotEmpty(t, m.seen())
		m.fixed = 10 * ms
		require.Greater(t, inTime(5*time.Second), 0.8)
		require.InDelta(t, 1, inTime(time.Second), 0.01)
	})
}

// A single slow batch (a pause, a cold cache) is not taken for the new speed.
func TestDeadlineForgivesAnOutlier(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: ms}
	cfg := batching.Config{MaxSize: 8, Policy: batching.Deadline(100 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		before := b.Stats().Latency
		m.fixed = time.Second
		_, err := b.Do(t.Context(), 0)
		require.NoError(t, err)
		m.fixed = 10 * ms
		after := b.Stats().Latency
		require.InEpsilon(t, before.Fixed, after.Fixed, 0.2)
		_, err = b.DoAll(t.Context(), make([]int, 8))
		require.NoError(t, err)
	})
}

// Failed and cancelled runs say nothing about the time that a run takes.
func TestDeadlineLearnsFromSuccessOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) {
			if fail {
				return nil, errModel
			}
			time.Sleep(20 * ms)
			return reqs, nil
		}, batching.Config{Policy: batching.Deadline(50 * ms)})
		require.NoError(t, err)
		defer b.Close()
		_, err = b.Do(t.Context(), 1)
		require.ErrorIs(t, err, errModel)
		require.Zero(t, b.Stats().Latency)
		fail = false
		_, err = b.Do(t.Context(), 1)
		require.NoError(t, err)
		require.InDelta(t, 20*ms, b.Stats().Latency.Fixed+b.Stats().Latency.PerUnit, float64(ms)/100)
	})
}

// The highest class is served first under overload, and its deadlines are not put at risk to fill the batch.
func TestDeadlineClasses(t *testing.T) {
	m := &linear{fixed: 10 * ms, perUnit: 2 * ms}
	cfg := batching.Config{MaxSize: 32, Policy: batching.Deadline(50 * ms)}
	deadlineBubble(t, m, cfg, func(t *testing.T, b *batching.Batcher[int, int]) {
		var inTime [2]atomic.Int64
		var came [2]int
		for i := range 1000 {
			level := i % 4 / 3 // a quarter is high
			ctx := batching.WithPriority(context.Background(), level)
			came[level]++
			go func() {
				if _, err := b.Do(ctx, level); err == nil {
					inTime[level].Add(1)
				}
			}()
			time.Sleep(ms) // twice what the model can do
			synctest.Wait()
		}
		time.Sleep(time.Second)
		high, low := float64(inTime[1].Load())/float64(came[1]), float64(inTime[0].Load())/float64(came[0])
		require.Greater(t, high, 0.97)
		require.Greater(t, low, 0.05)
		require.Less(t, low, 0.4)
	})
}

func TestDeadlineErrorSaysHowLong(t *testing.T) {
	err := error(&batching.DeadlineError{Queue: 1234567 * time.Microsecond})
	require.EqualError(t, err, "batching: deadline cannot be met: the queue needs 1.23457s")
	require.ErrorIs(t, err, batching.ErrDeadline)
}
