package limiter_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// most of what one lease may let through
const leaseCalls, leaseShare = 64, 1024

// large is a limit that is large enough for leases.
var large = limiter.Limit{Events: leaseShare * leaseCalls, Per: time.Minute}

// costing is a limiter whose requests are their own cost, and are not settled.
func costing(t testing.TB, cfg limiter.Config) *intLimiter {
	t.Helper()
	l, err := limiter.New(echo, cfg, limiter.WithCost(itself))
	require.NoError(t, err)
	return l
}

// Of a budget, many callers get all there is and nothing more, also where what they take by leases mixes with what they take by permits.
func TestLeasesOfABudget(t *testing.T) {
	for name, c := range map[string]struct {
		budget  int
		cost    func(n int) int
		permits int // one in so many
	}{
		"leases only": {2_000_000, one, math.MaxInt},
		"mixed":       {200_000, func(n int) int { return n%4 + n%2 }, 50},
	} {
		t.Run(name, func(t *testing.T) {
			const callers = 4
			l := costing(t, limiter.Config{
				Requests: limiter.Limit{Burst: c.budget}, Cost: limiter.Limit{Burst: 3 * c.budget}, NoWait: true,
			})
			var all sync.WaitGroup
			var through, cost atomic.Int64
			for range callers {
				all.Go(func() {
					n, sum, err := 0, 0, error(nil)
					for ; err == nil; n++ {
						if sum += c.cost(n); n%c.permits == c.permits-1 {
							_, err = l.TryAcquire(c.cost(n))
							l.Stats()
						} else {
							_, err = l.Do(context.Background(), c.cost(n))
						}
					}
					through.Add(int64(n - 1)) // the last was rejected
					cost.Add(int64(sum - c.cost(n-1)))
				})
			}
			all.Wait()
			s := l.Stats()
			require.EqualValues(t, c.budget, through.Load())
			require.EqualValues(t, c.budget, s.Admitted)
			require.EqualValues(t, cost.Load(), s.ReservedCost)
			require.Equal(t, limiter.Level{Requests: 0, Cost: float64(3*int64(c.budget) - cost.Load())}, l.Level())
		})
	}
}

// What is used of a lease counts at once, and what is not comes back.
func TestLeaseInStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := costing(t, limiter.Config{Requests: limiter.Limit{Burst: 1 << 20}, Cost: limiter.Limit{Burst: 1 << 20}})
		for n := range uint64(100) {
			require.NoError(t, do(t.Context(), l, 3)())
			s := l.Stats()
			require.Equal(t, n+1, s.Admitted)
			require.Equal(t, 3*(n+1), s.ReservedCost)
		}
		require.Equal(t, limiter.Level{Requests: 1<<20 - 100, Cost: 1<<20 - 300}, l.Level())
	})
}

// A counter that is full stays so.
func TestLeaseInFullStats(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("no costs are so large")
	}
	l, huge := costing(t, limiter.Config{}), math.MaxInt>>9 // all that is in a lease
	for range 2 << 10 {
		require.NoError(t, do(t.Context(), l, huge)())
	}
	require.Equal(t, uint64(math.MaxUint64), l.Stats().ReservedCost)
	l.Level() // takes it back
	require.Equal(t, uint64(math.MaxUint64), l.Stats().ReservedCost)
}

// Whatever stops the requests stops those that had a lease.
func TestLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := costing(t, limiter.Config{Requests: large, Cost: large})
		ok := do(t.Context(), l, 1)
		require.NoError(t, ok())
		require.NoError(t, ok())

		l.Pause(time.Second)
		paused := async(ok)
		pending(t, paused)
		passed(t, paused, time.Second)
		require.NoError(t, ok())

		l.Lower(-1, 0)
		lowered := async(ok)
		pending(t, lowered)
		behind := async(ok)
		pending(t, behind)
		require.NoError(t, (<-lowered).err)
		require.NoError(t, (<-behind).err)

		time.Sleep(time.Minute)
		require.NoError(t, ok())
		require.NoError(t, l.Reconfigure(limiter.Config{Requests: limiter.PerMinute(0), NoWait: true}))
		limited(t, ok(), limiter.ReasonNever, limiter.CauseRequests, limiter.Never)
	})
}

// A lease that is used before or after a long time takes from what there is then: the burst is never more than the limit.
func TestLeaseAfterQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 8 * leaseShare * leaseCalls
		cfg := limiter.Config{Requests: limiter.Limit{Events: 1, Per: time.Second, Burst: burst}, NoWait: true}
		for _, before := range []int{0, 1, leaseCalls, 2*leaseCalls - 1} {
			l := costing(t, cfg)
			for range before {
				require.NoError(t, do(t.Context(), l, 0)())
			}
			time.Sleep(1000 * time.Hour)
			n := 0
			for do(t.Context(), l, 0)() == nil {
				n++
			}
			require.LessOrEqual(t, n, burst)
			require.GreaterOrEqual(t, n, burst-leaseCalls)
		}
	})
}

// Who reads the clock and gets the lock late books as of then what it takes, and what others have used of one lease meanwhile, but no more.
func TestLeaseAndLateLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = leaseShare * leaseCalls
		l := costing(t, limiter.Config{Requests: limiter.Limit{Events: burst, Per: time.Minute}, NoWait: true})
		ok := do(t.Context(), l, 0)
		require.NoError(t, ok()) // leaves a lease
		time.Sleep(time.Second)  // in which the bucket is full again
		n := 0
		for ; n < leaseCalls; n++ {
			require.NoError(t, ok())
		}
		require.True(t, l.TakeAt(time.Second/2, 0), "by one who read the clock then")
		for n++; ok() == nil; n++ {
		}
		require.LessOrEqual(t, n, burst+leaseCalls+1, "all at the same moment")
	})
}

