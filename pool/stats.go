package pool

import "time"

// Drops counts the requests that were never executed, by the reason for it.
type Drops struct {
	Cancelled uint64 // the caller's context or the Future was cancelled while the request waited
	Expired   uint64 // the caller's deadline passed while the request waited
	Closed    uint64 // still waiting at Close
	Evicted   uint64 // lost its place in the queue to a higher class (ErrEvicted)
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
// Accepted = Answered + Failed + Abandoned + Queued + Blocked + Running + Inside + Drops.Cancelled + Drops.Expired +
// Drops.Closed + Drops.Evicted.
type Stats struct {
	Accepted  uint64 // requests that were let in: to run, to the queue, or to wait for room in it
	Answered  uint64 // requests whose function returned no error
	Failed    uint64 // requests whose function returned an error, panicked or called runtime.Goexit
	Panics    uint64 // calls that panicked, those of abandoned requests included
	Abandoned uint64 // requests whose caller went away while they ran; what they returned was thrown away
	Nested    uint64 // requests that ran inside of another one, see [Pool.Do]
	Drops     Drops  // requests that were never executed

	Timed     uint64        // requests of which the times were taken: one in 16 of those that ran, but for those inside of others
	QueueWait time.Duration // sum over Timed of the time from arrival to the call of the function
	RunTime   time.Duration // sum over Timed of the time in the function

	Size    int // requests that may run at the same time
	Workers int // goroutines of the pool
	Busy    int // places that are taken, also by requests that are abandoned or run on their callers' goroutines: more than Size for a while after Resize
	Queued  int // requests in the queue
	Blocked int // requests that wait for room in the queue
	Running int // requests that have a place of their own, abandoned ones not included
	Inside  int // requests that run inside of another one, abandoned ones not included
}

// add adds the counters that a lane keeps.
func (s *Stats) add(l *Stats) {
	s.Accepted += l.Accepted
	s.Answered += l.Answered
	s.Failed += l.Failed
	s.Panics += l.Panics
	s.Abandoned += l.Abandoned
	s.Drops.Cancelled += l.Drops.Cancelled
	s.Drops.Expired += l.Drops.Expired
	s.Timed += l.Timed
	s.QueueWait += l.QueueWait
	s.RunTime += l.RunTime
}

// MeanQueueWait is the mean time from arrival to the call of the function, estimated from a sample: one request in 16.
func (s Stats) MeanQueueWait() time.Duration { return mean(s.QueueWait, s.Timed) }

// MeanRunTime is the mean time that a request took, estimated from the same sample.
func (s Stats) MeanRunTime() time.Duration { return mean(s.RunTime, s.Timed) }

func mean(sum time.Duration, n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return sum / time.Duration(n)
}
