package batching_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

const (
	stressRounds  = 80
	stressCallers = 16
	stressCalls   = 40 // of each caller, in each round
	stressMost    = 5  // requests in a call
)

var errGaveUp = errors.New("the caller gave up")

// TestStress lets cancellation, dispatch, the end of runs and Close race with each other on real goroutines. Every call must
// have exactly one outcome, and the outcomes must add up to what Stats says.
func TestStress(t *testing.T) {
	for round := range uint64(stressRounds) {
		s := &stress{ran: make([]atomic.Int32, stressCallers*stressCalls*stressMost)}
		s.round(t, rand.New(rand.NewPCG(round, 0)))
		if t.Failed() {
			return
		}
	}
}

type stress struct {
	b     *batching.Keyed[int, int, int]
	extra bool // bisection may run requests again
	ran   []atomic.Int32
	calls atomic.Int64

	answered, failed, gone, unknown, closed, rejected atomic.Uint64
}

func (s *stress) run(ctx context.Context, key int, reqs []int) ([]int, error) {
	resps := make([]int, len(reqs))
	var each batching.ItemErrors
	for i, req := range reqs {
		if s.ran[req].Add(1) > 1 && !s.extra {
			panic("a request runs twice")
		}
		if req%3 != key {
			panic("keys are mixed")
		}
		resps[i] = -req
	}
	switch first := reqs[0]; first % 64 {
	case 1:
		yield(50)
	case 2:
		return nil, errModel
	case 3:
		panic(errModel)
	case 4:
		defer runtime.Goexit()
	case 5:
		each = make(batching.ItemErrors, len(reqs))
		each[0] = errModel
		return resps, each
	case 6:
		<-ctx.Done() // until all callers have gone, or Close
		return nil, errModel
	case 7:
		return resps[1:], nil
	}
	return resps, nil
}

func (s *stress) round(t *testing.T, random *rand.Rand) {
	cfg := batching.Config{
		MaxSize:        1 + random.IntN(8),
		MaxWeight:      5 + random.IntN(8),
		MaxWait:        time.Duration(random.IntN(3)) * 50 * time.Microsecond,
		Concurrency:    1 + random.IntN(3),
		RejectWhenFull: random.IntN(3) == 0,
		MaxExtraRuns:   random.IntN(2) * 4,
	}
	cfg.MaxQueue = cfg.MaxSize + random.IntN(8)
	cfg.MaxQueueWeight = cfg.MaxWeight + random.IntN(16)
	s.extra = cfg.MaxExtraRuns > 0
	var err error
	s.b, err = batching.NewKeyed(func(req int) int { return req % 3 }, s.run, cfg,
		batching.WithWeight(func(req int) int { return req % 5 }))
	require.NoError(t, err)

	var callers, others sync.WaitGroup
	for caller := range stressCallers {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		callers.Go(func() {
			for call := range stressCalls {
				s.call(t, random, (caller*stressCalls+call)*stressMost)
				s.calls.Add(1)
			}
		})
	}
	over := make(chan struct{})
	others.Go(func() { // meddles, and watches the books
		for resized := cfg; ; {
			select {
			case <-over:
				return
			default:
			}
			resized.Concurrency = 1 + resized.Concurrency%3
			if err := s.b.Reconfigure(resized); err != nil {
				t.Error(err)
			}
			s.b.Flush()
			if v := s.b.Stats(); v.Accepted != v.Answered+v.Failed+v.Abandoned+v.Drops.Cancelled+v.Drops.Expired+v.Drops.Closed+
				uint64(v.Queued+v.Blocked+v.Running) || v.Queued > cfg.MaxQueue || v.QueuedWeight > int64(cfg.MaxQueueWeight) {
				t.Errorf("the books do not add up: %+v", v)
			}
			yield(20)
		}
	})
	closeAt := random.Int64N(stressCallers * stressCalls * 5 / 4) // more than there are: after the last
	others.Go(func() {
		for s.calls.Load() < min(closeAt, stressCallers*stressCalls) {
			yield(10)
		}
		var both sync.WaitGroup
		both.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Microsecond)
			defer cancel()
			if err := s.b.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		both.Go(func() { s.b.Close() })
		s.b.Close()
		both.Wait()
		v := s.b.Stats()
		if v.Queued+v.Blocked+v.Running+v.InFlight+v.Keys != 0 {
			t.Errorf("closed, but %+v", v)
		}
	})
	callers.Wait()
	close(over)
	others.Wait()

	v := s.b.Stats()
	checkBooks(t, v)
	unknown := s.unknown.Load()
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"Answered", v.Answered, s.answered.Load()},
		{"Failed", v.Failed, s.failed.Load()},
	} {
		if c.got < c.want || c.got > c.want+unknown {
			t.Errorf("%s: %d, the callers saw %d, and do not know of %d: %+v", c.what, c.got, c.want, unknown, v)
		}
	}
	if gone := v.Abandoned + v.Drops.Cancelled + v.Drops.Expired; gone > s.gone.Load()+unknown {
		t.Errorf("only %d callers gave up (%d in DoAll): %+v", s.gone.Load()+unknown, unknown, v)
	}
	if v.Drops.Closed > s.closed.Load() || v.Drops.Rejected != s.rejected.Load() {
		t.Errorf("the callers saw ErrClosed %d times and ErrQueueFull %d times: %+v", s.closed.Load(), s.rejected.Load(), v)
	}
}

