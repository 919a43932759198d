package limiter_test

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

	"github.com/scalable-ai/patterns/breaker/limiter"
)

const (
	stressRounds  = 40
	stressCallers = 16
	stressCalls   = 60 // of each caller, in each round
)

// yield lets other goroutines run, so many times: a pause without a clock.
func yield(times int) {
	for range times {
		runtime.Gosched()
	}
}

// TestStress lets cancellation, settlement, the timer, pauses, eviction and new limits race with each other on real goroutines. Every call
// must have exactly one outcome, what is let through must be within the limits, and the books must add up.
func TestStress(t *testing.T) {
	for round := range uint64(stressRounds) {
		s := new(stress)
		s.round(t, rand.New(rand.NewPCG(round, 0)))
		if t.Failed() {
			return
		}
	}
}

type stress struct {
	k       *intKeyed
	calls   atomic.Uint64
	through atomic.Uint64
	cost    atomic.Int64 // of what was let through, as settled
	limited atomic.Uint64
	gone    atomic.Uint64
}

func (s *stress) round(t *testing.T, random *rand.Rand) {
	each := limiter.Limit{Events: 200, Per: time.Millisecond, Burst: 5 + random.IntN(40)}
	total := limiter.Limit{Events: 500, Per: time.Millisecond, Burst: 40 + random.IntN(100)}
	cfg := limiter.KeyedConfig{
		Each:    limiter.Config{Requests: each, Cost: each, MaxQueue: 4 + random.IntN(16), MaxDebt: 10},
		Total:   limiter.Config{Cost: total, NoWait: random.IntN(4) == 0},
		MaxKeys: 1 + random.IntN(4),
	}
	if random.IntN(2) == 0 {
		cfg.Each.MaxWait = time.Duration(1+random.IntN(20)) * 50 * time.Microsecond
	}
	var err error
	s.k, err = limiter.NewKeyed(hundreds, s.serve, cfg, limiter.WithCost(rest),
		limiter.WithActual(func(req, resp int, err error) int {
			if err != nil {
				return limiter.NeverRan
			}
			return resp
		}),
		limiter.WithPause(func(req, _ int, _ error) time.Duration {
			return time.Duration(req%7/6) * 20 * time.Microsecond
		}))
	require.NoError(t, err)

	begin := time.Now()
	var callers, others sync.WaitGroup
	for range stressCallers {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		callers.Go(func() {
			for range stressCalls {
				s.call(t, random)
			}
		})
	}
	over := make(chan struct{})
	others.Go(func() { // meddles, and watches the books
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
			}
			cfg.Each.MaxDebt = 10 + i%3
			if err := s.k.Reconfigure(cfg); err != nil {
				t.Error(err)
			}
			s.k.PauseAll(10 * time.Microsecond)
			_ = s.k.Lower(i%5, -1, 3)
			s.k.Resume(i % 5)
			s.k.Level(i % 5)
			yield(20)
		}
	})
	callers.Wait()
	close(over)
	others.Wait()

	v := s.k.Stats()
	in := s.calls.Load()
	require.Equal(t, in, s.through.Load()+s.limited.Load()+s.gone.Load(), "calls without an outcome")
	e, to := v.Each, v.Total
	counted := e.Admitted + e.Rejected.Sum() + e.Cancelled + e.Expired
	require.LessOrEqual(t, counted, in, "%+v", e)
	require.LessOrEqual(t, in-counted, s.gone.Load(), "only calls whose context had ended do not come in: %+v", e)
	require.Equal(t, e.Admitted, to.Admitted+to.Rejected.Sum()+to.Cancelled+to.Expired, "%+v", v)
	require.Equal(t, s.through.Load(), to.Admitted)
	require.Zero(t, e.Queued+to.Queued)
	require.Equal(t, uint64(s.cost.Load()), to.ReservedCost-to.RefundedCost+to.ExtraCost+to.ForgivenCost)
	room := float64(total.Burst) + float64(total.Events)/float64(total.Per)*float64(time.Since(begin)) + float64(to.ForgivenCost) + 10
	require.LessOrEqual(t, float64(s.cost.Load()), room+float64(total.Burst), "more than the limit was let through") // Burst: the debt
}

func (s *stress) serve(_ context.Context, req int) (int, error) {
	yield(req % 20)
	switch req % 11 {
	case 3:
		s.settled(0)
		return 0, errBackend
	case 4:
		s.settled(0)
		return 0, nil
	case 5:
		s.settled(rest(req) + 6)
		return rest(req) + 6, nil
	case 6:
		s.settled(rest(req)) // as reserved
		panic(errBackend)
	case 7:
		s.settled(rest(req))
		runtime.Goexit()
	}
	s.settled(rest(req))
	return rest(req), nil
}

func (s *stress) settled(cost int) {
	s.through.Add(1)
	s.cost.Add(int64(cost))
}

// call makes one call and checks its outcome.
func (s *stress) call(t *testing.T, random *rand.Rand) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var stop context.CancelFunc
	switch random.IntN(3) {
	case 0:
		pause := random.IntN(40)
		go func() {
			yield(pause)
			cancel(errGaveUp)
		}()
	case 1:
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(random.IntN(300))*time.Microsecond, errGaveUp)
		defer stop()
	default:
		ctx, stop = context.WithTimeoutCause(ctx, 2*time.Millisecond, errGaveUp)
		defer stop()
	}
	req := random.IntN(5)*100 + random.IntN(6)
	s.calls.Add(1)
	var err error
	done := make(chan struct{})
	go func() { // for Goexit
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				err = errBackend
			}
		}()
		err = errBackend // if it exits
		_, err = s.k.Do(ctx, req)
	}()
	<-done
	switch {
	case err == nil, errors.Is(err, errBackend):
	case errors.Is(err, limiter.ErrLimited):
		s.limited.Add(1)
	case errors.Is(err, errGaveUp):
		s.gone.Add(1)
	default:
		t.Errorf("got %v", err)
	}
}
