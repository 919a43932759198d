package batching

import (
	"fmt"
	"time"
)

// Reason says why a batch was dispatched when it was.
type Reason uint8

// The reasons. A batch that is full is counted under Size or Weight, whatever else was true of it.
const (
	ReasonSize     Reason = iota // it had as many requests as a batch may have: MaxSize, or Stats.SizeLimit
	ReasonWeight                 // the next request would have passed MaxWeight
	ReasonWait                   // its oldest request had waited MaxWait for company
	ReasonSlot                   // a slot was free, and nothing to wait for
	ReasonDeadline               // a member's deadline allowed no more waiting
	ReasonFlush                  // Flush was called
	ReasonClose                  // Shutdown drains the queue
)

var reasonNames = [...]string{"size", "weight", "wait", "slot", "deadline", "flush", "close"}

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Flushes counts batches by [Reason].
type Flushes struct {
	Size, Weight, Wait, Slot, Deadline, Flush, Close uint64
}

func (f *Flushes) add(r Reason) {
	switch r {
	case ReasonSize:
		f.Size++
	case ReasonWeight:
		f.Weight++
	case ReasonWait:
		f.Wait++
	case ReasonSlot:
		f.Slot++
	case ReasonDeadline:
		f.Deadline++
	case ReasonFlush:
		f.Flush++
	case ReasonClose:
		f.Close++
	}
}

// Drops counts the requests that were never executed, by the reason for it.
type Drops struct {
	Cancelled uint64 // the caller's context was cancelled while the request waited
	Expired   uint64 // the caller's deadline passed while the request waited
	Closed    uint64 // still queued at Close
	Evicted   uint64 // lost its place in the queue to a higher class (ErrEvicted)
	Lost      uint64 // could not make its deadline any more (ErrDeadline)
	Refused   uint64 // could not have made its deadline when it came (ErrDeadline); never accepted
	Rejected  uint64 // no room in the queue (ErrQueueFull); never accepted
}

func (d *Drops) left(expired bool) {
	if expired {
		d.Expired++
	} else {
		d.Cancelled++
	}
}

// Stats are counters since New and gauges of now, all taken at one moment.
// Accepted = Answered + Failed + Abandoned + Queued + Blocked + Running + Drops.Cancelled + Drops.Expired + Drops.Closed +
// Drops.Evicted + Drops.Lost.
type Stats struct {
	Accepted  uint64 // requests that were let in: queued, or waiting for room in the queue
	Answered  uint64 // requests that got a result
	Late      uint64 // those of them whose answer came after their deadline or, with the policy Deadline, the objective
	Failed    uint64 // requests that got an error from run: their own, their batch's, a panic
	Abandoned uint64 // requests whose caller went away while their batch ran; their result was thrown away
	Drops     Drops  // requests that were never executed

	Batches   uint64  // batches that ran
	Items     uint64  // requests in these batches, padding not counted
	Padding   uint64  // requests made by WithPad
	ExtraRuns uint64  // runs beyond a batch's first, made by bisection
	Flushes   Flushes // Batches by reason

	QueueWait time.Duration // sum over Items of the time from Do to dispatch
	RunTime   time.Duration // sum over Batches of the time from dispatch to the results

	Queued       int   // requests in the queue
	QueuedWeight int64 // and their weight
	Blocked      int   // requests that wait for room in the queue
	Running      int   // requests in batches that run, those already abandoned not counted
	InFlight     int   // batches that run
	Keys         int   // keys that have requests queued (Keyed only)
	SizeLimit    int   // requests that a batch may have now: MaxSize, or less while the policy is AIMD or Deadline

	Latency Latency // what the policy Deadline has learnt of the run function
}

// Latency is the time that a batch is expected to take: Fixed + PerUnit times the number of its requests (padding included) or, if
// ByWeight, its weight. It is all zero before the first batch and with other policies than Deadline.
type Latency struct {
	Fixed    time.Duration // a, of a + b·n
	PerUnit  time.Duration // b
	ByWeight bool          // n is the weight, not the number
	Margin   float64       // batches take up to that share longer, nine times out of ten
}

// Goodput is the share of the requests that were answered in time, among all that came and are not waiting or running: 1 before the first.
func (s Stats) Goodput() float64 {
	over := s.Accepted + s.Drops.Refused + s.Drops.Rejected - uint64(s.Queued+s.Blocked+s.Running)
	if over == 0 {
		return 1
	}
	return float64(s.Answered-s.Late) / float64(over)
}

// MeanBatchSize is the number of requests in the mean batch, 0 before the first.
func (s Stats) MeanBatchSize() float64 {
	if s.Batches == 0 {
		return 0
	}
	return float64(s.Items) / float64(s.Batches)
}

// MeanQueueWait is the mean time from Do to dispatch, over the requests that were executed.
func (s Stats) MeanQueueWait() time.Duration {
	if s.Items == 0 {
		return 0
	}
	return s.QueueWait / time.Duration(s.Items)
}

// MeanRunTime is the mean time that a batch took, 0 before the first.
func (s Stats) MeanRunTime() time.Duration {
	if s.Batches == 0 {
		return 0
	}
	return s.RunTime / time.Duration(s.Batches)
}

// BatchEvent describes a batch that has run, for [Config].OnBatch.
type BatchEvent struct {
	Key       any           // the batch's key (Keyed only)
	Size      int           // requests, padding not counted
	Weight    int64         // sum of their weights
	Padding   int           // requests added by WithPad
	Reason    Reason        // why it was dispatched when it was
	QueueWait time.Duration // of its oldest request, from Do to dispatch
	RunTime   time.Duration // from dispatch to the results, bisection included
	ExtraRuns int           // runs beyond the first, made by bisection
	Failed    int           // members that got an error
	Err       error         // what the first run returned
}
