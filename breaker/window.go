package breaker

import (
	"sync/atomic"
	"time"
)

// A window knows the failed and slow calls among the latest of one era. Of the others it needs only the number, which is the era's
// counter: so long as a window is calm, a call that is neither failed nor slow has nothing to tell it. All methods but calm are
// called under core.mu.
type window interface {
	calm(now time.Duration) bool

	// observe adds a call, which is counted, and returns what the window then holds.
	observe(calls *counter, failed, slow bool, now time.Duration) tally

	// tally is what the window holds after so many calls.
	tally(calls uint64, now time.Duration) tally
}

// tally is a number of calls, and how many of them failed and were slow.
type tally struct{ calls, failed, slow int }

func (t *tally) add(failed, slow bool) {
	t.calls++
	if failed {
		t.failed++
	}
	if slow {
		t.slow++
	}
}

func newWindow(cfg *Config) window {
	if cfg.WindowTime > 0 {
		return &timeWindow{length: cfg.WindowTime / windowSteps, minCalls: cfg.MinCalls}
	}
	return &countWindow{size: uint64(cfg.Window), minCalls: cfg.MinCalls}
}

// countWindow is the last size calls. It keeps a list of the failed and slow ones, with their numbers.
//
// A success can only open the breaker by being the call that makes MinCalls: only until then is the window not calm.
type countWindow struct {
	size     uint64
	minCalls int
	troubles []trouble // in order
	failed   int       // of troubles
	slow     int
	waiting  atomic.Bool // for MinCalls, with failed or slow calls
}

type trouble struct {
	number       uint64
	failed, slow bool
}

func (w *countWindow) calm(time.Duration) bool { return !w.waiting.Load() }

func (w *countWindow) observe(calls *counter, failed, slow bool, now time.Duration) tally {
	// Before the sum: a success that is counted after it, and may make MinCalls, then sees that it has to come here. So of several calls
	// that end at the same time, one sees them all.
	w.waiting.Store(true)
	if failed || slow {
		w.troubles = append(w.troubles, trouble{calls.sum(), failed, slow})
		w.count(failed, slow, 1)
	}
	t := w.tally(calls.sum(), now)
	w.waiting.Store(t.calls < w.minCalls && len(w.troubles) > 0)
	return t
}

func (w *countWindow) tally(calls uint64, _ time.Duration) tally {
	for len(w.troubles) > 0 && w.troubles[0].number+w.size <= calls {
		w.count(w.troubles[0].failed, w.troubles[0].slow, -1)
		w.troubles = w.troubles[1:]
	}
	return tally{int(min(calls, w.size)), w.failed, w.slow}
}

func (w *countWindow) count(failed, slow bool, by int) {
	if failed {
		w.failed += by
	}
	if slow {
		w.slow += by
	}
}

// windowSteps is the number of steps in which a timeWindow moves on.
const windowSteps = 10

// timeWindow is the calls of the current step in time and of the nine before. A success can open the breaker by being the call
// that makes MinCalls, or because earlier ones have left the window: so the first call in each step looks, and while there are too few, each.
type timeWindow struct {
	length   time.Duration // of a step
	minCalls int
	buckets  [windowSteps]bucket
	begun    bool // there has been a bucket

	calmUntil atomic.Int64 // the end of the step in which the window is calm
}

// bucket is one step. The number of its calls is what is missing to the next bucket.
type bucket struct {
	step         int64  // counted from 1
	before       uint64 // calls of the era before it
	failed, slow int
}

func (w *timeWindow) step(now time.Duration) int64 { return int64(now/w.length) + 1 }

func (w *timeWindow) calm(now time.Duration) bool { return int64(now) < w.calmUntil.Load() }

func (w *timeWindow) observe(calls *counter, failed, slow bool, now time.Duration) tally {
	w.calmUntil.Store(0) // before the sum, as in countWindow
	n := calls.sum()
	step := w.step(now)
	b := &w.buckets[step%windowSteps]
	if b.step < step {
		*b = bucket{step: step}
		if w.begun {
			// A success that is counted and not seen yet goes to the step before. That is where it belongs: it found the window
			// calm, so its own step had begun. All others are counted under core.mu, and seen.
			b.before = n - 1
		}
		w.begun = true
	}
	if failed {
		b.failed++
	}
	if slow {
		b.slow++
	}
	t := w.tally(n, now)
	if t.failed+t.slow == 0 || t.calls >= w.minCalls {
		w.calmUntil.Store(step * int64(w.length))
	}
	return t
}

func (w *timeWindow) tally(calls uint64, now time.Duration) tally {
	oldest := w.step(now) - windowSteps + 1
	before := calls
	var t tally
	for i := range w.buckets {
		if b := &w.buckets[i]; b.step >= max(1, oldest) {
			before = min(before, b.before)
			t.failed += b.failed
			t.slow += b.slow
		}
	}
	t.calls = int(calls - before)
	return t
}
