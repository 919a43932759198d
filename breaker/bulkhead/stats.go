package bulkhead

import "time"

// Rejections counts the calls that were rejected, by [Reason].
type Rejections struct {
	Full, Evicted, Deadline, MaxWait, TooLarge, BadRequest uint64
}

// Sum is the number of calls that were rejected, whatever the reason.
func (r Rejections) Sum() uint64 {
	return r.Full + r.Evicted + r.Deadline + r.MaxWait + r.TooLarge + r.BadRequest
}

// Stats are counters since New and gauges of now. Most calls that come and go without waiting take no lock, so while they do the
// numbers are not all of the very same moment; the books balance when nothing moves: every call is in Admitted, Rejected,
// Cancelled, Expired or Queued. A call whose context had ended when it came is not counted.
type Stats struct {
	Admitted  uint64     // calls that were let in
	Waited    uint64     // calls that had to wait and have ended their wait: let in, rejected or gone
	Overtakes uint64     // calls that were let in before a heavier one at the head of the queue
	Rejected  Rejections // calls that were not let in
	Cancelled uint64     // callers whose context was cancelled while they waited
	Expired   uint64     // callers whose deadline passed while they waited

	QueueWait time.Duration // sum over Waited of the time in the queue

	Capacity   int   // cost that may be held, as Config or Resize has set it
	InUse      int64 // the cost held; above Capacity after Resize has lowered it, or Settle has raised what a permit holds
	Queued     int   // callers in the queue
	QueuedCost int64 // and their cost

	// HoldTime is the recent mean time from admission to release, weighted by cost, from which waits are estimated; 0
	// until enough calls have been timed.
	HoldTime time.Duration
}

// MeanQueueWait is the mean time in the queue of the calls that had to wait, 0 before the first.
func (s Stats) MeanQueueWait() time.Duration {
	if s.Waited == 0 {
		return 0
	}
	return s.QueueWait / time.Duration(s.Waited)
}

// RejectEvent describes a call that was rejected, for [Config].OnReject.
type RejectEvent struct {
	Reason       Reason        // why
	Cost         int           // what was asked for
	Priority     int           // see WithPriority
	Waited       time.Duration // in the queue
	ExpectedWait time.Duration // as in RejectedError; 0 if the reason is TooLarge or BadRequest
	Err          error         // what the caller gets
}
