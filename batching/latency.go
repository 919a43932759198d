package batching

import (
	"math"
	"slices"
	"time"
)

const (
	memory     = 0.985 // share of the weight that an observation keeps with each that follows
	slopeInert = 0.03  // spread of sizes, as a share of their mean, below which little is learnt of the slope
	slopeDrift = 0.004 // how far, of the way, the slope then drifts with each batch
	growth     = 4     // how many times larger than all batches before a batch may be
	clipAt     = 3.0   // spreads: farther from what was expected a single batch counts no more
	shiftAt    = 1.5   // spreads: if the recent mean is off by more, the model's speed has changed
	shiftMean  = 0.25  // share of the latest batch in that mean; its own spread is then 0.38 spreads
	leastNoise = 0.02  // spread, as a logarithm: no model is steadier than that for long
	trusted    = 6     // batches until the above applies
	ratiosKept = 64
	longIdle   = 10 * time.Second // after that, what was learnt counts for less
)

// latency learns how long batches take, l(x) = a + b·x, from those that ran.
//
// The line is fitted by least squares of the relative error, with exponential forgetting. x is the number of requests, with padding, or, if
// requests have weights and that explains the times better, their weight. A batch far off the line is taken for
// an outlier and counts as if it were less far off, unless those after it are off in the same direction: then the model's speed has
// changed, and the line is scaled to it at once. What the line does not explain is kept as the ratios of real to expected times: their
// quantiles are the safety margin.
type latency struct {
	count, weight line
	byWeight      bool
	ratios        ratios
	off           float64    // recent mean of the logarithm of the ratios
	spread        float64    // mean size of that logarithm, scaled to a standard deviation
	recent        [3]float64 // logarithms of the latest ratios
	seen          int        // batches since the start or since a change
	most          int        // requests in the largest batch so far
	last          time.Duration
}

// observe learns from a batch of n requests, padded to size, of weight w that took y and ended at now.
func (m *latency) observe(n, size int, w int64, weighted bool, y, now time.Duration) {
	m.most = max(m.most, n)
	took := max(float64(y), 1)
	if m.seen > 0 && now-m.last-y > longIdle {
		m.count.forget(0.2)
		m.weight.forget(0.2)
	}
	m.last = now
	if !m.known() {
		m.ratios.reset()
		m.spread = 0.1
	} else {
		expected := m.mean(m.size(size, w))
		off := took / expected
		ratio := math.Log(off)
		m.recent = [3]float64{m.recent[1], m.recent[2], ratio}
		if m.seen >= trusted {
			clip := clipAt * m.spread
			ratio = min(max(ratio, -clip), clip)
			m.off += shiftMean * (ratio - m.off)
			if math.Abs(m.off) > shiftAt*m.spread {
				m.shift()
			} else {
				took = expected * math.Exp(ratio)
			}
		}
		if m.seen >= trusted/2 { // the line is only guessed before
			rate := max(1/float64(m.seen), 1.0/32)
			m.spread = max(leastNoise, m.spread+rate*(1.25*math.Abs(ratio)-m.spread))
			m.ratios.add(off)
		}
	}
	m.seen++
	m.count.add(float64(size), took)
	if weighted {
		m.weight.add(float64(w), took)
		// The other line must be clearly better to be chosen.
		m.byWeight = m.weight.err < m.count.err && (m.byWeight || m.weight.err < 0.8*m.count.err)
	}
}

// shift scales what was learnt to the speed of the latest batches, and trusts it less.
func (m *latency) shift() {
	recent := m.recent
	slices.Sort(recent[:])
	factor := math.Exp(recent[1])
	m.count.scale(factor)
	m.weight.scale(factor)
	m.count.forget(0.1)
	m.weight.forget(0.1)
	m.ratios.reset()
	m.off, m.recent = 0, [3]float64{}
	m.seen = 0
}

// largest is the number of requests that a batch may have: growth is stepwise while little is known.
func (m *latency) largest() int { return growth * max(1, min(m.most, math.MaxInt/growth)) }

func (m *latency) known() bool { return m.count.sum > 0 }

// size is what the time of a batch of n requests that weigh w depends on.
func (m *latency) size(n int, w int64) float64 {
	if m.byWeight {
		return float64(w)
	}
	return float64(n)
}

func (m *latency) line() *line {
	if m.byWeight {
		return &m.weight
	}
	return &m.count
}

// mean is how long a batch is expected to take, in nanoseconds.
func (m *latency) mean(x float64) float64 {
	l := m.line()
	return max(l.a+l.b*x, 1)
}

// safe is the time within which a batch must be expected to be answered for its most urgent member to be worth taking.
//
// One more member makes the batch longer by b, in which the model could answer ρ·b requests if ρ is its rate, about x/l(x). So a
// member pays if it is in time with more than the probability b·x/l(x): that quantile of the times is what is returned.
func (m *latency) safe(x float64) time.Duration {
	if !m.known() {
		return 0
	}
	l := m.line()
	mean := m.mean(x)
	return time.Duration(min(mean*m.ratios.quantile(marginal(l.b*x/mean)), math.MaxInt64/4))
}

