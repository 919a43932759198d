package ensemble

import (
	"sync"
	"time"

	"github.com/scalable-ai/patterns/internal/stripe"
)

// Stats are the counters and gauges of an [Ensemble]. A call, and what its members did, is counted when it is over.
type Stats struct {
	Calls     uint64 // of Do and Ask that asked members; each is one of the following four
	Answered  uint64 // with an answer of all members
	Partial   uint64 // with an answer of some
	Failed    uint64 // with a QuorumError, or an error or a panic of the combiner
	Cancelled uint64 // because the caller's context ended

	Stragglers int           // member calls that have not returned though their call is over
	Members    []MemberStats // in the order of the members
}

// MemberStats are the counters and gauges of a member.
type MemberStats struct {
	Name      string
	Calls     uint64 // that were begun; each is Answered, Failed or Cancelled. Do is not called if the call was decided before the member's goroutine got its turn
	Answered  uint64 // that were in time and good
	Failed    uint64 // bad answers, panics, Goexit and time-outs included
	TimedOut  uint64 // of these; by its Timeout, or the call's deadline
	Cancelled uint64 // because the call was decided without it, or its caller went away

	RunTime    time.Duration // sum over Answered
	Stragglers int           // calls that have not returned though the call they were made for is over
}

// MeanRunTime is the mean time that an answer took, 0 before the first.
func (m MemberStats) MeanRunTime() time.Duration {
	if m.Answered == 0 {
		return 0
	}
	return m.RunTime / time.Duration(m.Answered)
}

// Stats are the counters and gauges at this moment.
func (e *Ensemble[Req, In, Out]) Stats() Stats {
	s := Stats{Members: make([]MemberStats, len(e.members))}
	for i := range s.Members {
		s.Members[i].Name = e.members[i].Name
	}
	for i := range e.books {
		b := &e.books[i]
		b.mu.Lock()
		defer b.mu.Unlock() // all at once, so that they are of one moment
		s.add(&b.stats)
	}
	return s
}

// book is where some of the calls are counted. There are several, so that callers on different processors need not wait for each other's
// writes to the counters of all members, which would be much of what a call of quick members costs. A call that a member has left may be
// taken off the gauges of another book than it was added to: only their sums mean something.
type book struct {
	mu    sync.Mutex
	stats Stats // the members without their names
	_     [64]byte
}

func newBooks(members int) []book {
	books := make([]book, stripe.Count())
	for i := range books {
		books[i].stats.Members = make([]MemberStats, members, members+1) // which keeps what is beside them in memory at a distance
	}
	return books
}

// book is the one for the goroutine that calls it.
func (e *Ensemble[Req, In, Out]) book() *book { return &e.books[stripe.Index(len(e.books))] }

func (s *Stats) add(o *Stats) {
	s.Calls += o.Calls
	s.Answered += o.Answered
	s.Partial += o.Partial
	s.Failed += o.Failed
	s.Cancelled += o.Cancelled
	s.Stragglers += o.Stragglers
	for i := range s.Members {
		m, o := &s.Members[i], &o.Members[i]
		m.Calls += o.Calls
		m.Answered += o.Answered
		m.Failed += o.Failed
		m.TimedOut += o.TimedOut
		m.Cancelled += o.Cancelled
		m.RunTime += o.RunTime
		m.Stragglers += o.Stragglers
	}
}

// abandon adds to the calls of a member that are left behind.
func (e *Ensemble[Req, In, Out]) abandon(member, n int) {
	b := e.book()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Stragglers += n
	b.stats.Members[member].Stragglers += n
}

// tally counts a call that is over.
func (c *call[Req, In, Out]) tally(answered bool) {
	b := c.e.book()
	b.mu.Lock()
	defer b.mu.Unlock()
	st := &b.stats
	st.Calls++
	switch {
	case answered && c.answered == len(c.slots):
		st.Answered++
	case answered:
		st.Partial++
	case c.gaveUp():
		st.Cancelled++
	default:
		st.Failed++
	}
	for i := range c.slots {
		m := &st.Members[i]
		status := c.slots[i].status
		if status != NotCalled {
			m.Calls++
		}
		switch status {
		case Answered:
			m.Answered++
			m.RunTime += c.slots[i].took
		case Failed:
			m.Failed++
		case TimedOut, Late:
			m.Failed++
			m.TimedOut++
		case Cancelled:
			m.Cancelled++
		}
	}
}
