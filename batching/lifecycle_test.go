package batching_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

func TestShutdownDrains(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 2, MaxQueue: 2, MaxWait: time.Hour}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms
		var outs []<-chan outcome
		for i := range 7 { // two run, two are queued, three wait for room
			outs = append(outs, async(t.Context(), b.Do, i))
		}
		down := make(chan error)
		go func() { down <- b.Shutdown(t.Context()) }()
		synctest.Wait()
		_, err := b.Do(t.Context(), 99)
		require.ErrorIs(t, err, batching.ErrClosed)
		require.NoError(t, <-down)
		require.Equal(t, 40*ms, time.Since(m.start))
		for i, out := range outs {
			answered(t, out, i)
		}
		require.EqualValues(t, 1, b.Stats().Flushes.Close, "the last, which was not full")
		require.NoError(t, b.Shutdown(t.Context()), "again")
	})
}

func TestShutdownWithoutCompany(t *testing.T) {
	bubble(t, batching.Config{MaxWait: time.Hour}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		waits := async(t.Context(), b.Do, 1)
		require.NoError(t, b.Shutdown(t.Context()))
		answered(t, waits, 1)
		require.Zero(t, time.Since(m.start))
		require.EqualValues(t, 1, b.Stats().Flushes.Close)
	})
}

func TestShutdownTimesOutAndCloseEndsIt(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.gate = make(chan struct{})
		running, queued := async(t.Context(), b.Do, 1), async(t.Context(), b.Do, 2)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*ms, errCause)
		defer cancel()
		require.Equal(t, errCause, b.Shutdown(ctx))
		pending(t, running, queued)
		require.NoError(t, b.Close())
		require.ErrorIs(t, (<-running).err, context.Canceled, "what run returned")
		require.ErrorIs(t, (<-queued).err, batching.ErrClosed)
		require.NoError(t, b.Shutdown(t.Context()))
	})
}

func TestCloseDuringEach(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1, MaxQueue: 1}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		m.takes = 10 * ms // and does not listen to its context
		running, queued, blocked := async(t.Context(), b.Do, 1), async(t.Context(), b.Do, 2), async(t.Context(), b.Do, 3)
		closed := make(chan error)
		for range 3 {
			go func() { closed <- b.Close() }()
		}
		synctest.Wait()
		for _, out := range []<-chan outcome{queued, blocked} {
			o := <-out
			require.ErrorIs(t, o.err, batching.ErrClosed)
			require.Equal(t, m.start, o.at)
		}
		require.ErrorIs(t, m.ctxs[0].Err(), context.Canceled)
		pending(t, running)
		for range 3 {
			require.NoError(t, <-closed)
		}
		require.Equal(t, 10*ms, time.Since(m.start), "Close waits for what runs")
		answered(t, running, 1)
		_, err := b.Do(t.Context(), 4)
		require.ErrorIs(t, err, batching.ErrClosed)
		_, err = b.DoAll(t.Context(), []int{4})
		require.ErrorIs(t, err, batching.ErrClosed)
		require.EqualValues(t, 2, b.Stats().Drops.Closed)
	})
}

func TestCloseWhileWaitingForCompany(t *testing.T) {
	bubble(t, batching.Config{MaxWait: time.Hour}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		one := async(t.Context(), b.Do, 1)
		all := make(chan error)
		go func() {
			_, err := b.DoAll(t.Context(), []int{2, 3})
			all <- err
		}()
		synctest.Wait()
		require.NoError(t, b.Close())
		require.ErrorIs(t, (<-one).err, batching.ErrClosed)
		require.ErrorIs(t, <-all, batching.ErrClosed)
		require.Empty(t, m.seen())
	})
}

func TestCloseUnused(t *testing.T) {
	bubble(t, batching.Config{}, func(t *testing.T, b *batching.Batcher[int, int], _ *model) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, b.Shutdown(ctx), "nothing to wait for")
		require.NoError(t, b.Close())
	})
}

