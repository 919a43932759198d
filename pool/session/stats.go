package session

import (
	"fmt"
	"time"
)

// Reason says why a session was closed.
type Reason uint8

// The reasons.
const (
	ReasonUses     Reason = iota // it had Config.MaxUses requests
	ReasonAge                    // it was open for Config.MaxAge
	ReasonIdle                   // the pool has shrunk
	ReasonBad                    // fn returned an error that WithBroken or Bad declares one of the session
	ReasonPanic                  // fn panicked or called runtime.Goexit
	ReasonCheck                  // it failed its check
	ReasonShutdown               // Shutdown or Close
)

var reasonNames = [...]string{"uses", "age", "idle", "bad", "panic", "check", "shutdown"}

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Closes counts sessions by the Reason why they were given up.
type Closes struct {
	Uses, Age, Idle, Bad, Panic, Check, Shutdown uint64
}

func (c *Closes) add(r Reason) {
	switch r {
	case ReasonUses:
		c.Uses++
	case ReasonAge:
		c.Age++
	case ReasonIdle:
		c.Idle++
	case ReasonBad:
		c.Bad++
	case ReasonPanic:
		c.Panic++
	case ReasonCheck:
		c.Check++
	case ReasonShutdown:
		c.Shutdown++
	}
}

// Sick is the number of those that were given up for a fault.
func (c Closes) Sick() uint64 { return c.Bad + c.Panic + c.Check }

// Drops counts the requests that no session has seen, by the reason for it.
type Drops struct {
	Cancelled uint64 // the caller's context was cancelled while the request waited
	Expired   uint64 // the caller's deadline passed while the request waited
	Closed    uint64 // still waiting at Close
	Unopened  uint64 // were waiting when no session could be opened (ErrOpen)
	Refused   uint64 // came when no session could be opened (ErrOpen); never accepted
	Rejected  uint64 // no room in the queue (ErrQueueFull); never accepted
}

// Stats are counters since New and gauges of now, all taken at one moment. Leases count as requests.
// Accepted = Answered + Failed + Abandoned + Running + Queued + Blocked + Drops.Cancelled + Drops.Expired +
// Drops.Closed + Drops.Unopened.
type Stats struct {
	Accepted  uint64        // requests that were let in
	Answered  uint64        // requests that got a result; leases released with nil
	Failed    uint64        // requests that got an error of fn, or a panic; leases released with an error
	Abandoned uint64        // with Config.LockThread: requests whose caller went away while they ran
	Drops     Drops         // requests that no session has seen
	QueueWait time.Duration // sum of the time from Do to a session, over the requests that got one

	AffinityHits   uint64 // requests that went to the session that had their key last
	AffinityMisses uint64 // requests that did not, because that session was busy or had been closed
	NewKeys        uint64 // requests of keys that the pool did not remember

	Opened      uint64        // sessions that came into service
	OpensFailed uint64        // attempts that failed, in open or in the warm-up
	OpenTime    time.Duration // sum over all attempts
	Closes      Closes        // sessions given up, by reason
	ClosePanics uint64        // calls of close that panicked or called runtime.Goexit
	Checks      uint64        // checks made
	Grown       uint64        // decisions to grow because of the queue's delay
	Shrunk      uint64        // decisions to shrink

	Queued   int // requests that wait for a session
	Blocked  int // requests beyond Config.MaxQueue
	Running  int // requests in sessions
	Load     int // their cost, and that of the checks
	Sessions int // sessions in service
	Opening  int // sessions that are being opened
	Leaving  int // sessions given up that still have requests, or are being closed
	Target   int // sessions that the pool wants to have
}

// MeanQueueWait is the mean time that a request waited for its session, over the requests that got one.
func (s Stats) MeanQueueWait() time.Duration {
	if n := s.Answered + s.Failed + s.Abandoned + uint64(s.Running); n > 0 {
		return s.QueueWait / time.Duration(n)
	}
	return 0
}

// AffinityRate is the share of the requests of keys already known that went to the session that had the key; 0 before the first.
func (s Stats) AffinityRate() float64 {
	if n := s.AffinityHits + s.AffinityMisses; n > 0 {
		return float64(s.AffinityHits) / float64(n)
	}
	return 0
}

// OpenEvent describes an attempt to open a session, for [Config].OnOpen.
type OpenEvent struct {
	Slot   int           // of the session, from 0 to Config.Max-1
	Device int           // from 0 to Config.Devices-1
	Took   time.Duration // the warm-up included
	Err    error         // nil if it succeeded
}

// CloseEvent describes a session that was closed, for [Config].OnClose.
type CloseEvent struct {
	Slot, Device int           // as in OpenEvent
	Reason       Reason        // why it was given up
	Err          error         // the fault, with ReasonBad, ReasonPanic and ReasonCheck
	Uses         int64         // requests that it had
	Age          time.Duration // from when it was open to when it was given up
	CloseErr     error         // *PanicError or ErrGoexit if close did not return
}
