package batching_test

import (
	"bufio"
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/batching"
)

var (
	goodputAll      = flag.Bool("goodput", false, "TestGoodput: measure all policies, loads and shapes, and print a table (some minutes)")
	goodputArrivals = flag.String("goodput-arrivals", "", "TestGoodput: a `file` of arrivals, one time in ms a line, to use instead of made ones; they are sped up to each load")
	goodputSeed     = flag.Uint64("goodput-seed", 1, "TestGoodput with -goodput: of the arrivals")
	goodputCSV      = flag.String("goodput-csv", "", "TestGoodput: a `file` to write the table to")
)

var goodputLoads = []float64{0.5, 0.8, 0.9, 1, 1.2, 1.5, 2}

// arrivalKind makes arrivals of a mean rate in requests/ms.
type arrivalKind struct {
	name string
	make func(rate float64, lasts time.Duration, seed uint64) []time.Duration

	// bound is what a model of the first shape can answer in time of what make makes, if requests came evenly; nil: not known.
	bound func(rate float64, lasts time.Duration, seed uint64) float64
}

var arrivalKinds = []arrivalKind{{"Poisson", poisson, poissonBound}, {"bursty", bursty, burstyBound}}

// TestGoodput measures the share of requests that are answered within the SLO, in virtual time. Without -goodput it measures a few points and asserts that
// they are where they should be.
func TestGoodput(t *testing.T) {
	if *goodputAll {
		reportGoodput(t)
		return
	}
	pays := shapes[0]
	for _, c := range []struct {
		kind  arrivalKind
		load  float64
		least float64 // share of the fluid bound
	}{
		{arrivalKinds[0], 0.5, 0.9985},
		{arrivalKinds[0], 0.8, 0.9985},
		{arrivalKinds[0], 0.9, 0.985},
		{arrivalKinds[0], 1.2, 0.97},
		{arrivalKinds[0], 1.5, 0.97},
		{arrivalKinds[0], 2, 0.97},
		{arrivalKinds[1], 0.8, 1},
		{arrivalKinds[1], 1, 1},
		{arrivalKinds[1], 1.2, 1},
		{arrivalKinds[1], 1.5, 1},
	} {
		t.Run(fmt.Sprintf("%s %.1f", c.kind.name, c.load), func(t *testing.T) {
			rate := c.load * pays.capacity
			arrivals := c.kind.make(rate, 30*time.Second, 1)
			share := deadlineTraffic(pays, arrivals, 0.05).run(t).all()
			bound := c.kind.bound(rate, 30*time.Second, 1)
			assert.GreaterOrEqual(t, share, c.least*bound)
			if c.load >= 0.8 {
				window := windowTraffic(pays, arrivals, 0.05, 32, 5*ms).run(t).all()
				aimd := aimdTraffic(pays, arrivals, 0.05).run(t).all()
				reference := referencePolicy(pays, arrivals, 0.05)
				assert.Greater(t, share, max(window, aimd)-0.005)
				assert.Greater(t, share, reference-0.005)
				t.Logf("Deadline %.4f, bound %.4f, reference %.4f, Window(32, 5 ms) %.4f, AIMD %.4f", share, bound, reference, window, aimd)
			}
		})
	}
}

// After a change of the model's speed goodput is back within 5% of what it then stays at in two seconds.
func TestGoodputAfterAChangeOfSpeed(t *testing.T) {
	for _, c := range []struct{ load, before, after float64 }{{0.9, 1, 3}, {1.5, 1, 3}, {0.9, 3, 1}, {1.5, 3, 1}} {
		t.Run(fmt.Sprintf("from %v to %v at %v", c.before, c.after, c.load), func(t *testing.T) {
			tr := deadlineTraffic(shapes[0], poisson(c.load*shapes[0].capacity, 40*time.Second, 1), 0.05)
			tr.speed = func(at time.Duration) float64 {
				if at < 15*time.Second {
					return c.before
				}
				return c.after
			}
			r := tr.run(t)
			back, steady := r.share(17, 20), r.share(20, 40)
			assert.InEpsilon(t, steady, back, 0.05)
			tr.speed = func(time.Duration) float64 { return c.after }
			assert.InEpsilon(t, tr.run(t).share(20, 40), steady, 0.02, "it ends where it would have been without the change")
		})
	}
}

// With a model whose times scatter widely, no window is better under overload.
func TestGoodputOfANoisyModel(t *testing.T) {
	for _, load := range []float64{1, 1.5} {
		arrivals := poisson(load*shapes[0].capacity, 30*time.Second, 1)
		share := deadlineTraffic(shapes[0], arrivals, 0.3).run(t).all()
		for _, size := range []int{16, 32, 64} {
			for _, wait := range []time.Duration{0, 10 * ms} {
				assert.Greater(t, share, windowTraffic(shapes[0], arrivals, 0.3, size, wait).run(t).all(), "Window(%d, %v) at %v", size, wait, load)
			}
		}
	}
}

func deadlineTraffic(sh shape, arrivals []time.Duration, noise float64) traffic {
	cfg := batching.Config{MaxSize: goodputSize, Policy: batching.Deadline(goodputSLO)}
	return traffic{shape: sh, cfg: cfg, arrivals: arrivals, noise: noise, seed: 1}
}

// windowTraffic has callers with deadlines of their own, so that Window too drops what has expired.
func windowTraffic(sh shape, arrivals []time.Duration, noise float64, size int, wait time.Duration) traffic {
	cfg := batching.Config{MaxSize: size, MaxWait: wait}
	return traffic{shape: sh, cfg: cfg, arrivals: arrivals, noise: noise, seed: 1, timeout: true}
}

