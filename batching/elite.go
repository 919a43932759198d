package batching

import (
	"math"
	"time"
)

// eliteAbsent is how many times the objective the highest class may be absent before it is forgotten.
const eliteAbsent = 20

// elite knows the highest class of which requests come. The policy Deadline keeps the batches of lower classes short enough for
// them: a request of the highest class that comes just after a batch has begun must still be in time with the next one.
type elite struct {
	any   bool
	level int
	last  time.Duration // when one came
	n     float64       // how many of them are in a batch, recent mean
}

func (e *elite) arrived(level int, now, slo time.Duration) {
	switch {
	case !e.any || level > e.level || e.absent(now, slo) && level != e.level:
		*e = elite{any: true, level: level, last: now}
	case level == e.level:
		e.last = now
	}
}

func (e *elite) absent(now, slo time.Duration) bool { return (now-e.last)/eliteAbsent > slo }

// took takes in how many requests of the class a batch had.
func (e *elite) took(n int) { e.n += (float64(n) - e.n) / 8 }

// next is how many requests of the class the next batch is expected to have.
func (e *elite) next() int { return int(math.Ceil(e.n)) + 1 }