// sure is the time within which a batch is answered almost always.
func (m *latency) sure(x float64) time.Duration {
	if !m.known() {
		return 0
	}
	return time.Duration(min(m.mean(x)*m.ratios.quantile(marginal(1)), math.MaxInt64/4))
}

// marginal bounds the quantile: at least the median, and a little more than what pays, because a late answer also
// delays those that come after it.
func marginal(share float64) float64 { return min(max(1.15*share, 0.5), 0.98) }

// fast is how soon a batch may be answered with luck: what cannot wait so long is lost.
func (m *latency) fast(x float64) time.Duration {
	if !m.known() {
		return 0
	}
	return time.Duration(min(max(m.line().least(x), 1)*min(m.ratios.quantile(0.05), 0.95), math.MaxInt64/4))
}

// fixed is the part of the time that does not depend on the size.
func (m *latency) fixed() time.Duration { return time.Duration(m.line().a) }

func (m *latency) stats() Latency {
	if !m.known() {
		return Latency{}
	}
	l := m.line()
	return Latency{
		Fixed: time.Duration(l.a), PerUnit: time.Duration(l.b), ByWeight: m.byWeight, Margin: m.ratios.quantile(0.9) - 1,
	}
}

// line is a straight line through points, fitted with forgetting.
//
// While all sizes are about the same nothing is learnt of the slope. It then drifts towards a flat line in one estimate (larger
// batches might cost no more) and towards a proportional one in the other (smaller ones might cost less), so that a wrong slope does not
// forbid for ever to try the sizes that would correct it.
type line struct {
	a, b              float64
	steep             float64 // the slope if it is not b; at least b
	meanX, meanY      float64 // a point on both lines
	sum, x, y, xx, xy float64 // weighted sums: of 1, x, y, x², x·y
	err               float64 // recent mean of the relative error
}

func (l *line) add(x, y float64) {
	if l.sum == 0 {
		l.a, l.steep = y, y/max(x, 1)
	} else {
		l.err += (math.Abs(y-l.a-l.b*x)/y - l.err) / 16
	}
	l.forget(memory)
	w := 1 / max((l.a+l.b*x)*(l.a+l.b*x), 1) // so that errors are relative
	l.sum += w
	l.x += w * x
	l.y += w * y
	l.xx += w * x * x
	l.xy += w * x * y
	meanX, meanY := l.x/l.sum, l.y/l.sum
	varX := max(l.xx/l.sum-meanX*meanX, 0)
	cov := l.xy/l.sum - meanX*meanY
	inert := slopeInert * slopeInert * meanX * meanX
	if varX+inert == 0 {
		return // no batch has weighed anything yet
	}
	proportional := meanY / meanX
	slope := func(was float64) float64 {
		return min(max((cov+inert*was)/(varX+inert), 0), proportional)
	}
	l.b = slope(l.b * (1 - slopeDrift))
	l.steep = max(slope(l.steep+slopeDrift*(proportional-l.steep)), l.b)
	l.a = meanY - l.b*meanX
	l.meanX, l.meanY = meanX, meanY
}

// least is the shortest time that fits what was seen: by the steeper slope for batches smaller than those.
func (l *line) least(x float64) float64 {
	return min(l.a+l.b*x, l.meanY-l.steep*(l.meanX-x))
}

func (l *line) forget(keep float64) {
	l.sum *= keep
	l.x *= keep
	l.y *= keep
	l.xx *= keep
	l.xy *= keep
}

// scale makes all times longer by a factor.
func (l *line) scale(factor float64) {
	l.a *= factor
	l.b *= factor
	l.steep *= factor
	l.meanY *= factor
	// The weights of the points are the inverse squares of their times.
	l.forget(1 / (factor * factor))
	l.y *= factor
	l.xy *= factor
}

// ratios are the latest ratios of the real to the expected times of batches, in order.
type ratios struct {
	ring   [ratiosKept]float64
	sorted [ratiosKept]float64
	next   int
	n      int
}

// reset forgets all and assumes a spread of a tenth.
func (r *ratios) reset() {
	r.n, r.next = 0, 0
	for _, v := range [...]float64{0.85, 0.9, 0.95, 1, 1, 1.05, 1.1, 1.15} {
		r.add(v)
	}
}

func (r *ratios) add(v float64) {
	sorted := r.sorted[:r.n]
	if r.n == ratiosKept {
		old, _ := slices.BinarySearch(sorted, r.ring[r.next])
		copy(sorted[old:], sorted[old+1:])
		sorted = sorted[:r.n-1]
	} else {
		r.n++
	}
	r.ring[r.next] = v
	r.next = (r.next + 1) % ratiosKept
	at, _ := slices.BinarySearch(sorted, v)
	sorted = r.sorted[:r.n]
	copy(sorted[at+1:], sorted[at:])
	sorted[at] = v
}

// quantile is the value that a share of p of the ratios do not exceed, interpolated.
func (r *ratios) quantile(p float64) float64 {
	at := p * float64(r.n-1)
	i := int(at)
	if i+1 >= r.n {
		return r.sorted[r.n-1]
	}
	return r.sorted[i] + (at-float64(i))*(r.sorted[i+1]-r.sorted[i])
}
