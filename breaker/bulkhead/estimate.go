package bulkhead

import (
	"math"
	"time"
)

const (
	estimateMemory = 16 // holds; the weight of a new one is at least 1/16
	estimateEnough = 8  // holds that must have been seen before anybody is rejected for the expected wait
)

// estimate learns how long capacity is held: the mean holding time, weighted by cost, as the ratio of two exponentially
// weighted means. By Little's law, a bulkhead whose capacity is used up frees it at the rate of capacity / holdTime, however
// the holding time depends on the cost.
type estimate struct {
	n        int // up to estimateMemory
	costTime float64
	cost     float64
}

// observe takes note that a cost was held for a time.
func (e *estimate) observe(cost int64, held time.Duration) {
	if cost <= 0 {
		return
	}
	e.n = min(e.n+1, estimateMemory)
	weight := 1 / float64(e.n) // the plain mean of the first few
	e.costTime += (float64(cost)*float64(max(held, 0)) - e.costTime) * weight
	e.cost += (float64(cost) - e.cost) * weight
}

// holdTime is the mean holding time, 0 if too few have been seen.
func (e *estimate) holdTime() time.Duration {
	if e.n < estimateEnough {
		return 0
	}
	return time.Duration(e.costTime / e.cost)
}

// wait is the expected time until need has been freed, 0 if too little is known.
func (e *estimate) wait(need, capacity int64) time.Duration {
	if need <= 0 {
		return 0
	}
	wait := float64(e.holdTime()) * float64(need) / float64(capacity)
	if wait >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(wait)
}
