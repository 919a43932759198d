package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/scalable-ai/patterns/examples/internal/mnist"
)

var testOptions = options{phase: 600 * time.Millisecond, zipf: 1.1, seed: 1, variants: variants}

func TestPlan(t *testing.T) {
	w := &world{images: make([]mnist.Image, 1000), archive: make([]mnist.Image, 5000)}
	p := newPlan(testOptions, w)
	assert.Equal(t, p, newPlan(testOptions, w), "the same seed")
	other := testOptions
	other.seed = 2
	assert.NotEqual(t, p.arrivals, newPlan(other, w).arrivals)
	assert.True(t, slices.IsSortedFunc(p.arrivals, func(a, b arrival) int { return int(a.due - b.due) }))

	perPhase := [phases]int{}
	archived, asked := map[int]int{}, map[int]int{}
	for _, a := range p.arrivals {
		assert.Less(t, a.due, p.total())
		perPhase[p.at(a.due)]++
		if a.tenant == importer {
			archived[a.image]++
		} else {
			asked[a.image]++
		}
	}
	whole := capacity * p.phase.Seconds()
	for phase, load := range []float64{rise: 1.25, peak: 2, swap: 2, fall: 1.45, slow: 0.9, outage: 0.9, recovery: 0.7} {
		assert.InDelta(t, load, float64(perPhase[phase])/whole, 0.2, phaseNames[phase])
	}
	most := 0
	for _, n := range asked {
		most = max(most, n)
	}
	assert.Greater(t, most, 20)
	assert.Greater(t, len(asked), 300)
	for image, n := range archived {
		assert.Equal(t, 1, n, image)
	}
}

func TestLoad(t *testing.T) {
	p := plan{phase: time.Second}
	load := [phases + 1]float64{0, 1, 3}
	assert.InDelta(t, 0.0, p.load(load, 0), 1e-9)
	assert.InDelta(t, 0.5, p.load(load, time.Second/2), 1e-9)
	assert.InDelta(t, 2.0, p.load(load, 3*time.Second/2), 1e-9)
	assert.Equal(t, rise, p.at(-1))
	assert.Equal(t, recovery, p.at(time.Hour))
	for _, load := range [][phases + 1]float64{userLoad, importerLoad} {
		assert.Equal(t, load[peak], load[swap])
	}
	assert.InDelta(t, 2.0, userLoad[peak]+importerLoad[peak], 1e-9)
}
