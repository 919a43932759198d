package limiter

import "time"

// Bucket is bucket, for its tests.
type Bucket = bucket

// The methods of bucket.
var (
	BucketSet          = (*bucket).set
	BucketCharge       = (*bucket).charge
	BucketChargeDownTo = (*bucket).chargeDownTo
	BucketCredit       = (*bucket).credit
	BucketLower        = (*bucket).lower
	BucketLevel        = (*bucket).level
	BucketWait         = (*bucket).wait
)

// BucketTake takes n if the bucket has them.
func BucketTake(b *Bucket, now time.Duration, n int) bool {
	rest, ok := b.has(now, n)
	if ok {
		b.put(now, rest)
	}
	return ok
}

// TimerStopped reports whether the limiter's timer is stopped, which it then is in any case.
func (l *Limiter[Req, Resp]) TimerStopped() bool {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.core.timer == nil || !l.core.timer.Stop()
}

// TakeAt takes the cost at the given time since New, as one does who read the clock then and got the lock only now.
func (l *Limiter[Req, Resp]) TakeAt(now time.Duration, cost int) bool {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.core.take(l.core.tick(now), cost)
}

// DelayTimer stops the timer, as if it was late.
func (l *Limiter[Req, Resp]) DelayTimer() (fire func()) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	l.core.timer.Stop()
	return l.core.onTimer
}

// DelayTimer stops the timer of a key, as if it was late.
func (k *Keyed[K, Req, Resp]) DelayTimer(key K) (fire func()) {
	k.table.mu.Lock()
	defer k.table.mu.Unlock()
	e := k.table.entries[key]
	e.timer.Stop()
	return e.onTimer
}

// Leased is how many requests the lease has left, and how much cost.
func (l *Limiter[Req, Resp]) Leased() (calls int, cost uint64) {
	lease := l.core.lease.Load()
	return int(lease & leaseMask), lease >> leaseBits
}
