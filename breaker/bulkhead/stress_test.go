package bulkhead_test

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

	"github.com/scalable-ai/patterns/breaker/bulkhead"
)

const (
	stressRounds  = 30
	stressCallers = 8
	stressCalls   = 150
)

// TestStress lets callers and those who meddle race for real. If a wake-up were lost, it would hang.
func TestStress(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range stressRounds {
		newStress(t, random).round(t, random)
		if t.Failed() {
			return
		}
	}
}

type stress struct {
	b       *bulkhead.Bulkhead[int, int]
	cfg     bulkhead.Config
	striped bool         // with stripes, which are opened at any time
	strict  bool         // nobody resizes or settles for more, so the capacity is a bound at every moment
	inUse   atomic.Int64 // what the callers know to hold

	admitted, gone atomic.Uint64
	rejected       [6]atomic.Uint64
}

func newStress(t *testing.T, random *rand.Rand) *stress {
	s := &stress{strict: random.IntN(2) == 0}
	s.cfg = bulkhead.Config{
		Capacity:     1 + random.IntN(8),
		MaxQueue:     random.IntN(stressCallers),
		MaxOvertakes: 1 + random.IntN(3),
		Ageing:       time.Duration(1 + random.IntN(100_000)),
		NoEstimate:   random.IntN(2) == 0,
		OnReject:     func(e bulkhead.RejectEvent) { s.rejected[e.Reason].Add(1) },
	}
	if s.cfg.MaxQueue > 0 {
		s.cfg.MaxWait = time.Duration(random.IntN(3)) * 100 * time.Microsecond
	}
	var err error
	s.b, err = bulkhead.New(s.run, s.cfg, bulkhead.WithCost(func(n int) int { return n / 8 }))
	require.NoError(t, err)
	if s.striped = random.IntN(2) == 0; s.striped {
		s.b.UseStripes(2)
	}
	return s
}

// hold notes that the cost is held by its caller.
func (s *stress) hold(cost int64) {
	if s.inUse.Add(cost) > int64(s.cfg.Capacity) && s.strict {
		panic("more is held than there is")
	}
}

func (s *stress) drop(cost int64) { s.inUse.Add(-cost) }

// run is the model: the request tells its cost and what it does.
func (s *stress) run(_ context.Context, n int) (int, error) {
	s.hold(int64(n / 8))
	defer s.drop(int64(n / 8))
	s.admitted.Add(1)
	switch n % 8 {
	case 0:
		yield(20)
	case 1:
		panic(errModel)
	case 2:
		runtime.Goexit()
	case 3:
		return 0, errModel
	}
	return n, nil
}

// yield lets other goroutines run, so many times: a pause without a clock.
func yield(times int) {
	for range times {
		runtime.Gosched()
	}
}

func (s *stress) round(t *testing.T, random *rand.Rand) {
	var callers, others sync.WaitGroup
	for range stressCallers {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		callers.Go(func() {
			for range stressCalls {
				over := make(chan struct{})
				go func() { // of its own, because it may end by Goexit
					defer close(over)
					s.call(t, random)
				}()
				<-over
			}
		})
	}
	over := make(chan struct{})
	others.Go(func() {
		for capacity := s.cfg.Capacity; ; yield(20) {
			select {
			case <-over:
				return
			default:
			}
			if !s.strict {
				capacity = 1 + capacity%8
				if err := s.b.Resize(capacity); err != nil {
					t.Error(err)
				}
			}
			if s.striped {
				s.b.OpenStripes()
			}
			if v := s.b.Stats(); v.InUse < 0 || s.strict && v.InUse > int64(v.Capacity) || v.Queued > s.cfg.MaxQueue {
				t.Errorf("the books do not add up: %+v", v)
			}
		}
	})
	callers.Wait()
	close(over)
	others.Wait()

	v := s.b.Stats()
	require.Zero(t, v.InUse)
	require.Zero(t, v.Queued)
	require.Zero(t, v.QueuedCost)
	require.Equal(t, s.admitted.Load(), v.Admitted)
	require.LessOrEqual(t, v.Cancelled+v.Expired, s.gone.Load(), "some may have been gone when they came")
	require.Equal(t, bulkhead.Rejections{
		Full: s.rejected[0].Load(), Evicted: s.rejected[1].Load(), Deadline: s.rejected[2].Load(),
		MaxWait: s.rejected[3].Load(), TooLarge: s.rejected[4].Load(), BadRequest: s.rejected[5].Load(),
	}, v.Rejected)
	require.EqualValues(t, stressCallers*stressCalls, v.Admitted+s.gone.Load()+v.Rejected.Sum(), "one outcome for each call")
	p, err := s.b.TryAcquire(v.Capacity)
	require.NoError(t, err, "all is free, and nobody is in the way")
	p.Release()
}

// call makes one call in one of the possible ways.
func (s *stress) call(t *testing.T, random *rand.Rand) {
	ctx, cancel := context.WithCancel(bulkhead.WithPriority(context.Background(), random.IntN(7)-3))
	defer cancel()
	switch random.IntN(4) {
	case 0:
		pause := random.IntN(40)
		go func() {
			yield(pause)
			cancel()
		}()
	case 1:
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(1+random.IntN(200))*time.Microsecond)
		defer stop()
	}
	cost := random.IntN(s.cfg.Capacity + 1)
	switch random.IntN(5) {
	case 0, 1:
		n := 8*cost + random.IntN(8)
		defer func() { _ = recover() }()
		_, err := s.b.Do(ctx, n)
		s.failed(t, err)
	case 2:
		p, err := s.b.TryAcquire(cost)
		if s.failed(t, err) {
			return
		}
		s.admitted.Add(1)
		s.use(t, p, int64(cost), random)
	default:
		p, err := s.b.Acquire(ctx, cost)
		if s.failed(t, err) {
			return
		}
		s.admitted.Add(1)
		s.use(t, p, int64(cost), random)
	}
}

// use holds a permit for a while, settles it and releases it several times at once.
func (s *stress) use(t *testing.T, p *bulkhead.Permit, cost int64, random *rand.Rand) {
	s.hold(cost)
	yield(random.IntN(20))
	var several sync.WaitGroup
	switch random.IntN(4) {
	case 0:
		less := random.Int64N(cost + 1)
		s.drop(cost - less)
		cost = less
		if err := p.Settle(int(less)); err != nil {
			t.Error(err)
		}
		yield(random.IntN(20))
	case 1:
		if s.strict {
			break
		}
		for range 2 { // races with the other, and with Release
			actual := random.IntN(2 * s.cfg.Capacity)
			several.Go(func() {
				if err := p.Settle(actual); err != nil {
					t.Error(err)
				}
			})
		}
	}
	s.drop(cost)
	several.Go(p.Release)
	p.Release()
	several.Wait()
}

// failed counts the outcome that is not an admission, and reports whether it is one.
func (s *stress) failed(t *testing.T, err error) bool {
	var rejected *bulkhead.RejectedError
	switch {
	case err == nil, errors.Is(err, errModel):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.gone.Add(1)
	case !errors.As(err, &rejected) && !errors.Is(err, bulkhead.ErrTooLarge):
		t.Errorf("an error that should not be: %v", err)
	}
	return true
}