func aimdTraffic(sh shape, arrivals []time.Duration, noise float64) traffic {
	cfg := batching.Config{MaxSize: goodputSize, Policy: batching.AIMD(goodputSLO / 2)}
	return traffic{shape: sh, cfg: cfg, arrivals: arrivals, noise: noise, seed: 1, timeout: true}
}

// bestWindow is the best share of a grid of sizes and waits.
func bestWindow(t *testing.T, sh shape, arrivals []time.Duration, noise float64) (best float64, which string) {
	for _, size := range []int{1, 8, 16, 32, 64} {
		for _, wait := range []time.Duration{0, 2 * ms, 5 * ms, 10 * ms, 20 * ms} {
			if size == 1 && wait > 0 {
				continue
			}
			if share := windowTraffic(sh, arrivals, noise, size, wait).run(t).all(); share > best {
				best, which = share, fmt.Sprintf("%d, %v", size, wait)
			}
		}
	}
	return best, which
}

// referencePolicy simulates a policy that knows the model's mean times: with a margin of 6%, it takes the run of requests with the highest
// rate of which the oldest is in time, and drops those before it.
func referencePolicy(sh shape, arrivals []time.Duration, noise float64) float64 {
	random := rand.New(rand.NewPCG(1, 1))
	at := func(i int) float64 { return float64(arrivals[i]) / float64(ms) }
	takes := func(n int) float64 {
		for _, size := range sh.sizes {
			if n <= size {
				return sh.takes(size)
			}
		}
		return sh.takes(n)
	}
	slo := float64(goodputSLO / ms)
	now, head, tail, inTime := 0.0, 0, 0, 0
	for head < len(arrivals) {
		now = max(now, at(head))
		for tail < len(arrivals) && at(tail) <= now {
			tail++
		}
		from, size, rate := 0, 0, 0.0
		for i := head; i < tail; i++ {
			n := min(goodputSize, tail-i)
			for n > 0 && at(i)+slo < now+1.06*takes(n) {
				n--
			}
			if n > 0 && float64(n)/takes(n) > rate {
				from, size, rate = i, n, float64(n)/takes(n)
			}
			if n == min(goodputSize, tail-i) {
				break // later ones allow no more
			}
		}
		if size == 0 {
			head = tail
			continue
		}
		now += takes(size) * math.Exp(noise*random.NormFloat64())
		for i := from; i < from+size; i++ {
			if now <= at(i)+slo {
				inTime++
			}
		}
		head = from + size
	}
	return float64(inTime) / float64(len(arrivals))
}

func reportGoodput(t *testing.T) {
	kinds := arrivalKinds
	if *goodputArrivals != "" {
		kinds = []arrivalKind{fileArrivals(t, *goodputArrivals)}
	}
	rows := [][]string{{"shape", "noise", "arrivals", "load", "bound", "window", "aimd", "reference", "deadline"}}
	for _, noise := range []float64{0.05, 0.3} {
		for _, sh := range shapes {
			if noise > 0.1 && sh.name != shapes[0].name {
				continue
			}
			for _, kind := range kinds {
				fmt.Printf("\n%s; noise %.0f%%, %s arrivals\n%-6s %-9s %-24s %-9s %-10s %s\n", sh.name, noise*100, kind.name,
					"load", "bound", "best window (size, wait)", "AIMD", "reference", "Deadline")
				for _, load := range goodputLoads {
					arrivals := kind.make(load*sh.capacity, 60*time.Second, *goodputSeed)
					bound := ""
					if sh.name == shapes[0].name && kind.bound != nil {
						bound = fmt.Sprintf("%.4f", kind.bound(load*sh.capacity, 60*time.Second, *goodputSeed))
					}
					window, which := bestWindow(t, sh, arrivals, noise)
					aimd := aimdTraffic(sh, arrivals, noise).run(t).all()
					reference := referencePolicy(sh, arrivals, noise)
					deadline := deadlineTraffic(sh, arrivals, noise).run(t).all()
					fmt.Printf("%-6.1f %-9s %.4f (%-12s)    %-9.4f %-10.4f %.4f\n", load, bound, window, which, aimd, reference, deadline)
					rows = append(rows, []string{sh.name, fmt.Sprint(noise), kind.name, fmt.Sprint(load), bound,
						fmt.Sprintf("%.4f", window), fmt.Sprintf("%.4f", aimd), fmt.Sprintf("%.4f", reference), fmt.Sprintf("%.4f", deadline)})
					if noise < 0.1 || load >= 1 {
						assert.GreaterOrEqual(t, deadline, window-0.005, "%s, %s, %v", sh.name, kind.name, load)
					}
				}
			}
		}
	}
	if *goodputCSV != "" {
		file, err := os.Create(*goodputCSV)
		require.NoError(t, err)
		require.NoError(t, csv.NewWriter(file).WriteAll(rows))
		require.NoError(t, file.Close())
	}
}

// fileArrivals reads arrivals from a file. To reach a rate it makes all times shorter or longer.
func fileArrivals(t *testing.T, path string) arrivalKind {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var times []float64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		v, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
		require.NoError(t, err, "line %d of %s", len(times)+1, path)
		require.True(t, v >= 0 && (len(times) == 0 || v >= times[len(times)-1]), "line %d of %s: %v comes too early", len(times)+1, path, v)
		times = append(times, v)
	}
	require.Greater(t, len(times), 1, "%s: too few arrivals", path)
	lasts := times[len(times)-1] - times[0]
	require.Positive(t, lasts, "%s: all arrivals at one time", path)
	return arrivalKind{name: path, make: func(rate float64, _ time.Duration, _ uint64) []time.Duration {
		factor := float64(len(times)) / lasts / rate
		arrivals := make([]time.Duration, len(times))
		for i, v := range times {
			arrivals[i] = time.Duration((v - times[0]) * factor * float64(ms))
		}
		return arrivals
	}}
}
