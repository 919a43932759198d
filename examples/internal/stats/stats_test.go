package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	five := []time.Duration{15, 20, 35, 40, 50} // the example of Wikipedia's article on the nearest-rank method
	for _, c := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 0, 7},
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 100, 7},
		{five, 5, 15},
		{five, 30, 20},
		{five, 40, 20},
		{five, 50, 35},
		{five, 100, 50},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 99.9, 100},
		{hundred, 200, 100},
		{hundred, -1, 1},
	} {
		assert.Equal(t, c.want, Percentile(c.values, c.p), "p%v of %v", c.p, c.values)
	}
}

// The definition itself: p percent of the values, or more, are at most the percentile, and with any smaller value they are not.
func TestPercentileOfRandomValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		values := make([]time.Duration, 1+random.IntN(200))
		for i := range values {
			values[i] = time.Duration(random.IntN(100))
		}
		slices.Sort(values)
		p := 1 + random.IntN(99) // whole, so that the check below is exact
		got := Percentile(values, float64(p))
		atMost, below := 0, 0
		for _, v := range values {
			if v <= got {
				atMost++
			}
			if v < got {
				below++
			}
		}
		assert.GreaterOrEqual(t, 100*atMost, p*len(values))
		assert.Less(t, 100*below, p*len(values))
	}
}

func TestBuckets(t *testing.T) {
	values := []time.Duration{0, 9, 10, 19, 20, 29, 30, 1000, -1}
	assert.Equal(t, []int{3, 2, 4}, Buckets(values, 10, 3))
	assert.Equal(t, []int{0, 0}, Buckets(nil, 10, 2))
	assert.Equal(t, []int{9}, Buckets(values, 10, 1))
}

func TestBucketWidth(t *testing.T) {
	for _, c := range []struct {
		limit time.Duration
		count int
		want  time.Duration
	}{
		{0, 10, 1},
		{10, 10, 1},
		{11, 10, 2},
		{20, 10, 2},
		{21, 10, 5},
		{51, 10, 10},
		{7 * time.Millisecond, 12, time.Millisecond},
		{13 * time.Millisecond, 12, 2 * time.Millisecond},
		{12 * time.Millisecond, 12, time.Millisecond},
	} {
		assert.Equal(t, c.want, BucketWidth(c.limit, c.count), "%v in %d", c.limit, c.count)
	}
	assert.Equal(t, time.Duration(1e18), BucketWidth(math.MaxInt64, 10))
}

func TestMilliseconds(t *testing.T) {
	assert.Equal(t, "0.00 ms", Milliseconds(0))
	assert.Equal(t, "1234.57 ms", Milliseconds(1_234_567_890))
}
