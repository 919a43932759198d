package featurestore

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Stats counts what an [Online] has done since it was made.
type Stats struct {
	Reads   uint64 // by Do, Read, Matrix and Get
	Partial uint64 // those with a *PartialError
	Failed  uint64 // those without a result
	Rows    uint64 // of requests that were read

	Views map[string]ViewStats
}

// ViewStats counts the rows of one view. A key that goes for all rows of a request counts once.
type ViewStats struct {
	Present     uint64 // rows read
	Missing     uint64 // there was none; a store that drops rows when their TTL has passed makes Missing of Expired
	Expired     uint64 // rows older than the TTL
	Unavailable uint64 // could not be read
	Nulls       uint64 // features that were wanted and had no value, in rows that are Present

	// AgeSeconds is the sum of the ages of the rows that are Present or Expired, and MaxAge the largest since the start. A row from the future counts as 0, and in
	// Future.
	AgeSeconds float64
	MaxAge     time.Duration
	Future     uint64

	Written, Stale, Invalid, WriteFailed uint64 // rows by the outcome of their write
	Deleted                              uint64 // keys for which Delete succeeded
}

// MeanAge is the mean age of the rows that were read, 0 if there were none.
func (s ViewStats) MeanAge() time.Duration {
	if n := s.Present + s.Expired; n > 0 {
		return time.Duration(s.AgeSeconds / float64(n) * 1e9)
	}
	return 0
}

type counters struct {
	reads, partial, failed, rows atomic.Uint64

	mu    sync.Mutex
	views map[string]*viewCounters
}

type viewCounters struct {
	present, missing, expired, unavailable, nulls, future atomic.Uint64
	ageSeconds                                            atomic.Uint64 // the bits of a float64
	maxAge                                                atomic.Int64
	outcomes                                              [Failed + 1]atomic.Uint64
	deleted                                               atomic.Uint64
}

// viewTally is what one read counts before it is added.
type viewTally struct {
	present, missing, expired, unavailable, nulls, future uint64
	ages                                                  float64 // in nanoseconds
	maxAge                                                int64
}

func (t *viewTally) aged(now, event int64) {
	if event > now {
		t.future++
		return
	}
	age := now - event
	if age < 0 { // more than an int64 can tell
		age = math.MaxInt64
	}
	t.ages += float64(age)
	t.maxAge = max(t.maxAge, age)
}

// add adds without a lock. Most numbers are 0 most of the time.
func (c *viewCounters) add(t *viewTally) {
	for _, n := range []struct {
		to *atomic.Uint64
		n  uint64
	}{
		{&c.present, t.present}, {&c.missing, t.missing}, {&c.expired, t.expired}, {&c.unavailable, t.unavailable}, {&c.nulls, t.nulls},
		{&c.future, t.future},
	} {
		if n.n != 0 {
			n.to.Add(n.n)
		}
	}
	if t.ages > 0 {
		for {
			old := c.ageSeconds.Load()
			if c.ageSeconds.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+t.ages/1e9)) {
				break
			}
		}
	}
	for old := c.maxAge.Load(); t.maxAge > old && !c.maxAge.CompareAndSwap(old, t.maxAge); old = c.maxAge.Load() {
	}
}

func (c *counters) view(name string) *viewCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.views[name]
	if v == nil {
		v = new(viewCounters)
		c.views[name] = v
	}
	return v
}

// Stats are the counts so far. Those of calls that run may be there in part.
func (o *Online) Stats() Stats {
	c := &o.counts
	s := Stats{Reads: c.reads.Load(), Partial: c.partial.Load(), Failed: c.failed.Load(), Rows: c.rows.Load(), Views: map[string]ViewStats{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, v := range c.views {
		s.Views[name] = ViewStats{
			Present: v.present.Load(), Missing: v.missing.Load(), Expired: v.expired.Load(), Unavailable: v.unavailable.Load(), Nulls: v.nulls.Load(),
			AgeSeconds: math.Float64frombits(v.ageSeconds.Load()), MaxAge: time.Duration(v.maxAge.Load()), Future: v.future.Load(),
			Written: v.outcomes[Written].Load(), Stale: v.outcomes[Stale].Load(), Invalid: v.outcomes[Invalid].Load(),
			WriteFailed: v.outcomes[Failed].Load(), Deleted: v.deleted.Load(),
		}
	}
	return s
}

// missingBits is how many bits of need are not in set.
func missingBits(set, need []uint64) int {
	if len(need) == 1 && need[0]&^set[0] == 0 { // a row of a view of up to 64 features that has all: most are
		return 0
	}
	n := 0
	for i, want := range need {
		if lack := want &^ set[i]; lack != 0 {
			n += bits.OnesCount64(lack)
		}
	}
	return n
}
