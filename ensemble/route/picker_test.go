package route_test

import (
	"context"
	"math"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/ensemble/route"
)

func choice(left time.Duration, candidates ...route.Candidate) *route.Choice {
	for i := range candidates {
		if candidates[i].Weight == 0 {
			candidates[i].Weight = 1
		}
	}
	return &route.Choice{Candidates: candidates, Left: left}
}

func TestFastestAndCheapest(t *testing.T) {
	type c = route.Candidate
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		choice            *route.Choice
		fastest, cheapest int
	}{
		"one":               {choice(ms, c{Latency: time.Hour}), 0, 0},
		"ties":              {choice(ms, c{}, c{}), 0, 0},
		"latency":           {choice(time.Hour, c{Latency: 2 * ms, Cost: 1}, c{Latency: ms, Cost: 2}), 1, 0},
		"in flight":         {choice(time.Hour, c{Latency: ms, InFlight: 3}, c{Latency: 2 * ms}), 1, 1},
		"unknown is tried":  {choice(time.Hour, c{Latency: ms}, c{}), 1, 1},
		"unknown, but once": {choice(time.Hour, c{Latency: time.Hour}, c{InFlight: 1}), 0, 0},
		"both unknown":      {choice(time.Hour, c{InFlight: 2}, c{InFlight: 1}), 1, 1},
		"does not fit":      {choice(5*ms, c{Latency: 6 * ms, Cost: 1}, c{Latency: 5 * ms, Cost: 2}), 1, 1},
		"none fits":         {choice(ms, c{Latency: 6 * ms, Cost: 1}, c{Latency: 3 * ms, Cost: 9}, c{Latency: 4 * ms}), 1, 1},
		"in flight fits":    {choice(5*ms, c{Latency: 4 * ms, Cost: 1, InFlight: 5}, c{Latency: 5 * ms, Cost: 2}), 1, 0},
		"infinite cost":     {choice(ms, c{Cost: math.Inf(1)}, c{Cost: math.MaxFloat64}), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.fastest, route.Fastest().Pick(test.choice))
			assert.Equal(t, test.cheapest, route.Cheapest().Pick(test.choice))
		})
	}
}

// shares counts the picks of n.
func shares(p route.Picker, c *route.Choice, n int) []int {
	counts := make([]int, len(c.Candidates))
	for range n {
		counts[p.Pick(c)]++
	}
	return counts
}

// near checks a binomial count against its expectation, within six standard deviations.
func near(t *testing.T, n int, p float64, got int) {
	t.Helper()
	assert.InDelta(t, float64(n)*p, got, 6*math.Sqrt(float64(n)*p*(1-p))+1)
}

func TestWeighted(t *testing.T) {
	const n = 20000
	got := shares(route.Weighted(), choice(0, route.Candidate{Weight: 1}, route.Candidate{Weight: 2}, route.Candidate{Weight: 5}), n)
	for i, p := range []float64{0.125, 0.25, 0.625} {
		near(t, n, p, got[i])
	}
	got = shares(route.Weighted(), choice(0, route.Candidate{Weight: math.MaxFloat64}, route.Candidate{Weight: math.MaxFloat64}), n)
	near(t, n, 0.5, got[0])
	got = shares(route.Weighted(), choice(0, route.Candidate{Weight: math.SmallestNonzeroFloat64}, route.Candidate{Weight: math.MaxFloat64}), n)
	assert.Equal(t, n, got[1])
}

// The two are distinct and any two: the worst of three is never picked, the best two times out of three.
func TestTwoChoices(t *testing.T) {
	const n = 20000
	got := shares(route.TwoChoices(), choice(0, route.Candidate{Latency: 3}, route.Candidate{Latency: 1}, route.Candidate{Latency: 2}), n)
	assert.Zero(t, got[0])
	near(t, n, 2./3, got[1])
	assert.Equal(t, 0, route.TwoChoices().Pick(choice(0, route.Candidate{})))
	got = shares(route.TwoChoices(), choice(0, route.Candidate{Latency: 30, Weight: 10}, route.Candidate{Latency: 4}), 100)
	assert.Equal(t, 100, got[0], "ten times the weight is as good as ten times the speed")
}

func TestPeakEWMA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := 100 * time.Millisecond
		r := newRouter(t, route.Config{LatencyDecay: time.Second}, member{Name: "a", Do: func(context.Context, string) (string, error) {
			time.Sleep(takes)
			return "", nil
		}})
		do := func() time.Duration { _, _ = r.Do(t.Context(), ""); return stats(r, "a").Latency }
		assert.Zero(t, stats(r, "a").Latency)
		assert.Equal(t, takes, do())
		takes = time.Second
		assert.Equal(t, takes, do(), "it jumps up")
		takes = 500 * time.Millisecond
		w := math.Exp(-0.5)
		assert.InDelta(t, w*1+(1-w)*0.5, do().Seconds(), 1e-6, "and comes down")
		before := stats(r, "a").Latency.Seconds()
		time.Sleep(2 * time.Second)
		assert.InDelta(t, before*math.Exp(-2), stats(r, "a").Latency.Seconds(), 1e-6, "and decays")
		time.Sleep(time.Hour)
		assert.Zero(t, stats(r, "a").Latency, "until nothing is known")
	})
}

