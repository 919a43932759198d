package limiter

// Bucket is bucket, for its tests.
type Bucket = bucket

// The methods of bucket.
var (
	BucketSet          = (*bucket).set
	BucketTake         = (*bucket).take
	BucketCharge       = (*bucket).charge
	BucketChargeDownTo = (*bucket).chargeDownTo
	BucketCredit       = (*bucket).credit
	BucketLower        = (*bucket).lower
	BucketLevel        = (*bucket).level
	BucketWait         = (*bucket).wait
)

// TimerStopped reports whether the limiter's timer is stopped, which it then is in any case.
func (l *Limiter[Req, Resp]) TimerStopped() bool {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.core.timer == nil || !l.core.timer.Stop()
}