// A lease is left where there are enough tokens for it, of up to so many requests and so much cost.
func TestLeaseSize(t *testing.T) {
	budget := func(n int) limiter.Limit { return limiter.Limit{Burst: n} }
	for _, c := range []struct {
		requests, cost limiter.Limit
		each           int
		calls          int
		of             uint64
	}{
		{limiter.Limit{}, limiter.Limit{}, 7, leaseCalls, 1 << 54},
		{budget(leaseShare * 1000), limiter.Limit{}, 7, leaseCalls, 1 << 54},
		{budget(leaseShare*3 - 1), limiter.Limit{}, 7, 2, 1 << 54},
		{budget(leaseShare), budget(leaseShare * 1000), 7, 1, 7 * leaseCalls},
		{limiter.Limit{}, budget(leaseShare * 1000), 100, leaseCalls, 1000},
		{limiter.Limit{}, budget(leaseShare * 1000), 1001, 0, 0},
		{limiter.Limit{}, budget(leaseShare * 1000), 0, leaseCalls, 0},
		{budget(leaseShare - 1), limiter.Limit{}, 7, 0, 0},
		{limiter.Limit{}, budget(leaseShare - 1), 0, 0, 0},
	} {
		l := costing(t, limiter.Config{Requests: c.requests, Cost: c.cost})
		_, err := l.Do(t.Context(), c.each)
		require.NoError(t, err)
		calls, of := l.Leased()
		require.Equal(t, c.calls, calls, "%+v", c)
		require.Equal(t, c.of, of, "%+v", c)
	}
}

// Light requests that have a lease must not go before a heavy one that waits, nor through a pause, nor where they were rejected before.
func TestNoLeaseWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := costing(t, limiter.Config{Cost: large, MaxQueue: 3})
		require.NoError(t, do(t.Context(), l, large.Events-10)())
		heavy := async(do(t.Context(), l, 60))
		light := []<-chan outcome{async(do(t.Context(), l, 1)), async(do(t.Context(), l, 1))}
		pending(t, heavy)
		pending(t, light...)
		for range 3 {
			require.ErrorIs(t, do(t.Context(), l, 1)(), limiter.ErrLimited, "the queue is full")
		}
		require.NoError(t, (<-heavy).err)
		for _, l := range light {
			require.NoError(t, (<-l).err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := costing(t, limiter.Config{Cost: large, NoWait: true})
		l.Pause(time.Second)
		for range 3 {
			limited(t, do(t.Context(), l, 1)(), limiter.ReasonNoWait, limiter.CausePause, time.Second)
		}
	})
}

// FuzzLease plays programs against limits that are large enough for leases and buckets made of rate.Limiter, which are exact: what is
// let through must be there, what is rejected must not, but for what a lease may hold back.
func FuzzLease(f *testing.F) {
	fuzzPrograms(f, 100, func(t *testing.T, p program) {
		t.Helper()
		limit := func() limiter.Limit {
			return []limiter.Limit{
				{}, large, {Burst: 5 * leaseShare}, {Events: 1, Per: ms, Burst: 70 * leaseShare}, {Events: 100, Per: time.Minute, Burst: 2000},
			}[p.next(5)]
		}
		cfg := limiter.Config{Requests: limit(), Cost: limit(), NoWait: true}
		if (cfg.Cost != limiter.Limit{}) {
			cfg.MaxDebt = 1
		}
		l, start := costing(t, cfg), time.Now()
		exact := [2]rateBucket{{start: start}, {start: start}}
		set := func() {
			for i, limit := range []limiter.Limit{cfg.Requests, cfg.Cost} {
				if limit.Burst == 0 {
					limit.Burst = limit.Events
				}
				exact[i].set(time.Since(start), limit)
			}
		}
		set()
		random := rand.New(rand.NewPCG(uint64(p.next(256)), 0))
		var admitted, cost uint64
		for len(p) > 0 {
			switch p.next(8) {
			case 0:
				time.Sleep([]time.Duration{1, 100 * ms, 10 * time.Second, time.Hour}[p.next(4)])
			case 1:
				cfg.Requests = limit()
				require.NoError(t, l.Reconfigure(cfg))
				set()
			case 2:
				got, now := l.Level(), time.Since(start)
				for i, got := range []float64{got.Requests, got.Cost} {
					want := exact[i].level(now)
					require.LessOrEqual(t, got, want+1e-3)
					require.GreaterOrEqual(t, got, want-float64(exact[i].limit.Burst)/leaseShare-1e-3)
				}
			default:
				c, times := p.next(40), p.next(leaseCalls*3)
				for range times {
					now := time.Since(start)
					requests, costs := exact[0].level(now), exact[1].level(now)
					short := func(by float64) bool {
						return requests-by*float64(exact[0].limit.Burst)/leaseShare < 1-1e-3 ||
							c > 0 && costs-by*float64(exact[1].limit.Burst)/leaseShare < float64(c)-1e-3
					}
					var err error
					if random.IntN(100) == 0 {
						_, err = l.TryAcquire(c)
					} else {
						_, err = l.Do(t.Context(), c)
					}
					if err != nil {
						require.True(t, short(1), "%v, though there are %v and %v", err, requests, costs)
						continue
					}
					require.False(t, short(0), "let through %d, though there are %v and %v", c, requests, costs)
					exact[0].charge(now, 1)
					exact[1].charge(now, c)
					admitted++
					cost += uint64(c)
				}
			}
			s := l.Stats()
			require.Equal(t, admitted, s.Admitted)
			require.Equal(t, cost, s.ReservedCost)
		}
	})
}
