package breaker

import (
	"math"
	"sync"
	"time"
)

// quota bounds the share of a Keyed's members that are open. Each of these has a place, which lapses: a breaker that nobody has asked
// for in a long time is as good as closed, and one for a back-end that is gone would otherwise keep its place for ever. It
// notices by itself that its place has gone to another, when it is next looked at (see core.advance).
//
// All methods are safe for concurrent use, also under core.mu; a nil quota bounds nothing.
type quota struct {
	share float64
	base  time.Time // of the clock of all members

	mu      sync.Mutex
	members int
	places  map[*core]time.Duration // when each lapses
	lapse   time.Duration           // none does before
}

func newQuota(share float64) *quota {
	return &quota{share: share, base: time.Now(), places: make(map[*core]time.Duration), lapse: math.MaxInt64}
}

// grow counts so many more members.
func (q *quota) grow(by int) {
	q.mu.Lock()
	q.members += by
	q.mu.Unlock()
}

// take gives c a place, if there is one.
func (q *quota) take(c *core) bool {
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	// The addend makes up for the rounding of, say, 0.29*100.
	most := max(1, int(q.share*float64(q.members)+1e-9))
	if len(q.places) >= most {
		q.free(time.Since(q.base))
	}
	if len(q.places) >= most {
		return false
	}
	q.places[c] = math.MaxInt64
	return true
}

// free takes back the places that have lapsed.
func (q *quota) free(now time.Duration) {
	if now < q.lapse {
		return
	}
	q.lapse = math.MaxInt64
	for c, at := range q.places {
		if at <= now {
			delete(q.places, c)
		} else {
			q.lapse = min(q.lapse, at)
		}
	}
}

// keep gives c a place until then, whether there is one or not.
func (q *quota) keep(c *core, until time.Duration) {
	if q == nil {
		return
	}
	q.mu.Lock()
	q.places[c] = until
	q.lapse = min(q.lapse, until)
	q.mu.Unlock()
}

// has reports whether c has its place yet.
func (q *quota) has(c *core) bool {
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.places[c]
	return ok
}

// give takes c's place back, if it has one.
func (q *quota) give(c *core) {
	if q == nil {
		return
	}
	q.mu.Lock()
	delete(q.places, c)
	q.mu.Unlock()
}

// taken is the number of places that are taken.
func (q *quota) taken() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.places)
}
