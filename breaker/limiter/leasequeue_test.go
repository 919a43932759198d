package limiter_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// FuzzLeaseAndQueue plays programs in which requests that have a lease meet others that wait, are cancelled, paused or given back. Nobody
// goes before one who waits, nothing goes that is not there in exact buckets, and the head waits only for what is not there, but
// for what a lease may hold back.
func FuzzLeaseAndQueue(f *testing.F) {
	fuzzPrograms(f, 60, func(t *testing.T, p program) {
		t.Helper()
		(&leasePlay{program: p}).play(t)
	})
}

type leasePlay struct {
	program
	l       *intLimiter
	start   time.Time
	mu      sync.Mutex    // guards what those who go at the same moment charge
	exact   [2]rateBucket // requests, cost
	paused  time.Time
	waiting []*leaseCall // in the order of arrival
	permits []*limiter.Permit
}

type leaseCall struct {
	cost   int
	cancel context.CancelFunc
	out    <-chan outcome
}

func (p *leasePlay) play(t *testing.T) {
	limit := func() limiter.Limit {
		return []limiter.Limit{
			large, {Events: 1000, Per: time.Second, Burst: 1024}, {Events: 1, Per: ms, Burst: 5000}, {Events: 7, Per: 50 * ms, Burst: 3000},
			{Events: 5, Per: time.Second, Burst: leaseShare},
		}[p.next(5)]
	}
	cfg := limiter.Config{Requests: limit(), Cost: limit()}
	p.start = time.Now()
	for i, limit := range []limiter.Limit{cfg.Requests, cfg.Cost} {
		limit.Burst = max(limit.Burst, limit.Events)
		p.exact[i] = rateBucket{start: p.start}
		p.exact[i].set(0, limit)
	}
	// What goes is charged at the moment when it goes, and in that order.
	next := func(_ context.Context, cost int) (int, error) {
		p.went(t, cost)
		return cost, nil
	}
	var err error
	p.l, err = limiter.New(next, cfg, limiter.WithCost(itself))
	require.NoError(t, err)
	for len(p.program) > 0 {
		p.step(t)
		p.check(t)
	}
	for _, c := range p.waiting {
		c.cancel()
	}
	synctest.Wait()
}

func (p *leasePlay) step(t *testing.T) {
	switch p.next(12) {
	case 0, 1:
		time.Sleep([]time.Duration{1, ms, 100 * ms, time.Second, time.Minute}[p.next(5)])
	case 2:
		d := time.Duration(p.next(100)) * ms
		p.l.Pause(d)
		if until := time.Now().Add(d); until.After(p.paused) {
			p.paused = until
		}
	case 3:
		if len(p.waiting) > 0 {
			p.waiting[p.next(len(p.waiting))].cancel()
		}
	case 4:
		if permit, err := p.l.TryAcquire(p.next(100)); err == nil {
			p.went(t, permit.Cost())
			p.permits = append(p.permits, permit)
		}
	case 5:
		if n := len(p.permits); n > 0 {
			p.mu.Lock()
			for i, n := range []int{1, p.permits[n-1].Cost()} {
				p.exact[i].credit(time.Since(p.start), n)
			}
			p.mu.Unlock()
			p.permits[n-1].Cancel()
			p.permits = p.permits[:n-1]
		}
	case 6, 7:
		p.call(t, p.next(256)*4)
	default:
		for c, n := p.next(8), p.next(200); n > 0 && len(p.waiting) < 20; n-- {
			p.call(t, c)
		}
	}
}

func (p *leasePlay) call(t *testing.T, cost int) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &leaseCall{cost: cost, cancel: cancel}
	waits := len(p.waiting) > 0
	c.out = async(func() error {
		defer cancel()
		_, err := p.l.Do(ctx, cost)
		return err
	})
	select {
	case o := <-c.out:
		require.NoError(t, o.err)
		require.False(t, waits, "it went before one who waits")
	default:
		p.waiting = append(p.waiting, c)
	}
}

// went notes that a request was let through.
func (p *leasePlay) went(t *testing.T, cost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.start)
	if now < p.paused.Sub(p.start) {
		t.Errorf("let through in a pause")
	}
	for i, n := range []int{1, cost} {
		if level := p.exact[i].level(now); n > 0 && level < float64(n)-1e-2 {
			t.Errorf("let through %d at a level of %v", n, level)
		}
		p.exact[i].charge(now, n)
	}
}

func (p *leasePlay) check(t *testing.T) {
	synctest.Wait()
	var still []*leaseCall
	for _, c := range p.waiting {
		select {
		case o := <-c.out:
			if o.err == nil {
				require.Empty(t, still, "it went before one who waits")
			}
		default:
			still = append(still, c)
		}
	}
	if p.waiting = still; len(still) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.start)
	there := !time.Now().Before(p.paused)
	for i, n := range []int{1, still[0].cost} {
		b := &p.exact[i]
		there = there && (n == 0 || b.level(now)-float64(b.limit.Burst)/leaseShare > float64(n)+1e-2)
	}
	require.False(t, there, "it waits for what is there")
}