// A failure says nothing about how fast the member answers, unless it took longer.
func TestFailuresDoNotMakeAMemberFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes, err := 100*time.Millisecond, error(nil)
		r := newRouter(t, route.Config{MaxFailures: 100, LatencyDecay: time.Hour}, member{Name: "a", Do: func(context.Context, string) (string, error) {
			time.Sleep(takes)
			return "", err
		}})
		do := func() time.Duration {
			_, _ = r.Do(t.Context(), "")
			return stats(r, "a").Latency.Round(time.Millisecond)
		}
		assert.Equal(t, takes, do())
		takes, err = time.Millisecond, errDown
		assert.Equal(t, 100*time.Millisecond, do())
		takes = time.Second
		assert.Equal(t, 2*takes, do())
	})
}

// The router tells the picker what it says it does.
func TestChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []route.Choice
		release := make(chan struct{})
		priced, flat := hangs("priced"), says("flat")
		priced.CostOf = func(q string) float64 { return float64(len(q)) }
		priced.Do = func(context.Context, string) (string, error) { <-release; return "", errDown }
		flat.Cost, flat.Weight = 3, 4
		odd := says("odd")
		odd.CostOf = func(string) float64 { return math.NaN() }
		r, err := route.New(table{Members: []member{priced, flat, odd}}, route.Config{Pick: route.PickFunc(func(c *route.Choice) int {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, *c)
			seen[len(seen)-1].Candidates = append([]route.Candidate(nil), c.Candidates...)
			return 0
		})}, route.WithKey(func(q string) string { return q }))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() { _, _ = r.Do(ctx, "12345") })
		synctest.Wait()
		group.Go(func() { _, _ = r.Do(t.Context(), "1") })
		synctest.Wait()
		time.Sleep(time.Second)
		close(release)
		group.Wait()
		require.Len(t, seen, 4)
		assert.Equal(t, time.Minute, seen[0].Left)
		assert.Equal(t, 5.0, seen[0].Candidates[0].Cost)
		assert.Equal(t, 3.0, seen[0].Candidates[1].Cost)
		assert.True(t, math.IsInf(seen[0].Candidates[2].Cost, 1))
		assert.Equal(t, 4.0, seen[0].Candidates[1].Weight)
		assert.Equal(t, 1, seen[1].Candidates[0].InFlight)
		assert.Equal(t, time.Duration(math.MaxInt64), seen[1].Left)
		assert.NotEqual(t, seen[0].Key, seen[1].Key)
		assert.Equal(t, 1, seen[2].Attempt)
		assert.Len(t, seen[2].Candidates, 2)
		assert.Equal(t, "flat", seen[2].Candidates[0].Name)
	})
}

// Under load on members of different speed, each caller waiting for its answer, two choices and the fastest give less to the slow one than its weight.
func TestLatencyAwareAvoidsTheSlow(t *testing.T) {
	for name, p := range map[string]route.Picker{"fastest": route.Fastest(), "two choices": route.TwoChoices()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				takes := func(name string, d time.Duration) member {
					return member{Name: name, Do: func(context.Context, string) (string, error) { time.Sleep(d); return name, nil }}
				}
				r := newRouter(t, route.Config{Pick: p}, takes("slow", time.Second), takes("a", 100*time.Millisecond), takes("b", 100*time.Millisecond))
				var group sync.WaitGroup
				for i := range 4 {
					group.Go(func() {
						for range 200 {
							_, err := r.Do(t.Context(), strconv.Itoa(i))
							assert.NoError(t, err)
						}
					})
				}
				group.Wait()
				assert.Less(t, stats(r, "slow").Calls, uint64(60))
				assert.Positive(t, stats(r, "slow").Calls)
				checkAccounts(t, r)
			})
		})
	}
}

// The cheap one is asked when there is time for it, and when it has been quiet for long enough to be worth another try.
func TestCheapestWithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := says("slow"), says("fast")
		slow.Do = func(ctx context.Context, _ string) (string, error) {
			select {
			case <-time.After(time.Second):
				return "slow", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		fast.Cost = 5
		r := newRouter(t, route.Config{Pick: route.Cheapest(), LatencyDecay: 10 * time.Second}, slow, fast)
		within := func(d time.Duration) string {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			answer, err := r.Do(ctx, "")
			if err != nil {
				return err.Error()
			}
			return answer
		}
		assert.Equal(t, "slow", within(time.Minute))
		assert.Equal(t, "fast", within(500*time.Millisecond))
		assert.Equal(t, "slow", within(2*time.Second))
		time.Sleep(8 * time.Second) // the estimate is below half a second now
		assert.Equal(t, context.DeadlineExceeded.Error(), within(500*time.Millisecond))
		assert.Equal(t, "fast", within(500*time.Millisecond), "that was news")
	})
}
