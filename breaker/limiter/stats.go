package limiter

import (
	"math"
	"time"
)

// Rejections counts the requests that were rejected, by the reason for it.
type Rejections struct {
	NoWait, MaxWait, Deadline, QueueFull, Never, TooManyKeys uint64 // by Reason
	TooLarge                                                 uint64 // ErrTooLarge
}

func (r *Rejections) add(reason Reason) {
	switch reason {
	case ReasonNoWait:
		r.NoWait++
	case ReasonMaxWait:
		r.MaxWait++
	case ReasonDeadline:
		r.Deadline++
	case ReasonQueueFull:
		r.QueueFull++
	case ReasonNever:
		r.Never++
	case ReasonTooManyKeys:
		r.TooManyKeys++
	}
}

// Sum is the number of requests that were rejected, whatever the reason.
func (r Rejections) Sum() uint64 {
	return r.NoWait + r.MaxWait + r.Deadline + r.QueueFull + r.Never + r.TooManyKeys + r.TooLarge
}

// Stats are counters since New and gauges of now, all taken at one moment. Every request that came in is in Admitted, Rejected,
// Cancelled, Expired or Queued; those whose context had ended already, and ErrBadRequest, are not counted.
type Stats struct {
	Admitted  uint64     // requests that were let through
	Waited    uint64     // those of Admitted that had to wait
	Rejected  Rejections // requests that were rejected
	Cancelled uint64     // the caller's context was cancelled while the request waited
	Expired   uint64     // the caller's deadline passed while the request waited
	Returned  uint64     // those of Admitted that were given back because no work was done

	ReservedCost uint64        // cost of Admitted, when they were let through
	RefundedCost uint64        // what of it was given back
	ExtraCost    uint64        // what was taken later, because the actual cost was more
	ForgivenCost uint64        // what would have been taken but for MaxDebt
	QueueWait    time.Duration // sum over Waited of the time in the queue

	Queued     int   // requests that wait now
	QueuedCost int64 // and their cost, of each up to 2*MaxEvents
}

// MeanQueueWait is the mean time that the requests that had to wait and were let through did wait, 0 if there are none.
func (s Stats) MeanQueueWait() time.Duration {
	if s.Waited == 0 {
		return 0
	}
	return s.QueueWait / time.Duration(min(s.Waited, math.MaxInt64))
}

// count adds a cost to a counter, which stays at the largest number rather than to overflow.
func count(counter *uint64, cost int) {
	*counter += min(uint64(max(cost, 0)), math.MaxUint64-*counter)
}

// KeyedStats are the counters and gauges of a [Keyed]. A request that its key let through and Total did not is in
// Each.Admitted and Each.Returned, and in Total.Rejected, Cancelled or Expired.
type KeyedStats struct {
	Each    Stats  // over all keys, also those that are no longer kept
	Total   Stats  // of KeyedConfig.Total
	Keys    int    // keys that are kept now
	Evicted uint64 // keys that made room for others
}

// Level is what the limits have room for now.
type Level struct {
	Requests float64       // requests, +Inf without a limit
	Cost     float64       // cost, +Inf without a limit; less than 0 is a debt
	Paused   time.Duration // how long Pause still holds everything up
	Queued   int           // requests that wait
}

// RejectEvent describes a request that was rejected, for [Config].OnReject.
type RejectEvent struct {
	Key    any           // the request's key (Keyed only, and not with Total)
	Total  bool          // by KeyedConfig.Total, not by the limits of its key
	Cost   int           // what was asked for
	Waited time.Duration // how long it waited before
	Err    error         // what the caller gets: a *LimitedError or ErrTooLarge
}
