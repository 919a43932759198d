package limiter_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// TestBucket pins down what the package needs of a bucket: that what is given back can be taken again, that a level below zero is kept, and
// what becomes of the level when the limit changes.
func TestBucket(t *testing.T) {
	var b limiter.Bucket
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	level := func(want float64, s float64) {
		t.Helper()
		require.InDelta(t, want, limiter.BucketLevel(&b, at(s)), 1e-6)
	}

	require.True(t, limiter.BucketTake(&b, at(0), math.MaxInt), "no limit yet")
	limiter.BucketSet(&b, at(0), limiter.Limit{Events: 10, Per: time.Second, Burst: 100})
	level(100, 0)

	require.True(t, limiter.BucketTake(&b, at(1), 70))
	level(30, 1)
	require.False(t, limiter.BucketTake(&b, at(1), 31))
	level(30, 1)
	level(40, 2)
	limiter.BucketCredit(&b, at(2), 20)
	level(60, 2)
	limiter.BucketCredit(&b, at(2), 1000)
	level(100, 2)
	limiter.BucketCredit(&b, at(2), math.MaxInt)
	level(100, 2.5)

	limiter.BucketCharge(&b, at(3), 100)
	limiter.BucketCharge(&b, at(3), 100)
	level(-100, 3)
	limiter.BucketCharge(&b, at(3), 1_000_000)
	level(-1_000_100, 3)
	level(-1_000_000, 13)
	limiter.BucketCredit(&b, at(13), 999_999)
	level(-1, 13)
	require.False(t, limiter.BucketTake(&b, at(13), 1))
	require.Equal(t, 200*time.Millisecond, limiter.BucketWait(&b, at(13), 1))
	require.True(t, limiter.BucketTake(&b, at(13.2), 1))
	level(0, 13.2)

	require.Zero(t, limiter.BucketChargeDownTo(&b, at(13.2), 50, 50))
	level(-50, 13.2)
	require.Equal(t, 7, limiter.BucketChargeDownTo(&b, at(13.2), 7, 50))
	require.Equal(t, math.MaxInt-10, limiter.BucketChargeDownTo(&b, at(13.2), math.MaxInt, 60))
	level(-60, 13.2)
	require.Equal(t, 5, limiter.BucketChargeDownTo(&b, at(13.2), 5, 10), "MaxDebt was lowered")
	level(-60, 13.2)

	level(100, 100)
	limiter.BucketLower(&b, at(100), 200)
	level(100, 100)
	limiter.BucketLower(&b, at(100), 33)
	level(33, 100)
	limiter.BucketLower(&b, at(100), -1)
	level(33, 100)
	level(33.05, 100.005)
	limiter.BucketLower(&b, at(100.005), 33)
	level(32.05, 100.005)

	limiter.BucketSet(&b, at(100.005), limiter.Limit{Events: 1, Per: time.Second, Burst: 10})
	level(10, 100.005)
	limiter.BucketSet(&b, at(100.005), limiter.Limit{Events: 1, Per: time.Second, Burst: 20})
	level(10, 100.005)
	level(20, 111)
	require.True(t, limiter.BucketTake(&b, at(111), 50), "borrows from a full bucket")
	level(-30, 111)
	require.False(t, limiter.BucketTake(&b, at(160.9), 50))
	require.True(t, limiter.BucketTake(&b, at(161), 50))

	limiter.BucketSet(&b, at(161), limiter.Limit{Burst: 10}) // a budget
	require.Equal(t, limiter.Never, limiter.BucketWait(&b, at(161), 1))
	limiter.BucketSet(&b, at(161), limiter.Limit{Events: 1, Per: math.MaxInt64, Burst: 10})
	require.Equal(t, limiter.Never, limiter.BucketWait(&b, at(161), 1<<40))
	limiter.BucketSet(&b, at(161), limiter.Limit{})
	require.True(t, math.IsInf(limiter.BucketLevel(&b, at(161)), 1))
}

// TestBucketPrecision: how far off a level gets by rounding is what MaxEvents says.
func TestBucketPrecision(t *testing.T) {
	const takes, spent = 1 << 17, 1 << 20
	for _, burst := range []int{most, 1 << 29} {
		var b limiter.Bucket
		now := time.Duration(0)
		limiter.BucketSet(&b, now, limiter.Limit{Events: 1000, Per: time.Second, Burst: burst})
		require.True(t, limiter.BucketTake(&b, now, spent))
		begin, from := limiter.BucketLevel(&b, now), now
		for range takes { // what comes in in between is less than a level of MaxEvents can tell
			now += 100 * time.Nanosecond
			require.True(t, limiter.BucketTake(&b, now, 1))
		}
		want := begin + 1000*(now-from).Seconds() - takes
		require.InDelta(t, want, limiter.BucketLevel(&b, now), takes*float64(burst)/limiter.MaxEvents/8192, "burst %d", burst)
	}
}