func TestResizeWhileRunning(t *testing.T) {
	bubble(t, batching.Config{MaxSize: 1}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		resize := func(n int) {
			cfg := b.Config()
			cfg.Concurrency = n
			require.NoError(t, b.Reconfigure(cfg))
			synctest.Wait()
		}
		m.takes = 10 * ms
		done := make(chan error)
		go func() {
			_, err := b.DoAll(t.Context(), make([]int, 12))
			done <- err
		}()
		synctest.Wait()
		require.Equal(t, 1, b.Stats().InFlight)
		resize(4)
		require.Equal(t, 4, b.Stats().InFlight, "at once")
		time.Sleep(5 * ms)
		resize(2)
		require.Equal(t, 4, b.Stats().InFlight, "what runs is not touched")
		time.Sleep(6 * ms)
		require.Equal(t, 2, b.Stats().InFlight)
		require.NoError(t, <-done)
	})
}

func TestReconfigureBelowTheQueue(t *testing.T) {
	cfg := batching.Config{MaxSize: 8, MaxWeight: 20, MaxQueue: 8, MaxQueueWeight: 100}
	bubble(t, cfg, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		busy(t, b, m, 10*ms)
		var outs []<-chan outcome
		reqs := []int{15, 2, 2, 2, 2, 2, 2, 2, 16} // the last waits for room
		for _, req := range reqs {
			outs = append(outs, async(t.Context(), b.Do, req))
		}
		require.Equal(t, 1, b.Stats().Blocked)
		require.NoError(t, b.Reconfigure(batching.Config{MaxSize: 3, MaxWeight: 5, MaxQueue: 3, MaxQueueWeight: 5}))
		require.Equal(t, 8, b.Stats().Queued, "nothing is lost")
		late := async(t.Context(), b.Do, 1)
		for i, out := range outs {
			answered(t, out, reqs[i])
		}
		answered(t, late, 1)
		require.Equal(t, [][]int{{0}, {15}, {2, 2}, {2, 2}, {2, 2}, {2}, {16}, {1}}, m.seen())
	}, batching.WithWeight(identity))
}

func TestReconfigureMaxWait(t *testing.T) {
	bubble(t, batching.Config{MaxWait: time.Hour}, func(t *testing.T, b *batching.Batcher[int, int], m *model) {
		one := async(t.Context(), b.Do, 1)
		require.NoError(t, b.Reconfigure(batching.Config{MaxWait: 10 * ms}))
		answered(t, one, 1)
		require.Zero(t, time.Since(m.start))
		answered(t, async(t.Context(), b.Do, 2), 2)
		require.Equal(t, 10*ms, time.Since(m.start), "the old timer is of no effect")
	})
}

func TestBadConfig(t *testing.T) {
	run := func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }
	weight, pad := batching.WithWeight(identity), batching.WithPad(identity)
	split := batching.WithSplit(func(int, int) []int { return nil }, func([]int) (int, error) { return 0, nil })
	wrongJoin := batching.WithSplit(func(int, int) []int { return nil }, func([]string) (string, error) { return "", nil })
	type opts = []batching.Option[int]
	for name, c := range map[string]struct {
		cfg  batching.Config
		opts opts
		want string
	}{
		"MaxSize":            {batching.Config{MaxSize: -1}, nil, "MaxSize is negative"},
		"MaxWeight":          {batching.Config{MaxWeight: -1}, opts{weight}, "MaxWeight is negative"},
		"MaxWait":            {batching.Config{MaxWait: -1}, nil, "MaxWait is negative"},
		"Concurrency":        {batching.Config{Concurrency: -1}, nil, "Concurrency is negative"},
		"MaxQueue":           {batching.Config{MaxQueue: -1}, nil, "MaxQueue is negative"},
		"MaxQueueWeight":     {batching.Config{MaxQueueWeight: -1}, opts{weight}, "MaxQueueWeight is negative"},
		"MaxExtraRuns":       {batching.Config{MaxExtraRuns: -1}, nil, "MaxExtraRuns is negative"},
		"small queue":        {batching.Config{MaxSize: 8, MaxQueue: 7}, nil, "less than MaxSize"},
		"small queue weight": {batching.Config{MaxWeight: 8, MaxQueueWeight: 7}, opts{weight}, "less than MaxWeight"},
		"no weight":          {batching.Config{MaxWeight: 8}, nil, "need WithWeight"},
		"no pad":             {batching.Config{AllowedSizes: []int{1}}, nil, "needs WithPad"},
		"no sizes":           {batching.Config{}, opts{pad}, "needs Config.AllowedSizes"},
		"sizes not sorted":   {batching.Config{AllowedSizes: []int{1, 4, 2}}, opts{pad}, "ascending"},
		"size zero":          {batching.Config{AllowedSizes: []int{0, 4}}, opts{pad}, "positive"},
		"sizes too small":    {batching.Config{MaxSize: 8, AllowedSizes: []int{4}}, opts{pad}, "more than the largest"},
		"split unbounded":    {batching.Config{}, opts{weight, split}, "needs Config.MaxWeight"},
		"join of others":     {batching.Config{MaxWeight: 8}, opts{weight, wrongJoin}, "join is func([]string)"},
		"nil option":         {batching.Config{}, opts{nil}, "nil Option"},
		"nil weight":         {batching.Config{}, opts{batching.WithWeight[int](nil)}, "nil function"},
		"nil pad":            {batching.Config{}, opts{batching.WithPad[int](nil)}, "nil function"},
		"nil split":          {batching.Config{}, opts{batching.WithSplit[int, int](nil, nil)}, "nil function"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := batching.New(run, c.cfg, c.opts...)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, b)
		})
	}
	_, err := batching.New[int, int](nil, batching.Config{})
	require.ErrorContains(t, err, "nil run function")
	_, err = batching.NewKeyed[int, int, int](nil, nil, batching.Config{})
	require.ErrorContains(t, err, "nil key or run function")

	b, err := batching.New(run, batching.Config{})
	require.NoError(t, err)
	defer b.Close()
	require.Error(t, b.Reconfigure(batching.Config{MaxSize: -1}))
	require.Equal(t, batching.Config{}, b.Config(), "nothing changes")
}

