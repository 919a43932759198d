package featurestore

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// latency learns a quantile of the times that calls take, from a histogram whose buckets are an eighth of a power of two wide. Counts are halved now and then, so
// that it follows changes.
type latency struct {
	quantile float64
	learned  atomic.Int64 // nanoseconds; 0: too few calls so far

	mu      sync.Mutex
	buckets [64 * latencySteps]uint32
	total   uint32
	sum     uint32 // observations since the quantile was taken
}

const (
	latencySteps   = 8
	latencyEnough  = 64   // observations before the first quantile is taken
	latencyRefresh = 32   // and between one and the next
	latencyMemory  = 2048 // observations after which all counts are halved
)

// observe takes the time of a call that has succeeded, or the time after which one was given up because another was faster. That is less than it would have
// taken, but is beyond the quantile as a rule, and that is all that has to be known. Left out, the slow calls would be missing and the quantile
// would fall and fall.
func (l *latency) observe(d time.Duration) {
	if l.quantile == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buckets[latencyBucket(d)]++
	l.total++
	if l.sum++; l.total >= latencyEnough && l.sum >= latencyRefresh {
		l.sum = 0
		l.learned.Store(int64(l.find()))
	}
	if l.total >= latencyMemory {
		l.total = 0
		for i := range l.buckets {
			l.buckets[i] /= 2
			l.total += l.buckets[i]
		}
	}
}

// find is the upper end of the bucket in which the quantile is.
func (l *latency) find() time.Duration {
	rank, seen := l.quantile*float64(l.total), 0.0
	for i, n := range l.buckets {
		if seen += float64(n); n > 0 && seen >= rank {
			return latencyEnd(i)
		}
	}
	return 0 // not reached: the total is the sum of the buckets
}

// latencyBucket is the power of two of d, and the three bits that follow the highest.
func latencyBucket(d time.Duration) int {
	ns := uint64(max(d, latencySteps))
	exponent := bits.Len64(ns)
	return (exponent-4)*latencySteps + int(ns>>(exponent-4)&(latencySteps-1))
}

// latencyEnd is the smallest duration beyond the bucket.
func latencyEnd(bucket int) time.Duration {
	exponent, step := bucket/latencySteps, bucket%latencySteps
	return time.Duration(min(uint64(latencySteps+step+1)<<exponent, 1<<63-1))
}

// budget bounds the hedges to a share of the other calls. Its unit is a millionth of a call.
type budget struct {
	share int64
	left  atomic.Int64
}

const (
	budgetCall  = 1_000_000
	budgetBurst = 10 * budgetCall
)

func newBudget(share float64) *budget {
	b := &budget{share: int64(share * budgetCall)}
	b.left.Store(budgetBurst)
	return b
}

// earn is called for each call that is no hedge.
func (b *budget) earn() {
	for {
		left := b.left.Load()
		if left >= budgetBurst || b.left.CompareAndSwap(left, min(left+b.share, budgetBurst)) {
			return
		}
	}
}

// take reports whether there may be one more hedge.
func (b *budget) take() bool {
	for {
		left := b.left.Load()
		if left < budgetCall {
			return false
		}
		if b.left.CompareAndSwap(left, left-budgetCall) {
			return true
		}
	}
}