// yield lets other goroutines run, so many times: a pause without a clock.
func yield(times int) {
	for range times {
		runtime.Gosched()
	}
}

// call makes one call for the requests from first on and checks its outcome.
func (s *stress) call(t *testing.T, random *rand.Rand, first int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	switch random.IntN(4) {
	case 0:
		pause := random.IntN(60)
		go func() {
			yield(pause)
			cancel(errGaveUp)
		}()
	case 1: // run functions that wait for their context end by this, or by a cancellation
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(random.IntN(300))*time.Microsecond, errGaveUp)
		defer stop()
	default:
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, 2*time.Millisecond, errGaveUp)
		defer stop()
	}
	n, all := 1, random.IntN(6) == 0
	var resps []int
	var err error
	if all {
		n = 1 + random.IntN(stressMost)
		reqs := make([]int, n)
		for i := range reqs {
			reqs[i] = first + i
		}
		resps, err = s.b.DoAll(ctx, reqs)
	} else {
		var resp int
		resp, err = s.b.Do(ctx, first)
		resps = []int{resp}
	}
	each, perItem := err.(batching.ItemErrors) //nolint:errorlint // DoAll promises the type itself
	for i := range n {
		if perItem {
			err = each[i]
		}
		ran := s.ran[first+i].Load() > 0
		switch {
		case err == nil:
			s.answered.Add(1)
			if resps[i] != -(first+i) || !ran {
				t.Errorf("request %d was answered %d (ran: %t)", first+i, resps[i], ran)
			}
		case errors.Is(err, errGaveUp) && all:
			s.unknown.Add(1)
		case errors.Is(err, errGaveUp):
			s.gone.Add(1)
		case errors.Is(err, batching.ErrClosed), errors.Is(err, batching.ErrQueueFull):
			if ran {
				t.Errorf("request %d ran and got %v", first+i, err)
			}
			if errors.Is(err, batching.ErrClosed) {
				s.closed.Add(1)
			} else {
				s.rejected.Add(1)
				yield(10)
			}
		case errors.Is(err, errModel), errors.Is(err, batching.ErrGoexit), errors.Is(err, batching.ErrResultCount):
			s.failed.Add(1)
			if !ran {
				t.Errorf("request %d did not run and got %v", first+i, err)
			}
		default:
			t.Errorf("request %d got %v", first+i, err)
		}
	}
}
