package batching_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

// The harness of the goodput tests: it drives a real Batcher with open-loop traffic in virtual time, so that minutes of it take
// seconds and come out the same for the same seed.

const (
	goodputSLO  = 50 * ms
	goodputSize = 64
)

// shape is how long a model takes for a batch.
type shape struct {
	name     string
	takes    func(n int) float64 // milliseconds, for n requests with padding
	sizes    []int               // allowed, if not all
	capacity float64             // requests/ms at load 1: those of batches that take half of the SLO
}

var shapes = []shape{
	{"batching pays: 8 ms + 0.5 ms·n", func(n int) float64 { return 8 + 0.5*float64(n) }, nil, 34.0 / 25},
	{"batching pays nothing: 0.2 ms + 5 ms·n", func(n int) float64 { return 0.2 + 5*float64(n) }, nil, 4 / 20.2},
	{"padded steps: 8 ms + 0.5 ms·n, n one of 1, 8, 32, 64", func(n int) float64 { return 8 + 0.5*float64(n) }, []int{1, 8, 32, 64}, 32.0 / 24},
}

// traffic is one run of the harness.
type traffic struct {
	shape    shape
	cfg      batching.Config
	arrivals []time.Duration
	noise    float64                        // standard deviation of the logarithm of a batch's time
	speed    func(at time.Duration) float64 // factor on a batch's time, if not nil
	timeout  bool                           // callers have a deadline of their own, at the SLO
	seed     uint64
}

// result counts requests by the second in which they came.
type result struct {
	came, inTime []int
	stats        batching.Stats
}

// share is the part of the requests that were answered in time, of those that came from second from on and before second to.
func (r result) share(from, to int) float64 {
	came, inTime := 0, 0
	for s := from; s < min(to, len(r.came)); s++ {
		came += r.came[s]
		inTime += r.inTime[s]
	}
	return float64(inTime) / float64(max(came, 1))
}

func (r result) all() float64 { return r.share(0, len(r.came)) }

func (tr traffic) run(t *testing.T) result {
	t.Helper()
	if raceEnabled {
		t.Skip("measures figures, and takes a minute with the race detector")
	}
	var r result
	synctest.Test(t, func(t *testing.T) {
		start, random := time.Now(), rand.New(rand.NewPCG(tr.seed, 1))
		run := func(_ context.Context, reqs []int) ([]int, error) {
			took := tr.shape.takes(len(reqs)) * math.Exp(tr.noise*random.NormFloat64()) // Concurrency is 1: no lock
			if tr.speed != nil {
				took *= tr.speed(time.Since(start))
			}
			time.Sleep(time.Duration(took * float64(ms)))
			return reqs, nil
		}
		cfg := tr.cfg
		cfg.MaxQueue = 1 << 20
		var opts []batching.Option[int]
		if tr.shape.sizes != nil {
			cfg.AllowedSizes = tr.shape.sizes
			opts = append(opts, batching.WithPad(func(like int) int { return like }))
		}
		b, err := batching.New(run, cfg, opts...)
		require.NoError(t, err)
		seconds := 1
		if n := len(tr.arrivals); n > 0 {
			seconds += int(tr.arrivals[n-1] / time.Second)
		}
		r.came = make([]int, seconds)
		inTime := make([]atomic.Int64, seconds)
		for _, at := range tr.arrivals {
			time.Sleep(at - time.Since(start))
			r.came[at/time.Second]++
			go func() {
				ctx := context.Background()
				if tr.timeout {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, goodputSLO)
					defer cancel()
				}
				if _, err := b.Do(ctx, 0); err == nil && time.Since(start)-at <= goodputSLO {
					inTime[at/time.Second].Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		require.NoError(t, b.Shutdown(t.Context()))
		synctest.Wait()
		for i := range inTime {
			r.inTime = append(r.inTime, int(inTime[i].Load()))
		}
		r.stats = b.Stats()
		checkBooks(t, r.stats)
	})
	return r
}

// poisson makes arrivals at random with the given mean rate in requests/ms.
func poisson(rate float64, lasts time.Duration, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 2))
	var arrivals []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / rate
		if d := time.Duration(at * float64(ms)); d < lasts {
			arrivals = append(arrivals, d)
		} else {
			return arrivals
		}
	}
}

// bursty makes arrivals whose rate switches between 0.3 and 1.7 times the mean, after half a second on average.
func bursty(rate float64, lasts time.Duration, seed uint64) []time.Duration {
	arrivals, _ := burstyWithRates(rate, lasts, seed)
	return arrivals
}

// burstyWithRates makes the arrivals of bursty, with the rate at the time of each.
func burstyWithRates(rate float64, lasts time.Duration, seed uint64) (arrivals []time.Duration, rates []float64) {
	random := rand.New(rand.NewPCG(seed, 3))
	factor := 0.3
	for begin := 0.0; begin < float64(lasts/ms); {
		end := begin + 500*random.ExpFloat64()
		for at := begin; ; {
			at += random.ExpFloat64() / (rate * factor)
			d := time.Duration(at * float64(ms))
			if at >= end || d >= lasts {
				break
			}
			arrivals, rates = append(arrivals, d), append(rates, rate*factor)
		}
		begin, factor = end, 2-factor
	}
	return arrivals, rates
}

// fluidBound is the share that a model of the first shape can answer in time if requests came evenly, without chance.
func fluidBound(rate float64) float64 {
	a, b, slo := 8.0, 0.5, float64(goodputSLO/ms)
	n := min(rate*(slo-a)/(1+rate*b), goodputSize)
	return min(1, n/(a+b*n)/rate)
}

// poissonBound is the fluid bound of the arrivals that poisson makes.
func poissonBound(rate float64, _ time.Duration, _ uint64) float64 { return fluidBound(rate) }

// burstyBound is the fluid bound of the arrivals that bursty makes: that of the rate at each. It depends on how long the bursts happen to be. What waits when a burst ends can
// still be answered, so a policy may come a little above it.
func burstyBound(rate float64, lasts time.Duration, seed uint64) float64 {
	_, rates := burstyWithRates(rate, lasts, seed)
	sum := 0.0
	for _, r := range rates {
		sum += fluidBound(r)
	}
	return sum / float64(len(rates))
}
