package limiter

import (
	"math"
	"time"
)

// bucket is one limit: a token bucket that is not refilled by anybody. It holds the level of a moment, from which follows the level of
// any later one.
//
// Tokens are taken when they are there and never reserved ahead, because a reservation that is cancelled does not bring
// forward those made after it.
//
// It is guarded by the mutex of its core. Times are since the core's start; one that is earlier than what the level is of counts as that.
type bucket struct {
	limit   Limit   // with the defaults filled in
	limited bool    // limit is not the zero one
	perNano float64 // what comes in each nanosecond
	burst   float64 // of limit
	amount  float64 // the level at the time at
	at      time.Duration
}

// rounding is what a level may be off a whole number, being a float, and still count as one.
const rounding = 1e-6

// set changes the limit. The level stays, up to the new burst, and as a whole number if it is not refilled any more; a bucket that had no
// limit is full.
func (b *bucket) set(now time.Duration, l Limit) {
	level := b.level(now) // infinite if there was no limit
	b.limit, b.limited, b.perNano, b.burst = l, l != Limit{}, l.perNano(), float64(l.Burst)
	if l.Events == 0 {
		level = math.Floor(level + rounding) // what is a hair below a whole number would stay there
	}
	b.put(now, min(level, b.burst))
}

// level is what could be taken now; less than 0 is a debt.
func (b *bucket) level(now time.Duration) float64 {
	if !b.limited {
		return math.Inf(1)
	}
	return b.filled(now)
}

// filled is the level of a bucket with a limit.
func (b *bucket) filled(now time.Duration) float64 {
	return min(b.amount+float64(max(now-b.at, 0))*b.perNano, b.burst)
}

// put makes the level that of now.
func (b *bucket) put(now time.Duration, level float64) {
	b.amount, b.at = level, max(b.at, now)
}

// has reports whether n can be taken, and the level to put then. It changes nothing: with two buckets both are asked before either
// gives, and what comes in between two requests that are refused is not rounded away.
//
// More than the burst is borrowed from a full bucket; the caller has checked that this is allowed.
func (b *bucket) has(now time.Duration, n int) (rest float64, ok bool) {
	if !b.limited {
		return 0, true
	}
	level, need := b.filled(now), float64(n)
	if level >= need {
		return level - need, true
	}
	return level - need, n == 0 || b.limit.Burst > 0 && b.in(level, min(need, b.burst)) == 0
}

// spare is what of n may be left to a lease: part of what is there for certain, and little beside the burst.
func (b *bucket) spare(n float64) float64 {
	if !b.limited {
		return n
	}
	return max(min(n, b.amount, b.burst/leaseShare), 0)
}

// charge takes n whether the bucket has them or not.
func (b *bucket) charge(now time.Duration, n float64) {
	if b.limited {
		b.put(now, b.filled(now)-n)
	}
}

// chargeDownTo takes n as far as the level stays at -maxDebt or above, and returns what that leaves out.
func (b *bucket) chargeDownTo(now time.Duration, n, maxDebt int) (left int) {
	if !b.limited {
		return 0
	}
	room := math.Floor(b.filled(now) + float64(maxDebt) + rounding)
	if float64(n) > room {
		left = n - int(max(room, 0))
		n -= left
	}
	if n > 0 {
		b.charge(now, float64(n))
	}
	return left
}

// forgive gives back what is below -maxDebt, rounded up, and returns it.
func (b *bucket) forgive(now time.Duration, maxDebt int) int {
	over := math.Ceil(-b.level(now) - float64(maxDebt) - rounding)
	if over <= 0 {
		return 0
	}
	b.credit(now, int(over))
	return int(over)
}

// credit gives n back. What does not fit into the bucket is lost.
func (b *bucket) credit(now time.Duration, n int) {
	if b.limited && n > 0 {
		b.put(now, min(b.filled(now)+float64(n), b.burst))
	}
}

// lower takes what there is above n, rounded up.
func (b *bucket) lower(now time.Duration, n int) {
	if !b.limited || n < 0 {
		return
	}
	if above := math.Ceil(b.filled(now) - float64(n) - rounding); above > 0 {
		b.charge(now, above)
	}
}

// wait is the time until n have come in that are not there now, Never if they do not.
func (b *bucket) wait(now time.Duration, n int64) time.Duration {
	if !b.limited {
		return 0
	}
	return b.in(b.filled(now), float64(n))
}

// in is the time in which a level rises to n, Never if it does not. It is rounded down to nanoseconds, the smallest time that can be
// waited; so has, which asks it, lets through what is missing less than a nanosecond's worth.
func (b *bucket) in(level, n float64) time.Duration {
	missing := n - level
	switch {
	case missing <= 0:
		return 0
	case b.perNano == 0:
		return Never
	}
	ns := missing / b.perNano
	if ns >= math.MaxInt64 {
		return Never
	}
	return time.Duration(ns)
}

// price is what the level must reach for n to be taken: a request that borrows needs a full bucket.
func (b *bucket) price(n int) int64 {
	switch {
	case !b.limited:
		return 0
	case b.limit.Burst == 0: // lets nothing through
		return min(int64(n), 2*MaxEvents) // like a waiter's weight, which it is added to
	}
	return int64(min(n, b.limit.Burst))
}
