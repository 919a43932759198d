package pool_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/pool"
)

// TestStress lets submission, cancellation, nested calls, Resize and Close race with each other on real goroutines. Each call must have
// one outcome, and the outcomes must add up to what Stats says.
func TestStress(t *testing.T) {
	for round := range uint64(60) {
		s := &stress{}
		s.round(t, rand.New(rand.NewPCG(round, 0)))
		if t.Failed() {
			return
		}
	}
}

type stress struct {
	p       *pool.Pool[int, int]
	size    int64 // the most that it ever is
	running atomic.Int64
	numbers atomic.Int64
	ran     [stressCallers * stressCalls]atomic.Int64 // how often the function has seen each request

	answered, failed, gone, closed, rejected atomic.Uint64
	submitted                                atomic.Uint64 // let in by Submit: the outcome is told to nobody
	safe                                     sync.Map      // the numbers of those whose contexts do not end
	behind                                   sync.WaitGroup
	inside, insideRan                        atomic.Uint64 // the same from inside, and those of them that were executed
	panics                                   atomic.Uint64 // that Config.OnPanic has seen
}

const (
	stressCallers = 12
	stressCalls   = 40
)

func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

// What the function submits from inside, with a context that ends with it and with one that does not.
const (
	stressInside = math.MinInt + iota
	stressInsideSafe
)

func (s *stress) run(ctx context.Context, req int) (int, error) {
	if req <= stressInsideSafe {
		if req == stressInsideSafe {
			s.insideRan.Add(1)
		}
		yield(2)
		return 0, nil
	}
	if req < 0 { // inside
		yield(-req % 4)
		if req%7 == 0 {
			return 0, errModel
		}
		return -req, nil
	}
	if s.running.Add(1) > s.size {
		panic("too many run")
	}
	defer s.running.Add(-1)
	s.ran[req/16].Add(1)
	switch req % 16 {
	case 1:
		yield(20)
	case 2:
		return 0, errModel
	case 3:
		panic(errModel)
	case 4:
		runtime.Goexit()
	case 5:
		<-ctx.Done()
		return 0, ctx.Err()
	case 6, 7:
		_, err := s.p.Do(ctx, -req)
		return req, err
	case 8, 9:
		f, g := s.p.Go(ctx, -req), s.p.Go(ctx, -req-1)
		if _, err := g.Wait(ctx); err != nil {
			return 0, err
		}
		_, err := f.Wait(ctx)
		return req, err
	case 10:
		_ = s.p.Submit(ctx, stressInside)
		s.submitInside(ctx)
		s.submitInside(pool.WithPriority(ctx, -1))
	case 11: // some of these are left behind
		s.behind.Go(func() { _ = s.p.Submit(ctx, stressInside) })
		s.behind.Go(func() { s.submitInside(ctx) })
		s.behind.Go(func() { s.submitInside(ctx) })
		yield(req / 16 % 4)
	}
	return req, nil
}

// submitInside submits a request from inside of another, to outlive it.
func (s *stress) submitInside(ctx context.Context) {
	if s.p.Submit(context.WithoutCancel(ctx), stressInsideSafe) == nil {
		s.inside.Add(1)
	}
}

// panicked is the pool's OnPanic.
func (s *stress) panicked(*pool.PanicError) {
	s.panics.Add(1)
	_ = s.p.Stats()
}

func (s *stress) round(t *testing.T, random *rand.Rand) {
	s.size = 4
	if random.IntN(2) == 0 { // with lanes
		s.size = stressCallers
	}
	most := int(s.size)
	cfg := pool.Config{Size: 1 + random.IntN(most), MaxQueue: 1 + random.IntN(6), RejectWhenFull: random.IntN(3) == 0}
	cfg.OnPanic = s.panicked
	var err error
	s.p, err = pool.New(s.run, cfg)
	require.NoError(t, err)
	s.p.HastenLanes()
	var callers, others sync.WaitGroup
	var calls atomic.Int64
	for range stressCallers {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		callers.Go(func() {
			for range stressCalls {
				s.call(t, random)
				calls.Add(1)
			}
		})
	}
	over := make(chan struct{})
	others.Go(func() {
		for size := 1; ; size = 1 + size%most {
			select {
			case <-over:
				return
			default:
			}
			// Also to fewer than run, while some wait for room.
			if err := s.p.Resize(size); err != nil {
				t.Error(err)
			}
			v := s.p.Stats()
			if v.Running < 0 || v.Running > most || v.Busy > most || v.Workers > most || v.Queued > cfg.MaxQueue+most {
				t.Errorf("the books do not add up: %+v", v)
			}
			yield(20)
		}
	})
	closeAt := random.Int64N(stressCallers * stressCalls * 5 / 4) // more than there are: after the last
	others.Go(func() {
		for calls.Load() < closeAt {
			select {
			case <-over:
				return
			default:
				runtime.Gosched()
			}
		}
		if random.IntN(2) == 0 {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = s.p.Shutdown(ctx)
		}
		if err := s.p.Close(); err != nil || s.running.Load() != 0 {
			t.Errorf("%v, %d run after Close", err, s.running.Load())
		}
	})
	callers.Wait()
	close(over)
	others.Wait()
	require.NoError(t, s.p.Shutdown(context.Background()))
	require.NoError(t, s.p.Close())
	s.behind.Wait()
	v := s.p.Stats()
	checkBooks(t, v)
	require.EqualValues(t, stressCallers*stressCalls,
		s.answered.Load()+s.failed.Load()+s.gone.Load()+s.closed.Load()+s.rejected.Load()+s.submitted.Load())
	require.Equal(t, v.Panics, s.panics.Load())
	lost := s.inside.Load() - s.insideRan.Load()
	for number := range s.ran {
		n := s.ran[number].Load()
		require.LessOrEqual(t, n, int64(1), "request %d", number)
		if _, safe := s.safe.Load(number); safe && n == 0 {
			lost++
		}
	}
	require.LessOrEqual(t, lost, v.Drops.Closed+v.Drops.Evicted, "%+v", v)
}

