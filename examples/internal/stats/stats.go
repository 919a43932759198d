// Package stats sums up latencies.
package stats

import (
	"fmt"
	"math"
	"time"
)

// Percentile returns the smallest of the values, which must be in ascending order, that at least p percent of them do
// not exceed (the nearest-rank method: always one of the values). It is 0 if there are no values.
func Percentile(ascending []time.Duration, p float64) time.Duration {
	if len(ascending) == 0 {
		return 0
	}
	// The product may come out a hair above the whole number that it is: 99% of 100 is not rank 100.
	rank := int(math.Ceil(p*float64(len(ascending))/100 - 1e-9))
	return ascending[min(max(rank, 1), len(ascending))-1]
}

// Buckets counts values by size: bucket i those from i·width to less than (i+1)·width, the last one also all that are larger.
func Buckets(values []time.Duration, width time.Duration, count int) []int {
	counts := make([]int, count)
	for _, v := range values {
		counts[min(max(int(v/width), 0), count-1)]++
	}
	return counts
}

// BucketWidth returns a round width, 1, 2 or 5 times a power of ten nanoseconds, with which count buckets reach at least up to limit.
func BucketWidth(limit time.Duration, count int) time.Duration {
	least := (int64(limit)-1)/int64(count) + 1 // rounded up
	for decade := int64(1); ; decade *= 10 {
		for _, factor := range []int64{1, 2, 5} {
			if factor*decade >= least {
				return time.Duration(factor * decade)
			}
		}
	}
}

// Milliseconds writes a latency for a table.
func Milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
