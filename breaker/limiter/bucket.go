package limiter

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// bucket is one limit: a rate.Limiter, and what that lacks. It is guarded by the mutex of its core, which must give it times
// that do not go back (rate.Limiter would refill twice).
//
// rate.Limiter is used as a plain bucket: tokens are taken when they are there and never reserved ahead, because a reservation that is
// cancelled does not bring forward those made after it. Its ReserveN with a negative n gives tokens back. That is not documented (golang/go#54082
// asks for it); TestBucket fails if it ceases to hold.
type bucket struct {
	lim   *rate.Limiter // nil: no limit
	limit Limit         // with the defaults filled in
}

// rounding is what a level may be off a whole number, being a float, and still count as one.
const rounding = 1e-6

// set changes the limit. The level stays, up to the new burst, and as a whole number if it is not refilled any more; a bucket that had no
// limit is full.
func (b *bucket) set(t time.Time, l Limit) {
	b.limit = l
	switch {
	case l == Limit{}:
		b.lim = nil
	case b.lim == nil:
		b.lim = rate.NewLimiter(rate.Limit(l.perSecond()), l.Burst)
	case l.Events == 0:
		// What is a hair below a whole number would stay there.
		level := int(math.Floor(b.lim.TokensAt(t) + rounding))
		b.lim = rate.NewLimiter(0, l.Burst)
		if missing := l.Burst - level; missing > 0 {
			b.charge(t, missing)
		}
	default:
		b.lim.SetLimitAt(t, rate.Limit(l.perSecond()))
		b.lim.SetBurstAt(t, l.Burst)
	}
}

// take takes n if the bucket has them. More than the burst is borrowed from a full bucket; the caller has checked that this is allowed.
func (b *bucket) take(t time.Time, n int) bool {
	switch {
	case b.lim == nil || n == 0:
		return true
	case n <= b.limit.Burst:
		return b.lim.AllowN(t, n)
	case b.limit.Burst == 0 || !b.lim.AllowN(t, b.limit.Burst):
		return false
	}
	b.charge(t, n-b.limit.Burst)
	return true
}

// charge takes n whether the bucket has them or not.
func (b *bucket) charge(t time.Time, n int) {
	if n <= b.limit.Burst {
		b.lim.ReserveN(t, n)
		return
	}
	b.lim.SetBurstAt(t, n) // ReserveN refuses more than the burst
	b.lim.ReserveN(t, n)
	b.lim.SetBurstAt(t, b.limit.Burst)
}

// chargeDownTo takes n as far as the level stays at -maxDebt or above, and returns what that leaves out.
func (b *bucket) chargeDownTo(t time.Time, n, maxDebt int) (left int) {
	if b.lim == nil {
		return 0
	}
	room := math.Floor(b.lim.TokensAt(t) + float64(maxDebt) + rounding)
	if float64(n) > room {
		left = n - int(max(room, 0))
		n -= left
	}
	if n > 0 {
		b.charge(t, n)
	}
	return left
}

// forgive gives back what is below -maxDebt, rounded up, and returns it.
func (b *bucket) forgive(t time.Time, maxDebt int) int {
	over := math.Ceil(-b.level(t) - float64(maxDebt) - rounding)
	if over <= 0 {
		return 0
	}
	b.credit(t, int(over))
	return int(over)
}

// credit gives n back. What does not fit into the bucket is lost.
func (b *bucket) credit(t time.Time, n int) {
	if b.lim != nil && n > 0 {
		b.lim.ReserveN(t, -n)
	}
}

// level is what could be taken now; less than 0 is a debt.
func (b *bucket) level(t time.Time) float64 {
	if b.lim == nil {
		return math.Inf(1)
	}
	return b.lim.TokensAt(t)
}

// lower takes what there is above n, rounded up.
func (b *bucket) lower(t time.Time, n int) {
	if b.lim == nil || n < 0 {
		return
	}
	if above := math.Ceil(b.lim.TokensAt(t) - float64(n) - rounding); above > 0 {
		b.charge(t, int(above))
	}
}

// wait is the time until n have come in that are not there now, Never if they do not. Like rate.Limiter it rounds down to
// nanoseconds, so that take succeeds when it is 0.
func (b *bucket) wait(t time.Time, n int64) time.Duration {
	if b.lim == nil {
		return 0
	}
	missing := float64(n) - b.lim.TokensAt(t)
	if missing <= 0 {
		return 0
	}
	perSecond := b.limit.perSecond()
	if perSecond == 0 {
		return Never
	}
	ns := missing / perSecond * float64(time.Second)
	if ns >= float64(math.MaxInt64) {
		return Never
	}
	return time.Duration(ns)
}

// price is what the level must reach for n to be taken: a request that borrows needs a full bucket.
func (b *bucket) price(n int) int64 {
	switch {
	case b.lim == nil:
		return 0
	case b.limit.Burst == 0: // lets nothing through
		return min(int64(n), 2*MaxEvents) // like a waiter's weight, which it is added to
	}
	return int64(min(n, b.limit.Burst))
}