// What is not given goes on to follow what is, when the configuration is taken, changed and put back.
func TestDefaultsAfterReconfigure(t *testing.T) {
	b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }, batching.Config{RejectWhenFull: true})
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, batching.DefaultMaxSize, b.Stats().SizeLimit)
	cfg := b.Config()
	cfg.MaxSize = 2 * batching.DefaultMaxQueue
	require.NoError(t, b.Reconfigure(cfg), "MaxQueue follows MaxSize")
	require.Equal(t, cfg, b.Config())
	require.Equal(t, cfg.MaxSize, b.Stats().SizeLimit)
	_, err = b.DoAll(t.Context(), make([]int, 16*cfg.MaxSize))
	require.NoError(t, err)
	_, err = b.DoAll(t.Context(), make([]int, 16*cfg.MaxSize+1))
	require.ErrorIs(t, err, batching.ErrQueueFull)
}

func TestConfigIsNotShared(t *testing.T) {
	sizes := []int{2, 4}
	b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil },
		batching.Config{AllowedSizes: sizes}, batching.WithPad(identity))
	require.NoError(t, err)
	defer b.Close()
	sizes[0] = 99
	require.Equal(t, []int{2, 4}, b.Config().AllowedSizes)
	b.Config().AllowedSizes[0] = 99
	require.Equal(t, []int{2, 4}, b.Config().AllowedSizes)
	cfg := b.Config()
	require.NoError(t, b.Reconfigure(cfg))
	cfg.AllowedSizes[0] = 99
	require.Equal(t, []int{2, 4}, b.Config().AllowedSizes)
}

func TestReasonString(t *testing.T) {
	require.Equal(t, "size", batching.ReasonSize.String())
	require.Equal(t, "close", batching.ReasonClose.String())
	require.Equal(t, "Reason(99)", batching.Reason(99).String())
}

// In the steady state a request costs no allocation, whoever waits for it and how; a batch costs a few.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop items")
	}
	const size, perBatch = 64, 8
	b, err := batching.New(func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil },
		batching.Config{MaxSize: size, MaxWait: time.Hour})
	require.NoError(t, err)
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"background": context.Background(), "with deadline": ctx} {
		var start, done sync.WaitGroup
		calls := make(chan struct{})
		for range size {
			start.Add(1)
			go func() {
				start.Done()
				for range calls {
					if _, err := b.Do(ctx, 1); err != nil {
						panic(errors.Join(errors.New(name), err))
					}
					done.Done()
				}
			}()
		}
		start.Wait()
		allocs := testing.AllocsPerRun(200, func() {
			done.Add(size)
			for range size {
				calls <- struct{}{}
			}
			done.Wait()
		})
		close(calls)
		require.LessOrEqual(t, allocs, float64(perBatch), "%s: for a batch of %d", name, size)
	}
}
