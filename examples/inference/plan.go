package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// phases is their number.
const phases = 7

// The phases of a run, all of the same length.
const (
	rise = iota
	peak
	swap // still the peak; it begins with a new version
	fall
	slow   // the device takes several times as long
	outage // so it does, and fails
	recovery
)

var phaseNames = [phases]string{"rise", "peak", "swap", "fall", "slow", "outage", "recovery"}

// The load at the beginning and the end of each phase, as a multiple of the device's capacity.
var (
	userLoad     = [phases + 1]float64{0.5, 1.5, 1.5, 1.5, 0.9, 0.9, 0.9, 0.5}
	importerLoad = [phases + 1]float64{0, 0.5, 0.5, 0.5, 0, 0, 0, 0}
)

const (
	tenants  = 16
	importer = "importer"
)

// arrival is a request to be made.
type arrival struct {
	due    time.Duration // since the run began
	tenant string
	image  int // of the world's images, of its archive if it is the importer's
}

// plan is what happens in each run.
type plan struct {
	phase    time.Duration
	arrivals []arrival // in order of time
}

// newPlan draws the arrivals: users' at random times, for a few images often and for many seldom, the importer's for one image of its archive after
// the other.
func newPlan(o options, w *world) plan {
	p := plan{phase: o.phase}
	random := rand.New(rand.NewPCG(o.seed, 4))
	rank := random.Perm(len(w.images))
	zipf := rand.NewZipf(random, o.zipf, 30, uint64(len(rank)-1))
	for _, due := range p.times(userLoad, random) {
		p.arrivals = append(p.arrivals, arrival{due, fmt.Sprint("tenant ", 1+random.IntN(tenants)), rank[zipf.Uint64()]})
	}
	for i, due := range p.times(importerLoad, random) {
		p.arrivals = append(p.arrivals, arrival{due, importer, i % len(w.archive)})
	}
	slices.SortStableFunc(p.arrivals, func(a, b arrival) int { return cmp.Compare(a.due, b.due) })
	return p
}

// times are those of independent arrivals (a Poisson process) at a rate that changes: of those at the highest rate, a random part is left out.
func (p plan) times(load [phases + 1]float64, random *rand.Rand) []time.Duration {
	most := slices.Max(load[:])
	var times []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / (most * capacity)
		due := time.Duration(at * float64(time.Second))
		if due >= p.total() {
			return times
		}
		if random.Float64()*most < p.load(load, due) {
			times = append(times, due)
		}
	}
}

func (p plan) load(load [phases + 1]float64, at time.Duration) float64 {
	phase := p.at(at)
	part := float64(at-p.start(phase)) / float64(p.phase)
	return load[phase] + part*(load[phase+1]-load[phase])
}

func (p plan) start(phase int) time.Duration { return time.Duration(phase) * p.phase }

func (p plan) total() time.Duration { return p.start(phases) }

// at says in which phase a time is.
func (p plan) at(elapsed time.Duration) int { return int(min(max(elapsed/p.phase, 0), phases-1)) }
