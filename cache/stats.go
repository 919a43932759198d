package cache

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Stats are counters since New and gauges of now. They are read one after the other while the cache goes on, so sums of them may be off
// by the calls under way.
//
// Every request, a Do or a key of GetAll, is counted once as Hits, Stale, Negative, Misses, Coalesced or Collisions, unless it is
// rejected or its context has ended before. Get is not counted. Every load that is over is counted in Loads, also one that was cancelled before the
// load function was called: that one is in LoadsFailed, and not in Calls.
type Stats struct {
	Hits       uint64 // requests answered with a fresh value
	Stale      uint64 // requests answered at once with an old value (Config.StaleWhileRevalidate, StaleIfError)
	Negative   uint64 // requests answered with a remembered error
	Misses     uint64 // requests that began a load
	Coalesced  uint64 // requests that waited for the load of another, or for a refresh
	Collisions uint64 // requests that WithEqual found to be others than their key's entry; each is a load that is not stored

	Loads           uint64 // keys whose load is over, refreshes included
	LoadsFailed     uint64 // loads that failed; an error that is an answer (WithNegative) is none, the end of all who waited is one
	Calls           uint64 // calls of the load function: one for each load that was begun, fewer with a bulk loader
	Refreshes       uint64 // loads that were refreshes
	RefreshesFailed uint64 // refreshes that failed
	Rescued         uint64 // requests that waited for a load that failed and got the old value (Config.StaleIfError)
	Abandoned       uint64 // loads whose context was cancelled because all who waited had gone
	Unstored        uint64 // values that were not stored: by WithTTL, WithWeight or WithAdmission

	LoadTime time.Duration // sum over Calls of the time they took
	Saved    time.Duration // sum over Hits, Stale and Negative of the time that the load of their entry took

	Entries    int   // entries kept, those not yet collected included that are expired or invalidated
	Weight     int64 // sum of their weights; their number without WithWeight
	Loading    int   // loads under way, refreshes included
	Refreshing int   // refreshes under way
}

// Requests is the number of requests that were counted.
func (s Stats) Requests() uint64 {
	return s.Hits + s.Stale + s.Negative + s.Misses + s.Coalesced + s.Collisions
}

// HitRate is the share of the requests that were answered at once: 0 before the first.
func (s Stats) HitRate() float64 {
	n := s.Requests()
	if n == 0 {
		return 0
	}
	return float64(s.Hits+s.Stale+s.Negative) / float64(n)
}

// MeanCallTime is the mean time that a call of the load function took, 0 before the first.
func (s Stats) MeanCallTime() time.Duration {
	if s.Calls == 0 {
		return 0
	}
	return s.LoadTime / time.Duration(s.Calls)
}

// LoadEvent describes a call of the load function, for [Config].OnLoad.
type LoadEvent struct {
	Key      any           // of the load; with a bulk loader, of the first in the call
	Keys     int           // in the call: 1 without a bulk loader
	Refresh  bool          // it was a refresh
	Took     time.Duration // the call
	Failed   int           // keys that got an error which is no answer (WithNegative)
	Negative int           // keys that got an error which is an answer
	Err      error         // the first error of any key
}

// stripes is how many copies of the counters of hits there are: a power of two.
const stripes = 32

// stripe is one copy of the counters that hits change, alone on its cache lines, so that callers on different processors do not
// write to the same.
type stripe struct {
	// packed has the number of hits in its lower bits and the sum of the microseconds that they saved in the others, so that a hit changes one word. Who
	// finds that a number near the bound has been reached moves both to the sums.
	packed atomic.Uint64

	mu    sync.Mutex // of hits and saved, and held to move to them
	hits  uint64
	saved uint64

	others   atomic.Uint64 // saved by stale values and remembered errors
	stale    atomic.Uint64
	negative atomic.Uint64
	_        [64]byte
}

// When a bit of packedFull is set, packed is moved. The lower says that there are half as many hits as there is room for, the upper that the sum of
// what they saved is half of what there is room for. Until it is moved every caller adds at most once more, 2³² µs at most (see cost), which the other half
// has room for: 2¹¹ callers at one time whose loads took an hour, or half a million whose loads took 16 seconds.
const (
	packedBits = 20
	packedFull = 1<<63 | 1<<(packedBits-1)
)

// hit counts a hit that saved so many microseconds.
func (s *stripe) hit(saved uint64) {
	if s.packed.Add(saved<<packedBits|1)&packedFull != 0 {
		s.move()
	}
}

// move moves what is packed to the sums, and returns them.
func (s *stripe) move() (hits, saved uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packed := s.packed.Swap(0)
	s.hits += packed & (1<<packedBits - 1)
	s.saved += packed >> packedBits
	return s.hits, s.saved
}

// counters are those of a cache. What only loads change needs no stripes.
type counters struct {
	stripes [stripes]stripe

	misses, coalesced, collisions atomic.Uint64
	loads, loadErrors, calls      atomic.Uint64
	refreshes, refreshErrors      atomic.Uint64
	rescued, abandoned, unstored  atomic.Uint64
	loadTime                      atomic.Int64
	refreshing                    atomic.Int64
}

// mine is the stripe for the calling goroutine, chosen by where its stack is. That says nothing about the processor, but goroutines that run at the
// same time have different stacks, and it is cheaper than all that would say more.
func (c *counters) mine() *stripe {
	var here byte
	at := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // the smallest stack
	return &c.stripes[(at*0x9E3779B97F4A7C15)>>59]     // as many bits as stripes have
}

// answered counts an answer that an entry gave.
func (c *counters) answered(v verdict, took uint64) {
	s := c.mine()
	switch v {
	case hit, refreshHit:
		s.hit(took)
		return
	case stale, refreshStale:
		s.stale.Add(1)
	case negativeHit:
		s.negative.Add(1)
	}
	s.others.Add(took)
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Misses:          c.misses.Load(),
		Coalesced:       c.coalesced.Load(),
		Collisions:      c.collisions.Load(),
		Loads:           c.loads.Load(),
		LoadsFailed:     c.loadErrors.Load(),
		Calls:           c.calls.Load(),
		Refreshes:       c.refreshes.Load(),
		RefreshesFailed: c.refreshErrors.Load(),
		Rescued:         c.rescued.Load(),
		Abandoned:       c.abandoned.Load(),
		Unstored:        c.unstored.Load(),
		LoadTime:        time.Duration(c.loadTime.Load()),
		Refreshing:      int(c.refreshing.Load()),
	}
	for i := range c.stripes {
		at := &c.stripes[i]
		hits, saved := at.move()
		s.Hits += hits
		s.Stale += at.stale.Load()
		s.Negative += at.negative.Load()
		s.Saved += time.Duration(saved+at.others.Load()) * time.Microsecond
	}
	return s
}