// call makes one call and counts its outcome.
func (s *stress) call(t *testing.T, random *rand.Rand) {
	number := int(s.numbers.Add(1)) - 1
	req := number*16 + random.IntN(16)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if random.IntN(2) == 0 {
		ctx = pool.WithPriority(ctx, random.IntN(3))
	}
	if n := random.IntN(60); n < 30 || req%16 == 5 {
		go func() {
			yield(n)
			cancel(errGaveUp)
		}()
	} else if random.IntN(2) == 0 {
		ctx = context.Background()
	}
	var (
		resp int
		err  error
	)
	switch random.IntN(3) {
	case 0:
		err = s.p.Submit(ctx, req)
		if err == nil {
			s.submitted.Add(1)
			if ctx.Done() == nil {
				s.safe.Store(number, true)
			}
			yield(random.IntN(40)) // before its context ends
			return
		}
		if errors.Is(err, errModel) || s.ran[number].Load() != 0 {
			t.Errorf("Submit: %v, but it has been executed", err)
		}
	case 1:
		err = pool.ErrGoexit // which may end the goroutine
		var do sync.WaitGroup
		do.Go(func() { resp, err = s.p.Do(ctx, req) })
		do.Wait()
	default:
		f := s.p.Go(ctx, req)
		if random.IntN(8) == 0 {
			go f.Cancel()
		}
		if random.IntN(4) == 0 {
			<-f.Done()
		}
		resp, err = f.Wait(context.Background())
	}
	var panicked *pool.PanicError
	switch {
	case err == nil && resp == req:
		s.answered.Add(1)
	case errors.As(err, &panicked) && panicked.Value == "too many run":
		t.Error(err)
	case errors.Is(err, errModel), errors.Is(err, pool.ErrGoexit):
		s.failed.Add(1)
	case errors.Is(err, errGaveUp), errors.Is(err, context.Canceled):
		s.gone.Add(1)
	case errors.Is(err, pool.ErrClosed):
		s.closed.Add(1)
	case errors.Is(err, pool.ErrQueueFull): // also from inside
		s.rejected.Add(1)
	default:
		t.Errorf("%d, %v", resp, err)
	}
}

// TestMapStress lets everything that ends a range race with the work.
func TestMapStress(t *testing.T) {
	for round := range uint64(300) {
		random := rand.New(rand.NewPCG(round, 1))
		cfg := pool.MapConfig{Workers: 1 + random.IntN(4), ContinueOnError: random.IntN(2) == 0}
		cfg.Buffer = cfg.Workers + random.IntN(20)
		n, bad, leave := random.IntN(400), random.IntN(800), random.IntN(800)
		ctx, cancel := context.WithCancelCause(context.Background())
		at := random.IntN(800)
		var running atomic.Int64
		fn := func(_ context.Context, i int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			switch {
			case i == at:
				cancel(errGaveUp)
			case i != bad:
				yield(i % 3)
			case i%3 == 0:
				return 0, errModel
			case i%3 == 1:
				panic(errModel)
			default:
				runtime.Goexit()
			}
			return i, nil
		}
		do, ordered := pool.Map[int, int], true
		if round%2 == 0 {
			do, ordered = pool.MapUnordered[int, int], false
		}
		seen, ended := 0, false
		for i, err := range do(ctx, count(n), fn, cfg) {
			require.False(t, ended, "nothing comes after the last result")
			switch {
			case errors.Is(err, errGaveUp):
				ended = true
			case err != nil:
				require.True(t, errors.Is(err, errModel) || errors.Is(err, pool.ErrGoexit), "%v", err)
				ended = !cfg.ContinueOnError
			case ordered:
				require.Equal(t, seen, i)
			}
			if seen++; seen > leave {
				break
			}
		}
		require.Zero(t, running.Load())
		if !ended && seen <= leave {
			require.Equal(t, n, seen)
		}
		cancel(nil)
	}
}
