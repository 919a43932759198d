package limiter_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/scalable-ai/patterns/breaker/limiter"
)

// rateBucket is a bucket made of a rate.Limiter, which the limiter's own is measured by.
//
// ReserveN with a negative n gives tokens back. That is not documented (golang/go#54082 asks for it).
type rateBucket struct {
	lim   *rate.Limiter // nil: no limit
	limit limiter.Limit
	start time.Time
}

func (b *rateBucket) at(now time.Duration) time.Time { return b.start.Add(now) }

func (b *rateBucket) set(now time.Duration, l limiter.Limit) {
	perSecond := rate.Limit(0)
	if l.Events > 0 {
		perSecond = rate.Limit(float64(l.Events) / l.Per.Seconds())
	}
	b.limit = l
	switch {
	case l == limiter.Limit{}:
		b.lim = nil
	case b.lim == nil:
		b.lim = rate.NewLimiter(perSecond, l.Burst)
	case l.Events == 0:
		missing := l.Burst - int(math.Floor(b.level(now)+1e-6))
		b.lim = rate.NewLimiter(0, l.Burst)
		if missing > 0 {
			b.charge(now, missing)
		}
	default:
		b.lim.SetLimitAt(b.at(now), perSecond)
		b.lim.SetBurstAt(b.at(now), l.Burst)
	}
}

func (b *rateBucket) take(now time.Duration, n int) bool {
	switch {
	case b.lim == nil || n == 0:
		return true
	case n <= b.limit.Burst:
		return b.lim.AllowN(b.at(now), n)
	case b.limit.Burst == 0 || !b.lim.AllowN(b.at(now), b.limit.Burst):
		return false
	}
	b.charge(now, n-b.limit.Burst)
	return true
}

func (b *rateBucket) charge(now time.Duration, n int) {
	if b.lim == nil {
		return
	}
	b.lim.SetBurstAt(b.at(now), max(n, b.limit.Burst)) // ReserveN refuses more than the burst
	b.lim.ReserveN(b.at(now), n)
	b.lim.SetBurstAt(b.at(now), b.limit.Burst)
}

func (b *rateBucket) credit(now time.Duration, n int) {
	if b.lim != nil {
		b.lim.ReserveN(b.at(now), -n)
	}
}

func (b *rateBucket) level(now time.Duration) float64 {
	if b.lim == nil {
		return math.Inf(1)
	}
	return b.lim.TokensAt(b.at(now))
}

// FuzzBucket plays programs of operations against a bucket and one that is made of a rate.Limiter: levels, answers and waits must be the same.
func FuzzBucket(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		p := make([]byte, 300)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		p := program(bytes[:min(len(bytes), 400)])
		var b limiter.Bucket
		r := rateBucket{start: time.Now()}
		now := time.Duration(0)
		for len(p) > 0 {
			n := amount(&p)
			switch p.next(8) {
			case 0:
				l := someLimit(&p)
				limiter.BucketSet(&b, now, l)
				r.set(now, l)
			case 1, 2, 3:
				level := r.level(now)
				if missing := float64(min(n, r.limit.Burst)) - level; math.Abs(missing) < tolerance(&r, level) {
					continue // whether that is there is a matter of rounding
				}
				want := r.take(now, n)
				require.Equal(t, want, limiter.BucketTake(&b, now, n), "take %d of %v at a level of %v", n, r.limit, level)
			case 4:
				limiter.BucketCredit(&b, now, n)
				r.credit(now, n)
			case 5:
				limiter.BucketCharge(&b, now, float64(n))
				r.charge(now, n)
			default:
				now += time.Duration(n) * []time.Duration{1, time.Microsecond, ms, time.Second}[p.next(4)]
			}
			same(t, &b, &r, now)
		}
	})
}

// same compares the level and the wait for one more, and for a full bucket.
func same(t *testing.T, b *limiter.Bucket, r *rateBucket, now time.Duration) {
	t.Helper()
	want, got := r.level(now), limiter.BucketLevel(b, now)
	if want != got {
		require.InDelta(t, want, got, tolerance(r, want), "%v", r.limit)
	}
	for _, n := range []int{int(min(max(want, 0), 1e9)) + 1, r.limit.Burst} {
		wait := limiter.BucketWait(b, now, int64(n))
		missing := float64(n) - want
		switch {
		case missing <= tolerance(r, want):
		case r.limit.Events == 0:
			require.Equal(t, limiter.Never, wait)
		default:
			ns := min(missing/float64(r.lim.Limit())*1e9, math.MaxInt64)
			require.InDelta(t, ns, float64(wait), 1+ns*1e-6+tolerance(r, want)/float64(r.lim.Limit())*1e9, "%v", r.limit)
		}
	}
}

// tolerance is what rounding may make of a level: of the largest numbers that have been in it, and of what comes in in a nanosecond.
func tolerance(r *rateBucket, level float64) float64 {
	if r.lim == nil || math.IsInf(level, 0) {
		return 1
	}
	return 1e-5 + 1e-9*(math.Abs(level)+float64(r.limit.Burst)) + 2e-9*float64(r.lim.Limit())
}

func amount(p *program) int { return []int{0, 1, 2, 7, 100, 12_345, 1 << 20, 1 << 28}[p.next(8)] }

func someLimit(p *program) limiter.Limit {
	switch p.next(8) {
	case 0:
		return limiter.Limit{}
	case 1:
		return limiter.Limit{Per: time.Second}
	case 2:
		return limiter.Limit{Burst: 1 + amount(p)}
	}
	pers := []time.Duration{1, 333, time.Microsecond, ms, time.Second, time.Minute, 24 * time.Hour, 365 * 24 * time.Hour}
	return limiter.Limit{Events: 1 + amount(p), Per: pers[p.next(8)], Burst: 1 + amount(p)}
}
