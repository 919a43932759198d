package ensemble

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// stageLatency learns how long a stage takes, as TCP learns its round trip (Jacobson, Congestion Avoidance and Control, 1988; RFC 6298, section 2): moving
// averages of the time, with gain 1/8, and of its deviation, with gain 1/4. The estimate is the mean plus two deviations, which for a
// bell-shaped distribution is near the 95th percentile.
//
// A stage that is skipped gives no samples, so an estimate that was once too high would stay. Each skip for its sake therefore lowers it by 1/64, until a request
// dares to call the stage again; a sample under the estimate then brings it down at once.
type stageLatency struct {
	mu              sync.Mutex
	mean, deviation float64
	estimate        atomic.Int64 // in nanoseconds; 0 before the first sample
}

const (
	latencyGain       = 1.0 / 8
	latencyDevGain    = 1.0 / 4
	latencyDeviations = 2
	latencySkipDecay  = 1 - 1.0/64
)

// observe takes a sample. A call that was cut short would have taken longer, no one knows how much: it counts as twice its time (as in the
// back-off of RFC 6298, section 5.5) if that says more than the mean.
func (l *stageLatency) observe(took time.Duration, cut bool) {
	x := float64(took)
	if cut {
		x *= 2
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case cut && x <= l.mean:
		return
	case l.estimate.Load() == 0:
		l.mean, l.deviation = x, x/2
	default:
		l.deviation += latencyDevGain * (math.Abs(x-l.mean) - l.deviation)
		l.mean += latencyGain * (x - l.mean)
	}
	l.publish()
}

func (l *stageLatency) skipped() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mean *= latencySkipDecay
	l.deviation *= latencySkipDecay
	l.publish()
}

func (l *stageLatency) publish() {
	l.estimate.Store(max(1, int64(l.mean+latencyDeviations*l.deviation)))
}

func (l *stageLatency) expected() time.Duration { return time.Duration(l.estimate.Load()) }
