package session_test

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

	"github.com/scalable-ai/patterns/pool/session"
)

// yield lets other goroutines run, so many times: a pause without a clock.
func yield(times int) {
	for range times {
		runtime.Gosched()
	}
}

// frail is a session that notices misuse.
type frail struct {
	users  atomic.Int32
	closed atomic.Bool
}

type stress struct {
	p                           *session.Pool[*frail, int, int]
	exist                       atomic.Int32
	cfg                         session.Config
	answered, failed, seen      atomic.Uint64
	gone, closed, full, unready atomic.Uint64
}

// TestStress lets cancellation, recycling, growing and Close race with each other on real goroutines. Every call must have exactly one
// outcome, and the outcomes must add up to what Stats says.
func TestStress(t *testing.T) {
	for round := range uint64(60) {
		(&stress{}).round(t, rand.New(rand.NewPCG(round, 0)))
		if t.Failed() {
			return
		}
	}
}

func (s *stress) open(ctx context.Context) (*frail, error) {
	if n := s.exist.Add(1); int(n) > s.cfg.Max {
		panic("more sessions than Max")
	}
	yield(10)
	if rand.IntN(8) == 0 || ctx.Err() != nil {
		s.exist.Add(-1)
		return nil, errModel
	}
	return &frail{}, nil
}

func (s *stress) close(f *frail) {
	if f.closed.Swap(true) || f.users.Load() != 0 {
		panic("closed twice, or while it is used")
	}
	yield(5)
	s.exist.Add(-1)
}

func (s *stress) use(ctx context.Context, f *frail, req int) (int, error) {
	s.seen.Add(1)
	if n := f.users.Add(1); int(n) > max(s.cfg.PerSession, 1) || f.closed.Load() {
		panic("too many users, or closed")
	}
	defer f.users.Add(-1)
	switch req % 64 {
	case 1:
		yield(50)
	case 2:
		return 0, errModel
	case 3:
		return 0, session.Bad(errModel)
	case 4:
		panic(errModel)
	case 5:
		<-ctx.Done()
		return 0, errModel
	}
	return -req, nil
}

func (s *stress) round(t *testing.T, random *rand.Rand) {
	const callers, calls = 16, 40
	s.cfg = session.Config{
		Min: random.IntN(2), Max: 1 + random.IntN(3), MaxUses: random.IntN(2) * 20, MaxQueue: 1 + random.IntN(20),
		RejectWhenFull: random.IntN(3) == 0, LockThread: random.IntN(3) == 0, Backoff: 1, MaxBackoff: 1000,
		TargetDelay: time.Microsecond, Interval: time.Microsecond, Cooldown: time.Microsecond, IdleTimeout: 20 * time.Microsecond,
		CheckEvery: 50 * time.Microsecond,
	}
	if !s.cfg.LockThread {
		s.cfg.PerSession = 1 + random.IntN(3)
	}
	opts := []session.Option{session.WithCheck(func(context.Context, *frail) error { return nil })}
	if random.IntN(2) == 0 {
		opts = append(opts, session.WithKey(func(req int) int { return req % 5 }))
	}
	var err error
	s.p, err = session.New(s.open, s.close, s.use, s.cfg, opts...)
	require.NoError(t, err)

	var wg, others sync.WaitGroup
	var made atomic.Int64
	for caller := range callers {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		wg.Go(func() {
			for call := range calls {
				s.call(t, random, caller*calls+call)
				made.Add(1)
			}
		})
	}
	over := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			v := s.p.Stats()
			if v.Accepted != v.Answered+v.Failed+v.Abandoned+uint64(v.Running+v.Queued+v.Blocked)+v.Drops.Cancelled+v.Drops.Expired+v.Drops.Closed+v.Drops.Unopened {
				t.Errorf("the books do not add up: %+v", v)
			}
			yield(20)
		}
	})
	closeAt := min(random.Int64N(callers*calls*5/4), callers*calls)
	others.Go(func() {
		for made.Load() < closeAt {
			yield(10)
		}
		var both sync.WaitGroup
		both.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Microsecond)
			defer cancel()
			_ = s.p.Shutdown(ctx)
		})
		both.Go(func() { _ = s.p.Close() })
		_ = s.p.Close()
		both.Wait()
	})
	wg.Wait()
	close(over)
	others.Wait()

	v := s.p.Stats()
	require.Zero(t, v.Queued+v.Blocked+v.Running+v.Load+v.Sessions+v.Opening+v.Leaving, "%+v", v)
	require.Zero(t, s.exist.Load())
	require.Equal(t, s.answered.Load(), v.Answered)
	require.Equal(t, s.failed.Load(), v.Failed)
	require.GreaterOrEqual(t, s.closed.Load(), v.Drops.Closed)
	require.Equal(t, s.full.Load(), v.Drops.Rejected)
	require.Equal(t, s.unready.Load(), v.Drops.Refused+v.Drops.Unopened)
	require.Equal(t, s.gone.Load(), v.Abandoned+v.Drops.Cancelled+v.Drops.Expired)
	require.Equal(t, s.seen.Load(), v.Answered+v.Failed+v.Abandoned)
}

// call makes one call and counts its outcome.
func (s *stress) call(t *testing.T, random *rand.Rand, req int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	pause := 2000 // requests that wait for the end of their context need one
	if random.IntN(3) == 0 {
		pause = random.IntN(60)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for range pause {
			select {
			case <-done:
				return
			default:
				runtime.Gosched()
			}
		}
		cancel(errGone)
	}()
	resp, err := s.try(ctx, req)
	switch {
	case err == nil:
		s.answered.Add(1)
		if resp != -req {
			t.Errorf("request %d was answered %d", req, resp)
		}
	case errors.Is(err, session.ErrOpen):
		s.unready.Add(1)
	case errors.Is(err, errModel):
		s.failed.Add(1)
	case err == errGone: //nolint:errorlint // the cause itself
		s.gone.Add(1)
	case errors.Is(err, session.ErrClosed):
		s.closed.Add(1)
	case errors.Is(err, session.ErrQueueFull):
		s.full.Add(1)
		yield(10)
	default:
		t.Errorf("request %d got %v", req, err)
	}
}

// try calls Do or, for some requests, does the same with a lease.
func (s *stress) try(ctx context.Context, req int) (resp int, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = v.(error)
		}
	}()
	if s.cfg.LockThread || req%7 != 0 {
		return s.p.Do(ctx, req)
	}
	lease, err := s.p.Acquire(ctx, req)
	if err != nil {
		return 0, err
	}
	err = errModel // for a panic
	defer func() { lease.Release(err) }()
	resp, err = s.use(lease.Context(), lease.Session(), req)
	return resp, err
}
